# SPDX-License-Identifier: MIT
"""restante fetch against our own server, and against one that is told what to do wrong."""

import hashlib
import re
import ssl
import time

import pytest

from retriever import Home
from scripted import Scripted


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def message(number, size=40):
    return (b"m%d" % number,
            b"Subject: %d\r\n\r\n" % number + b".dot\r\n" + b"x" * size + b"\r\n")


def stored(octets):
    return octets.replace(b"\r\n", b"\n")


def messages(count):
    return [message(number) for number in range(1, count + 1)]


@pytest.fixture
def served(make_world):
    world = make_world()
    world.configure(pop3={"listen": "127.0.0.1:0", "listen-tls": "127.0.0.1:0"})
    for number in range(5):
        world.put(b"Subject: %d\n\n.dot\nbody\n" % number)
    return world, world.start()


def fingerprint(server):
    certificate = ssl.get_server_certificate(server.tls_address)
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()


@pytest.mark.sanitized
@pytest.mark.parametrize("tls", ["implicit", "stls", "never"])
def test_mail_comes_down_once(served, home, tls):
    world, server = served
    port = server.tls_address[1] if tls == "implicit" else server.port
    trust = () if tls == "never" else ("--fingerprint", fingerprint(server))
    first = home.fetch(port, "--keep", *trust, tls=tls)
    assert first.returncode == 0, first.stderr
    assert home.mail() == sorted(b"Subject: %d\n\n.dot\nbody\n" % n for n in range(5))
    second = home.fetch(port, *trust, tls=tls)
    assert second.returncode == 0 and len(home.mail()) == 5
    with server.login() as client:
        assert client.ok(b"STAT") == b"+OK 0 0"
        client.ok(b"QUIT")


def test_a_self_signed_certificate_is_not_trusted(served, home):
    _, server = served
    result = home.fetch(server.tls_address[1], tls="implicit")
    assert result.returncode == 69 and b"self-signed" in result.stderr
    assert not home.maildir.exists() or home.mail() == []


@pytest.mark.sanitized
@pytest.mark.parametrize("name", ["auto", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1",
                                  "CRAM-MD5", "PLAIN", "LOGIN", "USER"])
def test_each_mechanism(served, home, name):
    _, server = served
    result = home.fetch(server.port, "--fingerprint", fingerprint(server), "--auth", name, "-v", tls="stls")
    assert result.returncode == 0, result.stderr
    assert b"secret" not in result.stderr
    expected = b"SCRAM-SHA-256-PLUS" if name == "auto" else name.encode()
    assert b"logged in by " + expected + b" " in result.stderr
    assert len(home.mail()) == 5


def test_a_wrong_password_is_77(served, home):
    _, server = served
    home.set_password("wrong")
    assert home.fetch(server.port).returncode == 77


def test_a_readable_password_file_is_refused(served, home):
    _, server = served
    home.password.chmod(0o644)
    result = home.fetch(server.port)
    assert result.returncode == 78 and b"chmod 600" in result.stderr


def test_a_dry_run_changes_nothing(home):
    with Scripted(messages(3)) as server:
        result = home.fetch(server.port, "--dry-run")
        assert result.returncode == 0 and result.stdout.count(b"would be fetched") == 3
        assert not any(line.startswith((b"RETR", b"DELE")) for line in server.commands)
    assert not home.maildir.exists()


@pytest.mark.sanitized
def test_headers_are_shown_and_escaped(home):
    with Scripted([(b"a", b"Subject: \x1b[2Jx\r\nFrom: f\r\n\r\nbody\r\n")]) as server:
        result = home.fetch(server.port, "--headers")
        assert result.returncode == 0
        assert b"\\x1b[2Jx" in result.stdout and b"\x1b" not in result.stdout
        assert len(server.messages) == 1


@pytest.mark.sanitized
@pytest.mark.parametrize("keep,left", [("no", set()), ("yes", {1, 2, 3, 4}), ("newest:2", {3, 4}), ("7d", {1, 2, 3, 4})])
def test_what_stays_there(home, keep, left):
    with Scripted(messages(4)) as server:
        assert home.fetch(server.port, f"--keep={keep}").returncode == 0
        assert set(server.messages) == left
    assert len(home.mail()) == 4


def test_too_large_ones_are_left(home):
    with Scripted([message(1), message(2, 5000)]) as server:
        assert home.fetch(server.port, "--max-size", "1K").returncode == 0
        assert set(server.messages) == {2}
    assert len(home.mail()) == 1


@pytest.mark.sanitized
def test_the_filter_takes_deletes_and_leaves(home):
    command = "h=$(cat); case $h in *': 1'*) echo take;; *': 2'*) echo delete;; *': 3'*) echo leave;; *) exit 1;; esac"
    with Scripted(messages(4)) as server:
        result = home.fetch(server.port, "--filter", command)
        assert result.returncode == 75, result.stderr  # 4 had no answer
        assert set(server.messages) == {3, 4}
    assert home.mail() == [stored(message(1)[1])]


@pytest.mark.sanitized
def test_stls_is_never_given_up(home):
    for answers in ({b"STLS": b"-ERR no\r\n"}, {b"STLS": b"+OK\r\n+OK injected\r\n"}):
        with Scripted(messages(1), answers) as server:
            result = home.fetch(server.port, tls="stls")
            assert result.returncode in (69, 76)
            assert not any(line.startswith((b"USER", b"PASS", b"AUTH")) for line in server.commands)


def test_control_octets_never_reach_the_terminal(home):
    with Scripted(messages(1), {b"PASS": b"-ERR \x1b]0;evil\x07\r\n"}) as server:
        result = home.fetch(server.port, "-v")
        assert result.returncode == 77 and b"\x1b" not in result.stderr and b"\\x1b" in result.stderr


@pytest.mark.sanitized
def test_a_message_that_is_cut_off_is_not_stored(home):
    with Scripted(messages(3), {b"RETR 2": (b"+OK\r\nSubject: 2\r\n\r\nhalf",)}) as server:
        result = home.fetch(server.port)
        assert result.returncode == 75 and b"in the middle of message" in result.stderr
        assert sum(line.startswith(b"RETR") for line in server.commands) < 20
    assert home.mail() == [stored(message(1)[1]), stored(message(3)[1])]


@pytest.mark.sanitized
def test_without_unique_ids(home):
    with Scripted(messages(3), {b"UIDL": b"-ERR what?\r\n"}) as server:
        for _ in range(2):
            assert home.fetch(server.port, "--keep").returncode == 0
    assert len(home.mail()) == 3


@pytest.mark.sanitized
def test_duplicate_ids(home):
    same = [(b"same", message(number)[1]) for number in (1, 2, 3)]
    with Scripted(same) as server:
        for _ in range(2):
            assert home.fetch(server.port, "--keep").returncode == 0
    assert len(home.mail()) == 3


@pytest.mark.sanitized
def test_wrong_sizes(home):
    rows = Scripted.rows(b"+OK", [b"1 1", b"2 4000000000", b"3 7"])
    with Scripted(messages(3), {b"LIST": rows}) as server:
        assert home.fetch(server.port, "--keep").returncode == 0
    assert len(home.mail()) == 3


def test_more_in_list_than_in_stat(home):
    with Scripted(messages(3), {b"STAT": b"+OK 1 10\r\n"}) as server:
        assert home.fetch(server.port).returncode == 0
    assert len(home.mail()) == 3


@pytest.mark.sanitized
def test_a_server_that_renumbers(home):
    """DELE moves the numbers behind it at once, against RFC 1939."""
    def dele(server, argument, _):
        ordered = [server.messages[n] for n in sorted(server.messages) if n != int(argument)]
        server.messages = dict(enumerate(ordered, 1))
        return b"+OK\r\n"
    with Scripted(messages(5), {b"DELE": dele}) as server:
        assert home.fetch(server.port).returncode == 0
        assert not server.messages
    assert len(home.mail()) == 5


@pytest.mark.sanitized
def test_a_server_that_breaks_pipelining(home):
    """It forgets what came with a command."""
    def retr(server, argument, pending):
        return None if pending else server._retr(argument)
    with Scripted(messages(4), {b"RETR": retr}) as server:
        result = home.fetch(server.port)
        assert result.returncode == 0, result.stderr
        assert server.sessions >= 2
    assert len(home.mail()) == 4
    assert list((home.folder / ".local/state/restante/fetch").glob("*.one-at-a-time"))


@pytest.mark.sanitized
def test_a_limit_of_the_server_ends_softly(home):
    def retr(server, argument, _):
        return server._retr(argument) if int(argument) < 3 else b"-ERR [SYS/TEMP] enough for today\r\n"
    with Scripted(messages(6), {b"RETR": retr}) as server:
        assert home.fetch(server.port).returncode == 75
        assert set(server.messages) == {3, 4, 5, 6}
    assert len(home.mail()) == 2


@pytest.mark.sanitized
def test_a_silent_server(home):
    with Scripted(messages(1), {b"LIST": lambda *_: time.sleep(3) or None}) as server:
        result = home.fetch(server.port, "--timeout", "500ms")
        assert result.returncode == 75 and b"said nothing" in result.stderr


@pytest.mark.sanitized
def test_nonsense_and_floods_end(home):
    for answers in ({b"LIST": b"+OK\r\nnonsense\r\n.\r\n"}, {b"STAT": b"hello\r\n"},
                    {b"UIDL": b"+OK\r\n" + b"1 " + b"x" * 100000 + b"\r\n.\r\n"}, {"greeting": b"-ERR go away\r\n"}):
        with Scripted(messages(1), answers) as server:
            assert home.fetch(server.port).returncode in (75, 76)
            assert len(server.messages) == 1


def test_what_comes_meanwhile_is_fetched_too(home):
    late = [message(9)]
    def quit_(server, _, __):
        reply = server._quit(b"")
        while late:
            server.messages[9] = late.pop()
        return reply
    with Scripted(messages(1), {b"QUIT": quit_}) as server:
        assert home.fetch(server.port).returncode == 0
    assert len(home.mail()) == 2


def test_one_bad_account_does_not_hold_the_others(home):
    with Scripted(messages(2)) as good, Scripted((), {b"PASS": b"-ERR [AUTH] no\r\n"}) as bad:
        text = "".join(f"[{name}]\nhost = 127.0.0.1\nport = {port}\nuser = u\ntls = never\n"
                       f"password-file = {home.password}\nmaildir = {home.folder}/Mail/{name}\n"
                       for name, port in (("bad", bad.port), ("box", good.port)))
        path = home.folder / ".config/restante/fetch.conf"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        result = home.run("--json")
        assert result.returncode == 77
        done = {event["account"]: event["status"] for event in home.events(result) if event["event"] == "done"}
        assert done == {"bad": 77, "box": 0}
    assert len(home.mail()) == 2


def test_mistakes_name_file_line_and_remedy(home):
    path = home.folder / "f.conf"
    path.write_text("[a]\nhost = h\npassword = x\ntls = sometimes\nkeep = 3\n")
    result = home.run("-c", path)
    assert result.returncode == 78
    for line, words in ((3, "password-command"), (4, "implicit, stls or never"), (5, "14d")):
        assert re.search(rf"^{re.escape(str(path))}:{line}: .*{words}", result.stderr.decode(), re.MULTILINE)

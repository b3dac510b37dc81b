# SPDX-License-Identifier: MIT
"""restante fetch --imap: into Debian's Dovecot, and into a server that does what no real one does."""

import imaplib
import re

import pytest

import peers
from letters import LETTERS, letter
from retriever import Home
from scripted import Scripted
from scripted_imap import ScriptedImap

ARRIVED = (b"Received: from a by b;\r\n\tTue, 02 Jan 2024 03:04:05 +0200 (CET)\r\n"
           b"Received: from c by d; Mon, 1 Jan 2024 00:00:00 +0000\r\nDate: Sun, 31 Dec 2023 23:00:00 +0000\r\n"
           b"Message-ID: <arrived@example.org>\r\nSubject: arrived\r\n\r\nbody\r\n")
MESSAGES = [ARRIVED, *(LETTERS[name] for name in ("plain", "dots", "from", "8-bit", "spaces", "folded")),
            letter("2 MB", (b"." + b"0123456789" * 7 + b"\n") * 29000)]


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture(scope="module")
def dovecot():
    server = peers.Dovecot()
    yield server
    server.close()


@pytest.fixture
def pop3():
    with Scripted([(b"id-%d" % number, wire(message)) for number, message in enumerate(MESSAGES[:3])]) as server:
        yield server


def wire(message):
    lines = re.sub(rb"\r?\n", b"\r\n", message)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def into(server, *more, folder="INBOX", user="bob", scheme="imap"):
    port = server if isinstance(server, int) else server.port
    clear = ("--imap-clear",) if scheme == "imap" and "--imap-ca-file" not in more else ()
    return ("--imap", f"{scheme}://{user}@localhost:{port}/{folder}", *clear, *map(str, more))


def fetch(home, pop3, target, *more, environment=None):
    return home.fetch(pop3.port, "--imap-password-file", home.password, *more, target=target,
                      environment=environment)


def without_mark(octets):
    text, count = re.subn(rb"\AX-Restante-Id: [0-9a-f]{32}\r?\n", b"", octets)
    assert count == 1, octets[:200]
    return text


def lines(messages):
    return sorted(wire(message) for message in messages)


def deleted(pop3):
    """Numbers that DELE was sent for."""
    return {int(line.split()[1]) for line in pop3.commands if line.startswith(b"DELE")}


class Box:
    """What an IMAP server shows of a user's folder."""

    def __init__(self, dovecot, user, folder):
        with imaplib.IMAP4("127.0.0.1", dovecot.imap_port) as client:
            client.login(user, "secret")
            status, _ = client.select(folder, readonly=True)
            assert status == "OK", folder
            _, rows = client.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])") if client.untagged_responses.get(
                "EXISTS") != [b"0"] else ("OK", [])
        self.rows = [row for row in rows if isinstance(row, tuple)]
        self.messages = [octets for _, octets in self.rows]

    def about(self, word):
        return next(facts for facts, octets in self.rows if word in octets)


def test_into_a_folder_that_is_made(dovecot, home):
    dovecot.put("alice", MESSAGES)
    result = fetch(home, dovecot, into(dovecot.imaps_port, "--imap-ca-file", dovecot.authority,
                                       "--imap-flags", r"\Seen $Work", folder="Ar%20chive/Bücher & mehr",
                                       user="bob@example.org", scheme="imaps"))
    assert result.returncode == 0, result.stderr
    assert dovecot.holds("alice") == []
    box = Box(dovecot, "bob@example.org", '"Ar chive.B&APw-cher &- mehr"')
    assert lines(map(without_mark, box.messages)) == lines(map(dovecot.as_kept, MESSAGES))
    facts = box.about(b"arrived@example.org")
    assert b'"02-Jan-2024 03:04:05 +0200"' in facts or b'" 2-Jan-2024 03:04:05 +0200"' in facts \
        or b"02-Jan-2024 01:04:05 +0000" in facts, facts
    assert all(b"\\Seen" in row and b"$Work" in row for row, _ in box.rows)


@pytest.mark.parametrize("auth", ["auto", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN", "USER"])
def test_ways_to_log_in(dovecot, home, pop3, auth):
    user = f"by-{auth.lower()}"
    result = fetch(home, pop3, into(dovecot.imap_port, "--imap-auth", auth, "--imap-ca-file", dovecot.authority,
                                    user=user))
    assert result.returncode == 0, result.stderr
    assert lines(map(without_mark, Box(dovecot, user, "INBOX").messages)) == lines(MESSAGES[:3])
    assert deleted(pop3) == {1, 2, 3}


def test_in_the_clear_by_your_word_only(dovecot, home, pop3):
    target = into(dovecot.imap_port, user="clear")
    result = fetch(home, pop3, target)
    assert result.returncode == 0 and b"in the clear" in result.stderr
    assert len(Box(dovecot, "clear", "INBOX").messages) == 3


@pytest.mark.parametrize("scheme", ["imap", "imaps"])
def test_another_server_gets_nothing(dovecot, home, pop3, scheme):
    port = dovecot.imap_port if scheme == "imap" else dovecot.imaps_port
    target = ("--imap", f"{scheme}://strange@localhost:{port}/INBOX")
    result = fetch(home, pop3, target)
    assert result.returncode == 69, result.stderr
    assert not dovecot.drop("strange").exists() and deleted(pop3) == set()
    pinned = fetch(home, pop3, target, "--imap-fingerprint", "00" * 32)
    assert pinned.returncode == 69 and deleted(pop3) == set()


def test_a_wrong_password(dovecot, home, pop3):
    result = home.fetch(pop3.port, "--imap-password-command", "echo wrong", target=into(dovecot.imap_port))
    assert result.returncode == 77, result.stderr
    assert deleted(pop3) == set()
    result = home.fetch(pop3.port, "--imap-password-command", "echo secret; exit 3", target=into(dovecot.imap_port))
    assert result.returncode == 78 and b"the IMAP password: " in result.stderr
    result = home.fetch(pop3.port, "--imap-password-command", "echo secret", target=into(dovecot.imap_port, user="cmd"))
    assert result.returncode == 0, result.stderr


def test_messages_as_they_are(dovecot, home, pop3):
    result = fetch(home, pop3, into(dovecot.imap_port, "--imap-mark=no", user="unmarked"))
    assert result.returncode == 0, result.stderr
    assert lines(Box(dovecot, "unmarked", "INBOX").messages) == lines(MESSAGES[:3])


# ---- what no real server does ----


def taken(server):
    return lines(without_mark(octets) for _, _, octets in server.folder)


@pytest.mark.parametrize("capabilities", [b"", b"LITERAL-", b"LITERAL+"])
def test_literals(home, pop3, capabilities):
    with ScriptedImap(capabilities=capabilities) as server:
        result = fetch(home, pop3, into(server, folder="a/b"))
    assert result.returncode == 0, result.stderr
    assert taken(server) == lines(MESSAGES[:3])
    assert (b"EXAMINE", b'"a.b"') in server.commands
    assert all(b"+}" in arguments for verb, arguments in server.commands if verb == b"APPEND") == bool(capabilities)


@pytest.mark.parametrize("mark", ["yes", "no"])
def test_a_reply_that_is_lost(home, pop3, mark):
    """Taken, and the connection is gone: it is looked up, and not sent again."""
    def once(server, tag, arguments):
        server.keep(arguments)
        return None if len(server.folder) == 1 else tag + b" OK done\r\n"
    with ScriptedImap({"APPEND": once}) as server:
        result = fetch(home, pop3, into(server, f"--imap-mark={mark}"))
    assert result.returncode == 0, result.stderr
    texts = [octets if mark == "no" else without_mark(octets) for _, _, octets in server.folder]
    assert lines(texts) == lines(MESSAGES[:3])


def test_what_is_not_found_is_sent_again(home, pop3):
    lost = []

    def once(server, tag, arguments):
        if not lost:
            return lost.append(arguments)
        server.keep(arguments)
        return tag + b" OK done\r\n"
    with ScriptedImap({"APPEND": once}) as server:
        result = fetch(home, pop3, into(server))
    assert result.returncode == 0, result.stderr
    assert taken(server) == lines(MESSAGES[:3])


@pytest.mark.parametrize("reply, status, words", [
    (b" NO [OVERQUOTA] full\r\n", 75, b"[OVERQUOTA] full"),
    (b" NO no\r\n", 75, b"says NO to APPEND: no"),
    (b" BAD what\r\n", 75, b"says BAD to APPEND: what")])
def test_one_that_is_not_taken(home, pop3, reply, status, words):
    """The others are."""
    with ScriptedImap({"APPEND": lambda server, tag, arguments: tag + reply if b"<arrived" in server.literal
                       else server.keep(arguments) or tag + b" OK done\r\n"}) as server:
        result = fetch(home, pop3, into(server))
        assert taken(server) == lines(MESSAGES[1:3])
        assert deleted(pop3) == {2, 3}
    assert words in result.stderr + result.stdout, (result.returncode, result.stderr)


def test_three_refusals_are_quarantine(home, pop3):
    with ScriptedImap({"APPEND": b" NO no\r\n"}) as server:
        for _ in range(3):
            fetch(home, pop3, into(server))
    kept = [path.read_bytes() for path in home.state.glob("*.quarantine/*.eml")]
    assert sorted(kept) == lines(MESSAGES[:3]) and deleted(pop3) == set()


def test_rights_that_are_missing_end_the_run(home, pop3):
    with ScriptedImap({"APPEND": b" NO [NOPERM] not you\r\n"}) as server:
        result = fetch(home, pop3, into(server))
    assert result.returncode == 69 and b"[NOPERM] not you" in result.stderr
    assert deleted(pop3) == set()


def test_a_folder_that_vanishes(home, pop3):
    with ScriptedImap({"APPEND": [b" NO [TRYCREATE] gone\r\n"]}) as server:
        server.answers["APPEND"].append(lambda server, tag, arguments: server.keep(arguments) or tag + b" OK\r\n")
        server.answers["APPEND"] *= 2
        result = fetch(home, pop3, into(server), "--keep")
    assert (b"CREATE", b'"INBOX"') in server.commands, result.stderr


@pytest.mark.parametrize("answers, words", [
    ({"APPEND": b"* BYE too late today\r\n"}, b"too late today"),
    ({"APPEND": None}, b"closed the connection"),
    ({"APPEND": b"R99 OK whose\r\n"}, b"no IMAP"),
    ({"LOGIN": b"* " + b"x" * (5 << 20) + b"\r\n"}, b"more than it may"),
    ({"EXAMINE": b"* SEARCH " + b"1 " * 9000 + b"\r\n"}, b"more than it may"),
    ({"CAPABILITY": b"+ go on\r\n"}, b"no IMAP"),
    ({"LOGIN": b"nonsense\r\n"}, b"no IMAP")])
def test_servers_that_make_no_sense(home, answers, words):
    with ScriptedImap(answers) as server, Scripted([(b"id", ARRIVED)]) as pop3:
        result = fetch(home, pop3, into(server))
    assert result.returncode != 0 and words in result.stderr + result.stdout, (result.returncode, result.stderr)
    assert deleted(pop3) == set() and server.folder == []


def test_preauth_gives_no_way_round_tls(home, pop3):
    with ScriptedImap(greeting=b"* PREAUTH you are in\r\n") as server:
        result = fetch(home, pop3, ("--imap", f"imap://bob@localhost:{server.port}/INBOX"))
    assert result.returncode == 69 and b"PREAUTH" in result.stderr
    assert server.commands == []


def test_limits_that_are_announced(home):
    with Scripted([(b"nul", b"Subject: a\r\n\r\na\0b\r\n"), (b"big", b"Subject: b\r\n\r\n" + b"x" * 2000 + b"\r\n")]) as pop3, \
            ScriptedImap(capabilities=b"LITERAL+ APPENDLIMIT=1000") as server:
        result = fetch(home, pop3, into(server))
        assert b"NUL octets" in result.stderr and b"APPENDLIMIT=1000" in result.stderr, result.stderr
        assert not any(verb == b"APPEND" for verb, _ in server.commands)


@pytest.mark.parametrize("wrong, words", [
    (("--imap", "imaps://host/INBOX"), b"imaps://USER@HOST/FOLDER"),
    (("--imap", "http://u@host/INBOX"), b"imaps://USER@HOST/FOLDER"),
    (("--imap", "imaps://u@host/a%0a"), b"imaps://USER@HOST/FOLDER"),
    (("--imap", "imaps://u@host", "--imap-clear"), b"write imap://"),
    (("--imap", "imaps://u@host", "--imap-auth", "APOP"), b"APOP is POP3's"),
    (("--imap", "imaps://u@host", "--imap-flags", r"\Recent"), b"flags and keywords"),
    (("--imap", "imap://u@host", "--imap-clear", "--imap-auth", "XOAUTH2"), b"TLS only")])
def test_mistakes(home, wrong, words):
    result = home.fetch(1, "--imap-password-file", home.password, target=wrong)
    assert result.returncode in (64, 78) and words in result.stderr, (result.returncode, result.stderr)
    result = home.fetch(1, target=("--imap", "imaps://u@host"))
    assert result.returncode in (64, 78) and b"imap-password-command" in result.stderr

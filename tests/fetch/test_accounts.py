# SPDX-License-Identifier: MIT
"""What describes accounts: where a password comes from, fetch.conf and its mistakes, several accounts at once."""

import hashlib
import re
import subprocess
import threading
import time

import pytest

from retriever import Home
from scripted import Scripted


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def messages(count):
    return [(b"m%d" % number, b"Subject: %d\r\n\r\nbody\r\n" % number) for number in range(1, count + 1)]


def sent_password(server):
    """Of all sessions: a run has one more to see that nothing new has come."""
    return {line for line in server.commands if line.startswith(b"PASS")}


@pytest.mark.sanitized
@pytest.mark.parametrize("command", ["echo 's3 cret'", "printf 's3 cret'", "printf 's3 cret\\r\\nsecond line\\n'",
                                     "sleep 1; echo 's3 cret'"])
def test_password_of_a_command(home, command):
    with Scripted(messages(1)) as server:
        result = home.fetch(server.port, password=("--password-command", command))
        assert result.returncode == 0, result.stderr
        assert sent_password(server) == {b"PASS s3 cret"}


@pytest.mark.parametrize("lines,words", [
    ("auth = oauthbearer", b"or token-command"),
    ("token-command = echo x", b"write one of them, or password-command"),
    ("auth = xoauth2\ntoken-command = echo x\ntls = never", b"write implicit or stls"),
    ("auth = xoauth2\ntoken-command = echo x\npassword-command = echo x", b"token-command"),
])
def test_token_mistakes(home, lines, words):
    path = home.folder / "fetch.conf"
    path.write_text(f"[work]\nhost = pop.example.org\nuser = alice\nmaildir = {home.maildir}\n{lines}\n")
    result = home.run("-c", path)
    assert result.returncode == 78 and words in result.stderr and b"fetch.conf:" in result.stderr, result.stderr


@pytest.mark.sanitized
@pytest.mark.parametrize("command,words", [
    ("exit 3", b"ended with status 3"), ("echo secret; exit 1", b"ended with status 1"),
    ("true", b"no password is in its first line"), ("echo; echo second", b"no password is in its first line"),
    ("kill -9 $$", b"signal 9"), ("yes | head -c 9000", b"over 8448 octets"),
    ("printf 'a\\rb\\n'", b"what it gave is no password"), ("no-such-program", b"status 127"),
])
def test_a_command_that_gives_no_password(home, command, words):
    with Scripted(messages(1)) as server:
        result = home.fetch(server.port, password=("--password-command", command))
        assert result.returncode == 78 and words in result.stderr, result.stderr
        assert server.sessions == 0


def test_the_keyring(home):
    folder = home.folder / "bin"
    folder.mkdir()
    tool = folder / "secret-tool"
    tool.write_text(f'#!/bin/sh\necho "$@" >{home.folder}/asked\necho from-the-keyring\n')
    tool.chmod(0o755)
    environment = {"PATH": f"{folder}:{home.environment()['PATH']}"}
    with Scripted(messages(1)) as server:
        result = home.fetch(server.port, password=("--keyring",), environment=environment)
        assert result.returncode == 0, result.stderr
        assert sent_password(server) == {b"PASS from-the-keyring"}
    assert (home.folder / "asked").read_text() == "lookup service restante host 127.0.0.1 user alice\n"
    tool.unlink()
    with Scripted(messages(1)) as server:
        result = home.fetch(server.port, password=("--keyring",), environment={"PATH": str(folder)})
        assert result.returncode == 78 and b"`secret-tool' cannot be run" in result.stderr


def test_a_person_is_asked_without_echo(home):
    with Scripted(messages(1)) as server:
        arguments = home.account(server.port, password=())
        shown, status = home.on_terminal(*arguments, typed=(b"Password of alice at 127.0.0.1: ", b"typed\n"))
        assert status == 0, shown
        assert sent_password(server) == {b"PASS typed"} and b"typed" not in shown
        arguments = home.account(server.port, password=())
        shown, status = home.on_terminal(*arguments, typed=(b"Password of", b"\x03"))
        assert status == -2 and server.sessions == 2  # the first run's two listings


def test_a_password_on_standard_input(home):
    with Scripted(messages(1)) as server:
        assert home.fetch(server.port, password=(), input=b"given\nmore\n").returncode == 0
        assert sent_password(server) == {b"PASS given"}
        assert home.fetch(server.port, password=(), input=b"").returncode == 64


@pytest.mark.parametrize("harm,words", [
    (lambda path: path.chmod(0o640), b"others may read it; run `chmod 600'"),
    (lambda path: path.chmod(0o604), b"others may read it; run `chmod 600'"),
    (lambda path: path.unlink(), b"No such file"),
    (lambda path: (path.unlink(), path.mkdir()), b"no regular file"),
    (lambda path: path.write_bytes(b""), b"no password is in its first line"),
])
def test_a_password_file_that_will_not_do(home, harm, words):
    harm(home.password)
    with Scripted(messages(1)) as server:
        result = home.fetch(server.port)
        assert result.returncode == 78 and words in result.stderr, result.stderr
        assert str(home.password).encode() in result.stderr and server.sessions == 0


def apop(server, argument, _):
    digest = hashlib.md5(b"<17.4@host>" + b"secret").hexdigest().encode()
    return b"+OK\r\n" if argument == b"alice " + digest else b"-ERR no\r\n"


def test_apop_if_it_is_asked_for(home):
    answers = {"greeting": b"+OK ready <17.4@host>\r\n", b"APOP": apop}
    with Scripted(messages(1), answers) as server:
        result = home.fetch(server.port, "--auth", "APOP", "-v")
        assert result.returncode == 0, result.stderr
        digest = hashlib.md5(b"<17.4@host>secret").hexdigest().encode()
        assert b"APOP alice ***" in result.stderr and digest not in result.stderr
        assert not any(line.startswith((b"USER", b"PASS")) for line in server.commands)
    with Scripted(messages(1), answers) as server:
        assert home.fetch(server.port, "--keep").returncode == 0
        assert not any(line.startswith(b"APOP") for line in server.commands)
    with Scripted(messages(1)) as server:
        result = home.fetch(server.port, "--auth", "APOP")
        assert result.returncode == 69 and b"the server has no APOP" in result.stderr
        assert not any(line.startswith((b"USER", b"PASS", b"APOP")) for line in server.commands)


@pytest.mark.sanitized
def test_several_accounts_at_once(home):
    """One is silent, one refuses, and the others do not wait for them."""
    hold = threading.Event()
    silent = {b"LIST": lambda *_: hold.wait(20) and None}
    with Scripted(messages(1), silent) as slow, Scripted((), {b"PASS": b"-ERR [AUTH] no\r\n"}) as bad, \
            Scripted(messages(2)) as first, Scripted(messages(3)) as second:
        home.configure({"slow": home.section(slow.port, "slow"), "bad": home.section(bad.port, "bad"),
                        "first": home.section(first.port, "first")})
        home.configure({"second": home.section(second.port, "second")}, "conf.d/10-second.conf")
        home.configure({"no": {"host": "h"}}, "conf.d/ignored.conf~")
        home.configure({"no": {"host": "h"}}, "conf.d/.hidden.conf")
        process = home.start("--json")
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and (len(home.mail("first")), len(home.mail("second"))) != (2, 3):
            time.sleep(0.05)
        assert process.poll() is None
        assert (len(home.mail("first")), len(home.mail("second"))) == (2, 3)
        hold.set()
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 77, output
    with Scripted(messages(1)) as server:
        home.configure({"slow": home.section(1, "slow"), "named": home.section(server.port, "named")})
        assert home.run("named").returncode == 0 and len(home.mail("named")) == 1
        assert home.run("unknown").returncode == 78


def test_a_second_run_of_an_account_waits_for_no_one(home):
    hold = threading.Event()
    with Scripted(messages(1), {b"LIST": lambda server, *_: hold.wait(20) and server._list(b"")}) as server:
        process = home.start(*home.account(server.port))
        deadline = time.monotonic() + 15
        while server.sessions == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        second = home.fetch(server.port)
        assert second.returncode == 75 and b"another run" in second.stderr, second.stderr
        process.kill()  # the lock dies with its holder
        process.communicate()
        hold.set()
        assert home.fetch(server.port).returncode == 0
    assert len(home.mail()) == 1


MISTAKES = [
    ("port = 1", 1, "before the first section"),
    ("[a]\npassword = x", 2, "password-command, password-file or keyring"),
    ("[a]\nhots = h", 2, "no option hots; restante-fetch"),
    ("[a]\nhost = h\nhost = i", 3, "line 2 already; remove one"),
    ("[a]\nport = 70000", 2, "write a number"),
    ("[a]\ntls = sometimes", 2, "write implicit, stls or never"),
    ("[a]\nkeep = 3", 2, "14d"),
    ("[a]\nkeep = newest:x", 2, "newest:"),
    ("[a]\ntimeout = soon", 2, "90s"),
    ("[a]\nmax-size = much", 2, "20M"),
    ("[a]\nauth = KERBEROS", 2, "SCRAM-SHA-256"),
    ("[a]\nfingerprint = 12:34", 2, "SHA-256"),
    ("[a]\ntrace = maybe", 2, "yes or no"),
    ("[a]\nuser = u", 1, "host"),
    ("[a]\nhost = h", 1, "user"),
    ("[a]\nhost = h\nuser = u\nmbox = m\npipe = p", None, "one of"),
    ("[a]\nhost = h\nuser = u\nlmtp = l:24", None, "rcpt"),
    ("[a]\nhost = h\nuser = u\nkeyring = yes\npassword-file = p", None, "one of"),
    ("[a]\nhost = h\nuser = u\nkeep = 3d\ndelete = yes", None, "keep"),
    ("[a]\nhost = h\nuser = u\nnonsense", 4, "write [NAME] or option = value"),
    ("[a]\n host = h", 2, "first column"),
    ("[a]\n[b]\nhost = h\nuser = u", 1, "an account without options"),
    ("[b]\nhost = h\nuser = u\n[a]", 4, "write host and user below it"),
    ("[a]\nfilter = " + "x" * 3000, 2, "too long; write at most"),
    ("[a]\nhost = a\x00b", 2, "NUL"),
]


@pytest.mark.parametrize("text,line,words", MISTAKES, ids=[words for _, _, words in MISTAKES])
def test_a_mistake_is_told_with_its_line_and_remedy(home, text, line, words):
    path = home.folder / "f.conf"
    path.write_bytes(text.encode() + b"\n")
    result = home.run("-c", path)
    assert result.returncode == 78
    place = rf"{re.escape(str(path))}:{line or '[0-9]+'}: "
    assert re.search(rf"^{place}.*{re.escape(words)}", result.stderr.decode(), re.MULTILINE), result.stderr


def test_all_mistakes_are_told_at_once_in_all_files(home):
    home.configure({"a": {"host": "h", "tls": "x", "keep": "y"}})
    home.configure({"a": {"host": "h"}, "b": {"port": "x"}}, "conf.d/b.conf")
    result = home.run()
    text = result.stderr.decode()
    assert result.returncode == 78 and len(re.findall(r"fetch\.conf:[34]: ", text)) == 2
    assert re.search(r"b\.conf:2: there is an account \[a\] in .*fetch\.conf already", text)
    assert re.search(r"b\.conf:4: port = x", text)


def test_a_line_is_whole_or_a_mistake(home):
    path = home.folder / "f.conf"

    def run(size):
        path.write_text(f"[a]\nhost = 127.0.0.1\nport = {server.port}\nuser = u\ntls = never\nkeep = yes\n"
                        f"maildir = {home.maildir}\n" + "password-command = echo ".ljust(size, "x") + "\n")
        server.commands.clear()
        return home.run("-c", path)

    with Scripted(messages(1)) as server:
        result = run(1000)
        assert result.returncode == 78
        limit = int(re.search(rb"f\.conf:8: the line is too long; write at most (\d+) octets", result.stderr)[1])
        assert run(limit + 1).returncode == 78 and server.commands == []
        assert run(limit).returncode == 0
        assert sent_password(server) == {b"PASS " + b"x" * (limit - len("password-command = echo "))}


@pytest.mark.parametrize("arguments,status", [
    (("--host", "h"), 64), (("--no-such",), 64), (("--host", "h", "--user", "u", "name"), 64),
    (("--host", "h", "--user", "u", "--keep=3"), 64), (("-j", "0"), 64), (("-c", "/no/such/file"), 78), ((), 78),
    (("--help",), 0),
])
def test_the_command_line(home, arguments, status):
    result = home.run(*arguments)
    assert result.returncode == status
    assert (result.stdout if status == 0 else result.stderr)


def test_the_command_line_counts_more_than_the_file(home):
    with Scripted(messages(2)) as server:
        home.configure({"a": home.section(server.port, "a", keep="yes")})
        assert home.run("a").returncode == 0 and len(server.messages) == 2
        assert home.run("--delete", "a").returncode == 0 and len(server.messages) == 0

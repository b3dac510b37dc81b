# SPDX-License-Identifier: MIT
"""`restante user`, and accounts that change while the server runs."""

import crypt
import fcntl
import os
import pty
import re
import subprocess
import termios

import pytest

import restante

def user(world, verb, *arguments, password=None, status=0):
    result = world.run("user", verb, "-c", world.configuration_file, *arguments,
                       input=b"" if password is None else password + b"\n")
    assert result.returncode == status, (result.returncode, result.stdout, result.stderr)
    return result.stdout.decode()


def can_login(server, name, password):
    with server.client() as client:
        client.ok(b"USER " + name)
        reply = client.command(b"PASS " + password)
        if reply.startswith(b"+OK"):
            client.quit()
        return reply.startswith(b"+OK")


@pytest.mark.parametrize("scheme", [None, "argon2id"])
def test_add_passwd_remove(either_world, scheme):
    """Each change counts when the command has returned, in every worker and its cache."""
    world = either_world
    world.configure(server={"workers": "3"})
    server = world.start()
    options = ["--scheme", scheme] if scheme else []
    user(world, "add", *options, "bob", password=b"first")
    for _ in range(6):
        assert can_login(server, b"bob", b"first")
    user(world, "passwd", *options, "bob", password=b"second")
    for _ in range(6):
        assert not can_login(server, b"bob", b"first")
        assert can_login(server, b"bob", b"second")
    assert re.search(r"^bob\b", user(world, "list"), re.MULTILINE)
    user(world, "remove", "bob")
    for _ in range(6):
        assert not can_login(server, b"bob", b"second")
    assert not re.search(r"^bob\b", user(world, "list"), re.MULTILINE)
    assert can_login(server, b"alice", b"secret")


def test_one_strong_verifier_a_person(world):
    user(world, "add", "bob", password=b"pass word ")
    line = re.search(r"^bob:(.*)$", world.accounts_file.read_text(), re.MULTILINE)[1]
    assert re.match(r"\{SCRAM-SHA-256\}100000,", line) and "pass word" not in line
    assert line.count("{") == 1
    assert world.accounts_file.stat().st_mode & 0o077 == 0


def test_sessions_that_are_logged_in_go_on(world):
    world.put(b"Subject: x\n\nx\n")
    server = world.start()
    with server.login() as client:
        user(world, "remove", "alice")
        assert client.multiline(b"RETR 1") == b"Subject: x\r\n\r\nx\r\n"
        client.quit()
    assert not can_login(server, b"alice", b"secret")


def test_an_editor_changes_the_file(world):
    server = world.start()
    assert can_login(server, b"alice", b"secret")
    world.write_accounts({"alice": "other", "bob": "secret"})
    restante.wait_until(lambda: can_login(server, b"bob", b"secret"), "the new account", 10)
    assert can_login(server, b"alice", b"other") and not can_login(server, b"alice", b"secret")


def test_commands_without_a_server(world):
    user(world, "add", "bob", password=b"x")
    assert can_login(world.start(), b"bob", b"x")


@pytest.mark.parametrize("verb, name", [("add", "alice"), ("passwd", "unknown"),
                                        ("remove", "unknown"), ("add", "a/b"), ("add", ".."),
                                        ("add", ""), ("add", "x" * 256), ("add", "a:b")])
def test_refusals_change_nothing(world, verb, name):
    before = world.accounts_file.read_bytes()
    result = world.run("user", verb, "-c", world.configuration_file, name, input=b"new\n")
    assert result.returncode != 0 and result.stderr
    assert world.accounts_file.read_bytes() == before


def test_check(world):
    user(world, "check", "alice", password=b"secret")
    assert world.run("user", "check", "-c", world.configuration_file, "alice",
                     input=b"wrong\n").returncode != 0
    assert world.run("user", "check", "-c", world.configuration_file, "unknown",
                     input=b"secret\n").returncode != 0


@pytest.mark.parametrize("secret", [
    "{PLAIN}secret",
    "{SHA512-CRYPT}$6$rounds=5000$abcdefgh$",
    "{BLF-CRYPT}$2y$05$abcdefghijklmnopqrstuu",
    "{CRYPT}$y$j9T$F5Jx5fExrKuPp53xLKQ..1$",
    "{CRYPT}$6$abcdefgh$",
    "{CRYPT}$2y$05$abcdefghijklmnopqrstuu",
])
def test_dovecots_schemes(world, secret):
    scheme, setting = re.match(r"(\{[^}]+\})(.*)", secret).groups()
    stored = secret if scheme == "{PLAIN}" else scheme + crypt.crypt("secret", setting)
    assert stored != secret or scheme == "{PLAIN}"
    world.write_accounts({"alice": "other", "bob": stored})
    server = world.start()
    assert can_login(server, b"bob", b"secret")
    assert not can_login(server, b"bob", b"Secret")


def test_dovecots_fields_and_comments(world):
    """user:password:uid:gid:gecos:home:shell:extra, of which we need the first two."""
    world.accounts_file.write_text(
        "# people\n\nalice:{PLAIN}secret:5000:5000:Alice A.:/home/alice::userdb_quota=1\n")
    server = world.start()
    assert can_login(server, b"alice", b"secret")


def test_a_broken_line_costs_that_line_only(world):
    world.accounts_file.write_text("alice:{PLAIN}secret\nbroken\nbob:{NOSUCH}x\ncarol:{PLAIN}c\n")
    server = world.start()
    assert can_login(server, b"alice", b"secret") and can_login(server, b"carol", b"c")
    assert not can_login(server, b"bob", b"x") and not can_login(server, b"broken", b"")
    server.wait_log(re.escape(str(world.accounts_file)) + ":2")


def test_no_echo_on_a_terminal(world):
    """Asked twice on a terminal, without echo; two that differ are refused."""
    for answers, status in (((b"geheim\n", b"geheim\n"), 0), ((b"one\n", b"two\n"), 1)):
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [restante.BINARY, "user", "passwd", "-c", str(world.configuration_file), "alice"],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), **world.identity())
        os.close(slave)
        seen = b""
        try:
            for answer in answers:
                before = seen.count(b":")
                while seen.count(b":") == before:
                    seen += os.read(master, 1024)
                os.write(master, answer)
            while True:
                seen += os.read(master, 1024)
        except OSError:
            pass  # EIO: the other end is closed
        os.close(master)
        assert (process.wait(60) != 0) == (status != 0), seen
        assert not any(answer.strip() in seen for answer in answers), seen
    assert can_login(world.start(), b"alice", b"geheim")

# SPDX-License-Identifier: MIT
"""`restante user` as a person meets it: the terminal, what it says, what it leaves behind."""

import fcntl
import os
import pty
import re
import select
import signal
import stat
import subprocess
import termios
import time

import pytest

import restante

PATIENCE = 30


def prepare_child():
    """The terminal is its own, and no signal is ignored because whoever runs the tests ignores it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


class Terminal:
    """The command with a terminal of its own, as its controlling one."""

    def __init__(self, world, *arguments, stderr=None):
        self.master, self.slave = pty.openpty()
        self.seen = b""
        self.process = subprocess.Popen(
            [restante.BINARY, "user", *arguments, "-c", str(world.configuration_file)],
            stdin=self.slave, stdout=self.slave, stderr=stderr or self.slave,
            start_new_session=True, cwd="/",
            preexec_fn=prepare_child, **world.identity())

    def expect(self, text):
        """Reads on until `text` comes after what was expected before."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            readable, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
            assert readable, f"{text!r} is not in {self.seen!r}"
            self.seen += os.read(self.master, 1024)
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, octets):
        os.write(self.master, octets)

    @property
    def echoes(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def end(self):
        status = self.process.wait(PATIENCE)
        self.expect_nothing_more()
        return status

    def expect_nothing_more(self):
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 1024)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(world):
    made = []

    def make(*arguments, **options):
        made.append(Terminal(world, *arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def user(world, *arguments, password=None):
    return world.run("user", *arguments, "-c", world.configuration_file,
                     input=b"" if password is None else password)


def is_right(world, name, password):
    return user(world, "check", name, password=password + b"\n").returncode == 0


def test_passwd_asks_twice_without_echo(world, terminal):
    asked = terminal("passwd", "alice")
    asked.expect(b"New password of alice: ")
    assert not asked.echoes
    asked.type(b"geheim and more\n")
    assert asked.expect(b"The same again: ").strip() == b""
    assert not asked.echoes
    asked.type(b"geheim and more\n")
    assert asked.end() == 0
    assert asked.echoes and b"geheim" not in asked.seen
    assert is_right(world, "alice", b"geheim and more")
    assert not is_right(world, "alice", b"secret")


@pytest.mark.parametrize("first, second", [(b"one\n", b"two\n"), (b"one\n", b"one \n"), (b"\n", None),
                                           (b"one\n", b"\n"), (b"\x04", None),
                                           (b"x" * 513 + b"\n", None)],
                         ids=["differ", "blank", "empty", "second empty", "end of input", "long"])
def test_what_is_typed_wrong_changes_nothing(world, terminal, first, second):
    before = world.accounts_file.read_bytes()
    asked = terminal("passwd", "alice")
    asked.expect(b"New password of alice: ")
    asked.type(first)
    if second is not None:
        asked.expect(b"The same again: ")
        asked.type(second)
    assert asked.end() == 64
    assert b"restante: " in asked.seen and asked.echoes
    assert world.accounts_file.read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_finds_the_terminal_as_it_was(world, terminal, number):
    before = world.accounts_file.read_bytes()
    asked = terminal("passwd", "alice")
    asked.expect(b"New password of alice: ")
    asked.type(b"half a pass")
    assert not asked.echoes
    asked.process.send_signal(number)
    assert asked.end() == -number
    assert asked.echoes and b"half" not in asked.seen
    assert world.accounts_file.read_bytes() == before


def test_control_c_works_while_asked(world, terminal):
    asked = terminal("passwd", "alice")
    asked.expect(b"New password of alice: ")
    asked.type(b"abc\x03")
    assert asked.end() == -signal.SIGINT
    assert asked.echoes


def test_check_says_right_or_wrong(world, terminal):
    for password, status, said in ((b"secret", 0, b"the password is right"),
                                   (b"Secret", 77, b"wrong password")):
        asked = terminal("check", "alice")
        asked.expect(b"Password of alice: ")
        assert not asked.echoes
        asked.type(password + b"\n")
        assert asked.end() == status
        assert said in asked.seen and password not in asked.seen


def test_prompt_is_on_the_terminal_even_if_errors_are_not(world, terminal):
    asked = terminal("check", "alice", stderr=subprocess.DEVNULL)
    asked.expect(b"Password of alice: ")
    asked.type(b"secret\n")
    assert asked.end() == 0


@pytest.mark.parametrize("given, password", [
    (b"pw\n", b"pw"), (b"pw", b"pw"), (b"pw\r\n", b"pw"), (b" p w \n", b" p w "),
    (b"pw\nsecond line\n", b"pw"), ("пароль\n".encode(), "пароль".encode()),
    (b"x" * 512 + b"\n", b"x" * 512)])
def test_password_from_a_pipe_is_the_first_line(world, given, password):
    result = user(world, "passwd", "alice", password=given)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    assert is_right(world, "alice", password)
    assert not is_right(world, "alice", password + b"x") or len(password) == 512


def test_a_name_cannot_steer_the_terminal(world):
    """U+009B is what ESC [ does, and no control character in octets."""
    name = "al\u009b31mice"
    refused = user(world, "add", name, password=b"x\n")
    assert refused.returncode == 64 and b"\xc2\x9b" not in refused.stderr
    world.write_accounts({name: "x"})
    for words in (["add", name], ["check", name + "x"], ["list"]):
        result = user(world, *words, password=b"x\n")
        assert b"\\xc2\\x9b" in result.stdout + result.stderr
        assert b"\x9b" not in result.stdout + result.stderr


@pytest.mark.parametrize("arguments, status, said", [
    ([], 64, "the first word is add, passwd, remove, check, list, rules or app-password"),
    (["frobnicate"], 64, "the first word is add"),
    (["add"], 64, "add takes a NAME"),
    (["add", "a", "b"], 64, "add takes a NAME"),
    (["list", "alice"], 64, "list takes no NAME"),
    (["remove", "--scheme", "argon2id", "alice"], 64, "remove takes no --scheme"),
    (["passwd", "--scheme", "plain", "alice"], 64, "scram-sha-256 or argon2id, not as plain"),
    (["passwd", "bob"], 67, "no account is called bob"),
    (["remove", "bob"], 67, "no account is called bob"),
    (["check", "bob"], 67, "no account is called bob"),
    (["add", "alice"], 64, "`restante user passwd' changes it"),
    (["add", "ALICE"], 64, "`restante user passwd' changes it"),
    (["add", "../x"], 67, "does not begin with '.'"),
    (["add", "a\x1b[2Jb"], 67, "no control characters"),
    (["add", "a:b"], 64, "has no ':'"),
])
def test_what_cannot_be_done_is_told(world, arguments, status, said):
    before = world.accounts_file.read_bytes()
    result = user(world, *arguments, password=b"x\n")
    assert result.returncode == status, result.stderr
    assert said in result.stderr.decode()
    assert b"\x1b" not in result.stderr and result.stdout == b""
    assert world.accounts_file.read_bytes() == before


def test_list_shows_how_each_is_kept_and_no_hash(world):
    world.accounts_file.write_text(
        "# people\nalice:{plain}secret\nbob:{SHA512-CRYPT}$6$x$" + "a" * 86 + "\n"
        "carol:!:::::\ndave:{PLAIN}x::::::userdb_mail=maildir:/srv/dave\nerin:{MD5}x\n")
    result = user(world, "list")
    assert result.returncode == 0
    assert result.stdout.decode() == ("alice\tplain\nbob\tSHA512-CRYPT\ncarol\tlocked\n"
                                      "dave\tPLAIN\t/srv/dave\n")
    assert f"{world.accounts_file}:6: scheme {{MD5}} is not served" in result.stderr.decode()
    assert b"secret" not in result.stdout + result.stderr


def test_changes_keep_the_rest_of_the_file(world):
    world.accounts_file.write_bytes(
        b"# people\r\n\nalice:{PLAIN}secret:1000:1000:Alice:/home/a:/bin/sh:userdb_x=y z\r\nbroken\n#end")
    assert user(world, "passwd", "Alice", password=b"new\n").returncode == 0
    assert user(world, "add", "bob", password=b"b\n").returncode == 0
    content = world.accounts_file.read_bytes()
    assert re.fullmatch(
        rb"# people\r\n\nalice:\{SCRAM-SHA-256\}[^:\n]+:1000:1000:Alice:/home/a:/bin/sh:userdb_x=y z\r\n"
        rb"broken\n#end\nbob:\{SCRAM-SHA-256\}[^:\n]+\n", content), content
    assert sorted(os.listdir(world.accounts_file.parent)).count("accounts.new") == 0


def test_first_account_makes_the_file(either_world):
    world = either_world
    world.accounts_file.unlink()
    assert user(world, "passwd", "bob", password=b"b\n").returncode != 0
    assert not world.accounts_file.exists()
    assert user(world, "add", "bob", password=b"\n").returncode == 64
    assert not world.accounts_file.exists()
    result = user(world, "add", "bob", password=b"b\n")
    assert result.returncode == 0, result.stderr
    status = world.accounts_file.stat()
    assert stat.S_IMODE(status.st_mode) == 0o600
    if world.privileged:  # the process that checks passwords must be able to read it
        import pwd
        assert status.st_uid == pwd.getpwnam("daemon").pw_uid
    assert is_right(world, "bob", b"b")


def test_help_names_every_command(world):
    result = user(world, "--help")
    assert result.returncode == 0
    for word in ("add", "passwd", "remove", "check", "list", "--scheme", "-c FILE"):
        assert word in result.stdout.decode()

# SPDX-License-Identifier: MIT
"""Source `command`: a program with the checkpassword interface decides."""

import base64
import os

import pytest

import restante
from checker import Checker

BOB = {b"bob": b"pass word"}


def outcome(server, name, password, **options):
    """True: let in. False: wrong. Else the error's text."""
    with server.client(**options) as client:
        client.ok(b"USER " + name)
        client.send(b"PASS " + password + b"\r\n")
        line = client.line()
        if line.startswith(b"+OK"):
            client.quit()
            return True
        return False if line.startswith(b"-ERR [AUTH]") else line


@pytest.mark.sanitized
def test_login(either_world):
    world = either_world
    checker = Checker(world, BOB)
    checker.configure()
    world.put(b"Subject: for bob\n\nx\n", user="bob")
    server = world.start()
    with server.login(b"bob", b"pass word") as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")
        client.quit()
    assert outcome(server, b"alice", b"secret") is True  # in the file, which is asked first
    question, = checker.asked()
    assert (question.name, question.password) == (b"bob", b"pass word")
    assert question.environment == {b"PATH": b"/usr/sbin:/usr/bin:/sbin:/bin", b"PROTO": b"TCP",
                                    b"SERVICE": b"pop3", b"TCPREMOTEIP": b"127.0.0.1"}
    assert question.uid == (1 if world.privileged else restante.PLAIN_UID)
    assert question.descriptors == [0, 1, 2, 3, 4, 5, 6]  # the last two are the checker's own


@pytest.mark.sanitized
def test_what_its_statuses_mean(world):
    checker = Checker(world, BOB)
    checker.configure()
    server = world.start()
    assert outcome(server, b"bob", b"wrong") is False
    assert outcome(server, b"nobody", b"wrong") is False
    for before, told in (
            ("sys.exit(111)", "ended with 111"),
            ("sys.exit(2)", "ended with 2"),
            ("sys.exit(126)", "ended with 126"),
            ("sys.exit(0)", "did not run its arguments"),
            ("os.kill(os.getpid(), signal.SIGSEGV)", "was ended by signal 11"),
            ("os.close(4)", "did not run its arguments|ended with 111")):
        checker.write(before)
        assert outcome(server, b"bob", b"pass word").startswith(b"-ERR [SYS/TEMP]"), before
        server.wait_log(rf"source command: user=bob: .*({told})")
    checker.write()
    assert outcome(server, b"bob", b"pass word") is True


def test_a_wrong_password_ends_the_search_and_an_unknown_name_does_not(world):
    checker = Checker(world, {b"alice": b"of the command", **BOB})
    checker.configure("command file")
    server = world.start()
    assert outcome(server, b"alice", b"of the command") is True
    assert outcome(server, b"alice", b"secret") is False, "a later source let in a name of an earlier one"
    checker.people.write_bytes(b"bob pass word\n")
    assert outcome(server, b"alice", b"secret") is True
    checker.write("sys.exit(111)")
    assert outcome(server, b"alice", b"secret").startswith(b"-ERR [SYS/TEMP]")


def test_the_file_is_not_needed(world):
    checker = Checker(world, BOB)
    checker.configure("command", accounts={"file": None})
    world.accounts_file.unlink()
    server = world.start()
    assert outcome(server, b"bob", b"pass word") is True
    assert outcome(server, b"alice", b"secret") is False
    assert outcome(server, b"bob", b"wrong") is False
    result = world.run("user", "list", "-c", world.configuration_file)
    assert result.returncode == os.EX_CONFIG and b"names no accounts file" in result.stderr


@pytest.mark.sanitized
def test_what_the_environment_brings(make_world):
    """Name, ids and maildrop; seen by whose mail is read, and by what the program became."""
    world = make_world(privileged=True)
    checker = Checker(world, BOB, after='os.environb[b"USER"] = b"robert"; '
                                        f'os.environb[b"userdb_mail"] = b"maildir:{world.mail}/r"')
    checker.configure()
    world.put(b"Subject: for robert\n\nx\n", user="r")
    server = world.start()
    with server.login(b"bob", b"pass word") as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")
        client.quit()
    server.wait_log(r"session user=robert .* end=quit")
    checker.write(after='os.environb[b"USER"] = b"../alice"')
    assert outcome(server, b"bob", b"pass word").startswith(b"-ERR [SYS/TEMP]")
    checker.write(after='os.environb[b"userdb_mail"] = b"mbox:/x"')
    assert outcome(server, b"bob", b"pass word").startswith(b"-ERR [SYS/TEMP]")
    checker.write(after='os.environb[b"userdb_uid"] = b"-1"')
    assert outcome(server, b"bob", b"pass word").startswith(b"-ERR [SYS/TEMP]")
    checker.write(after='os.environb[b"USER"] = b"x" * 256')
    assert outcome(server, b"bob", b"pass word").startswith(b"-ERR [SYS/TEMP]")


def test_who_runs_it(make_world):
    world = make_world(privileged=True)
    checker = Checker(world, BOB, after="os.setgid(61234); os.setuid(61234)")
    checker.configure(accounts={"command-user": "root"})
    server = world.start()
    assert outcome(server, b"bob", b"pass word") is True
    assert checker.asked()[0].uid == 0


def plain(client, name, password):
    """By AUTH PLAIN, which takes names that no USER line could hold."""
    client.send(b"AUTH PLAIN " + base64.b64encode(b"\0" + name + b"\0" + password) + b"\r\n")
    return client.line().startswith(b"+OK")


NAMES = [b"'; DROP TABLE users; --", b'" OR ""="', b"%s%n%u%d", b"*()", b"(uid=*)", b"a)(|(uid=*", b"$(id)",
         b"`id`", b"a b", b"\\", b"\\x00", b"-rf", b"--help", b"user:1", b"a;b", b"#", b"{PLAIN}x", b"~root",
         "\u0444\u0435\u0434\u044f".encode(), b"x" * 200, b"USER=root", b"a=b"]


@pytest.mark.sanitized
def test_any_name_comes_as_it_is(world):
    """Each is let in with its own password and no other; none is taken for anything but a name."""
    checker = Checker(world, {})
    table = {name: b"of " + name for name in NAMES}
    checker.write(before=f"known_ = {table!r}; "
                         "password == known_.get(name) or sys.exit(1 if name in known_ else 3); "
                         'os.environb[b"USER"] = b"u%d" % list(known_).index(name); '
                         "os.execv(sys.argv[1], sys.argv[1:])")
    checker.configure()
    server = world.start()
    for number, name in enumerate(NAMES):
        with server.client() as client:
            assert plain(client, name, b"of " + name), name
        with server.client() as client:
            assert not plain(client, name, b"of " + NAMES[number - 1]), name
    with server.client() as client:
        assert not plain(client, b"\xff\xfe", b"of no UTF-8")  # RFC 4616 section 2: nobody is asked
    assert {question.name for question in checker.asked()} == set(NAMES)


def test_passwords_that_cannot_be_told(world):
    """512 octets are the interface's most; what does not fit is wrong, and nobody is asked."""
    checker = Checker(world, BOB)
    checker.configure()
    server = world.start()
    with server.client() as client:
        assert not plain(client, b"bob", b"x" * 500)
    assert checker.asked() == []


def test_delivery(either_world):
    """A name alone is looked up where the operator says that the program can; else mail waits."""
    world = either_world
    checker = Checker(world, BOB)
    checker.configure()
    server = world.start()
    letter = b"Subject: x\n\nx\n"
    run = lambda user: world.run("deliver", user, "-c", world.configuration_file, input=letter)
    assert run("alice").returncode == 0  # the file is asked first
    result = run("bob")
    assert result.returncode == os.EX_TEMPFAIL and b"command-lookup" in result.stderr
    assert checker.asked() == [], "asked without a password"
    server.stop()
    checker.configure(accounts={"command-lookup": "yes"})
    world.maildrop("bob")
    server = world.start()
    assert run("bob").returncode == 0
    assert run("nobody").returncode == os.EX_NOUSER
    question = checker.asked()[0]
    assert question.password == b"" and question.environment[b"AUTHORIZED"] == b"1"
    with server.login(b"bob", b"pass word") as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")
        client.quit()
    checker.write(after='del os.environb[b"AUTHORIZED"]')
    result = run("bob")
    assert result.returncode == os.EX_TEMPFAIL and b"AUTHORIZED" in result.stderr


@pytest.mark.parametrize("accounts, line, told", [
    ({"source": "file, command"}, 9, ["command is missing", "absolute path"]),
    ({"source": "command, file", "command": "/no/such/program"}, 11, ["/no/such/program", "No such file"]),
    ({"source": "file, command", "command": "/etc/passwd x"}, 11, ["/etc/passwd", "chmod"]),
    ({"source": "file, file"}, 9, ["each at most once"]),
    ({"source": "file, ldap"}, 9, ["file, pam, command"]),
    ({"source": ","}, 9, ["file, pam, command"]),
    ({"source": "command", "command": "/bin/true", "source-timeout": "0"}, 12, ["source-timeout"]),
    ({"source": "command", "command": "/bin/true", "source-processes": "17"}, 12, ["from 1 to 16"]),
    ({"source": "pam", "pam-service": "no-such-service"}, 11, ["/etc/pam.d/no-such-service", "copy"]),
    ({"source": "pam", "pam-service": "../x"}, 11, ["pam-service", "absolute path"]),
])
def test_mistakes(world, accounts, line, told):
    text = (f"[pop3]\nlisten = 127.0.0.1:0\n[server]\nstate-dir = {world.state}\n[maildrop]\n"
            f"path = {world.mail}/%u\n[accounts]\n# here\n")
    text += f"source = {accounts.pop('source')}\n"
    text += f"file = {world.accounts_file}\n"
    text += "".join(f"{key} = {value}\n" for key, value in accounts.items())
    world.configure(text=text)
    result = world.run("check-config", "-c", world.configuration_file)
    output = (result.stdout + result.stderr).decode()
    assert result.returncode == 2
    at, = [text for text in output.splitlines() if f"restante.conf:{line}: " in text and told[0] in text]
    assert all(part in at for part in told), at


def test_a_missing_file_is_told(world):
    world.configure(accounts={"file": None})
    result = world.run("check-config", "-c", world.configuration_file)
    assert result.returncode == 2 and b"file is missing in section [accounts]" in result.stderr

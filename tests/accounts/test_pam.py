# SPDX-License-Identifier: MIT
"""Source `pam`, with Debian's own modules: pam_userdb over a real database, pam_unix over real system users."""

import base64
import os
import pwd
import secrets
import subprocess

import pytest

import memory
import people
import restante


class Service:
    """A service of PAM in a world, and who is in its database."""

    def __init__(self, world, *lines):
        self.world = world
        self.file = world.folder / "pop"
        self.database = world.folder / "people"
        self.file.write_text("".join(line.replace("DB", str(self.database)) + "\n" for line in lines))
        world.own(self.file)

    def fill(self, people):
        """As pam_userdb(8) says; a new file in the old one's place."""
        draft = self.world.folder / "people.new"
        draft.unlink(missing_ok=True)
        text = b"".join(escape(name) + b"\n" + escape(password) + b"\n"
                        for name, password in people.items())
        subprocess.run(["db_load", "-T", "-t", "hash", draft], input=text, check=True)
        self.world.own(draft)
        draft.rename(self.database.with_suffix(".db"))

    def configure(self, source="file, pam", **accounts):
        self.world.configure(accounts={"source": source, "pam-service": self.file, **accounts})


def escape(octets):
    return b"".join(b"\\%02x" % octet if octet < 0x20 or octet > 0x7e or octet == 0x5c
                    else bytes([octet]) for octet in octets)


USERDB = ("auth required pam_userdb.so db=DB", "account required pam_userdb.so db=DB")


def outcome(server, name, password):
    """By AUTH PLAIN, which takes any octets. The line of the answer."""
    with server.client() as client:
        client.send(b"AUTH PLAIN " + base64.b64encode(b"\0" + name + b"\0" + password) + b"\r\n")
        line = client.line()
        if line.startswith(b"+OK"):
            client.quit()
        return line


@pytest.mark.sanitized
def test_userdb(either_world):
    world = either_world
    service = Service(world, *USERDB)
    service.fill({b"bob": b"pass word", b"mallory": b"x"})
    service.configure()
    world.put(b"Subject: for bob\n\nx\n", user="bob")
    server = world.start()
    with server.login(b"bob", b"pass word") as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")
        client.quit()
    assert outcome(server, b"alice", b"secret").startswith(b"+OK")  # of the file, which comes first
    for name, password in ((b"bob", b"x"), (b"bob", b"pass wor"), (b"mallory", b"pass word"),
                           (b"nobody at all", b"x"), (b"BOB", b"pass word")):
        assert outcome(server, name, password).startswith(b"-ERR [AUTH]"), name
    service.fill({b"bob": b"changed"})
    assert outcome(server, b"bob", b"pass word").startswith(b"-ERR [AUTH]")
    assert outcome(server, b"bob", b"changed").startswith(b"+OK")


def test_unknown_to_pam_goes_on_and_a_broken_module_does_not(world):
    service = Service(world, *USERDB)
    service.fill({b"bob": b"of PAM"})
    service.configure("pam, file")
    world.write_accounts({"alice": "secret", "bob": "of the file"})
    server = world.start()
    assert outcome(server, b"alice", b"secret").startswith(b"+OK")
    assert outcome(server, b"bob", b"of PAM").startswith(b"+OK")
    assert outcome(server, b"bob", b"of the file").startswith(b"-ERR [AUTH]")
    service.database.with_suffix(".db").unlink()
    assert outcome(server, b"alice", b"secret").startswith(b"-ERR [SYS/TEMP]")
    server.wait_log(r"source pam: user=alice: PAM: ")


NAMES = [b"'; DROP TABLE users; --", b'" OR ""="', b"%s%n%u%d", b"*()", b"(uid=*)", b"$(id)", b"a b", b"\\",
         b"user:1", b"root:x", "\u0444\u0435\u0434\u044f".encode(), b"x" * 200, b"a=b"]


@pytest.mark.sanitized
def test_any_name_comes_as_it_is(world):
    service = Service(world, *USERDB)
    service.fill({name: b"of " + name for name in NAMES})
    service.configure("pam", file=None)
    server = world.start()
    for number, name in enumerate(NAMES):
        assert outcome(server, name, b"of " + name).startswith(b"+OK"), name
        assert outcome(server, name, b"of " + NAMES[number - 1]).startswith(b"-ERR [AUTH]"), name
        assert outcome(server, name + b"'", b"of " + name).startswith(b"-ERR [AUTH]"), name
    for password in (b"x" * 511, b"of a b\x01"):
        assert outcome(server, b"a b", password).startswith(b"-ERR [AUTH]")


def test_the_account_phase_counts(world):
    service = Service(world, USERDB[0], "account required pam_deny.so")
    service.fill({b"bob": b"pass word"})
    service.configure()
    server = world.start()
    assert outcome(server, b"bob", b"pass word").startswith(b"-ERR [AUTH]")


def test_a_module_that_asks_more_than_a_password_is_refused(world):
    """Nobody can answer; and nothing hangs."""
    service = Service(world, "auth required pam_exec.so expose_authtok quiet /bin/false",
                      "account required pam_permit.so")
    service.configure()
    server = world.start()
    assert outcome(server, b"bob", b"x").startswith(b"-ERR [")


def test_no_wait_for_a_wrong_password(world):
    """Modules ask for some seconds of sleep; the server slows down who guesses by itself, and a process that
    sleeps answers nobody. Here it would be ten minutes for twenty passwords."""
    service = Service(world, "auth optional pam_faildelay.so delay=30000000", *USERDB)
    service.fill({b"bob": b"pass word"})
    service.configure(**{"source-processes": "1", "source-timeout": "20s"})
    server = world.start()
    for _ in range(20):
        assert outcome(server, b"bob", b"wrong").startswith(b"-ERR [AUTH]")


@pytest.mark.sanitized
def test_a_module_that_hangs(world):
    service = Service(world, "auth [default=ignore] pam_exec.so quiet /bin/sleep 1000", *USERDB)
    service.fill({b"bob": b"pass word"})
    service.configure(**{"source-processes": "1", "source-timeout": "8s"})
    server = world.start()
    assert outcome(server, b"bob", b"pass word").startswith(b"-ERR [SYS/TEMP]")
    assert outcome(server, b"alice", b"secret").startswith(b"+OK")
    server.wait_log("source pam .* it is killed")
    service.file.write_text("\n".join(USERDB).replace("DB", str(service.database)) + "\n")
    restante.wait_until(lambda: outcome(server, b"bob", b"pass word").startswith(b"+OK"), "let in")


@pytest.mark.skipif(not restante.IS_ROOT, reason="needs root: reads the memory of other processes")
@pytest.mark.parametrize("right", [True, False])
def test_the_password_is_forgotten(world, right):
    """By us, and by Linux-PAM and its modules as well."""
    password = secrets.token_hex(24).encode()
    service = Service(world, *USERDB)
    service.fill({b"bob": b"another"})
    if right:
        service.file.write_text("auth required pam_exec.so expose_authtok quiet /bin/true\n"
                                "account required pam_permit.so\n")
    service.configure(**{"source-processes": "1"})
    server = world.start()
    for _ in range(2):
        assert outcome(server, b"bob", password).startswith(b"+OK" if right else b"-ERR [AUTH]")
    for process in server.processes():
        assert memory.find(process.pid, password, password[:-1], password[1:], password[4:20]) == [], \
            f"the password is in the memory of {process.command}"
    assert password.decode() not in server.log()


@pytest.fixture
def unix_world(make_world):
    """The sample service, as an operator copies it."""
    world = make_world(privileged=True)
    sample = (restante.ROOT / "packaging/pam.d/restante").read_text().splitlines()
    service = Service(world, *sample)
    service.configure()
    return world


@pytest.mark.sanitized
def test_system_users(unix_world):
    """pam_unix reads the system's own passwords. Ids and home come from the system's table."""
    with people.system_user("restante-test-pam", "pass: word"):
        unix_world.put(b"Subject: x\n\nx\n", user="restante-test-pam")
        server = unix_world.start()
        with server.login(b"restante-test-pam", b"pass: word") as client:
            assert client.ok(b"STAT").startswith(b"+OK 1 ")
            client.quit()
        assert outcome(server, b"restante-test-pam", b"wrong").startswith(b"-ERR [AUTH]")
        assert outcome(server, b"restante-test-pam", b"").startswith(b"-ERR")
        letter = b"Subject: y\n\ny\n"
        run = unix_world.run("deliver", "restante-test-pam", "-c", unix_world.configuration_file,
                             input=letter)
        assert run.returncode == 0, run.stderr
        run = unix_world.run("deliver", "restante-test-none", "-c", unix_world.configuration_file,
                             input=letter)
        assert run.returncode == os.EX_NOUSER, run.stderr
        people.expire("restante-test-pam")
        assert outcome(server, b"restante-test-pam", b"pass: word").startswith(b"-ERR [AUTH]")


def test_who_is_no_person_is_refused(unix_world):
    """uid below 1000, by the sample; root has no mail."""
    server = unix_world.start()
    for user in ("root", "daemon"):
        assert pwd.getpwnam(user).pw_uid < 1000
        assert outcome(server, user.encode(), b"").startswith(b"-ERR")
        assert outcome(server, user.encode(), b"x").startswith(b"-ERR [AUTH]")

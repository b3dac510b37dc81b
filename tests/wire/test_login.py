# SPDX-License-Identifier: MIT
"""Who may log in, how, and what a failure tells."""

import os
import pathlib
import signal
import socket
import time

import pytest

import pop3


def has_global_address():
    """An address of this machine that is not loopback, if there is one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


@pytest.mark.sanitized
def test_login_and_files(either_world):
    either_world.put(b"Subject: x\n\nx\n")
    server = either_world.start()
    with server.login() as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")
        client.ok(b"DELE 1")
        client.quit()
    assert [path for place in ("new", "cur", "tmp")
            for path in (either_world.maildrop() / place).iterdir()] == []


def test_started_as_root_only_the_master_stays_root(make_world):
    world = make_world(privileged=True)
    server = world.start()
    server.login().quit()
    uids = {process.pid: process.uid for process in server.processes()}
    assert uids.pop(server.pid) == 0
    assert len(uids) == 3 and 0 not in uids.values()  # two workers, auth
    assert len(set(uids.values())) == 2, "auth and the workers share a user"
    accounts = world.accounts_file.stat()
    assert accounts.st_mode & 0o077 == 0
    for worker in server.workers():
        assert worker.uid != accounts.st_uid


@pytest.mark.parametrize("value, allowed", [("loopback", True), ("always", True), ("never", False)])
def test_plaintext_login(world, value, allowed):
    world.configure(pop3={"plaintext-login": value})
    with world.start().client() as client:
        assert (b"USER" in client.lines(b"CAPA")) == allowed
        if allowed:
            client.login()
        else:
            client.error(b"USER alice")
            client.error(b"PASS secret")


@pytest.mark.parametrize("value, allowed", [("loopback", False), ("always", True)])
def test_plaintext_login_from_elsewhere(world, value, allowed):
    address = has_global_address()
    if not address:
        pytest.skip("needs an address that is not loopback")
    world.configure(pop3={"plaintext-login": value, "listen": f"{address}:0"})
    with world.start().client() as client:
        assert (b"USER" in client.lines(b"CAPA")) == allowed
        if allowed:
            client.login()
        else:
            client.error(b"USER alice")
            client.error(b"PASS secret")


def test_ipv6_and_several_listeners(world):
    world.configure(pop3={"listen": "127.0.0.1:0, [::1]:0, 127.0.0.2:0"})
    server = world.start()
    assert [address[0] for address in server.addresses] == ["127.0.0.1", "::1", "127.0.0.2"]
    for address in server.addresses:
        with pop3.Client(address) as client:
            client.login()
            client.quit()


@pytest.mark.alone
@pytest.mark.parametrize("user, password", [(b"alice", b"wrong"), (b"unknown", b"secret"),
                                            (b"..", b"x"), (b"a/b", b"x"), (b"x" * 250, b"x")],
                         ids=["wrong password", "unknown", "dots", "slash", "long"])
def test_failure_delay(world, user, password):
    """Answered at receipt + failure-delay, whatever the cause; a success does not wait."""
    world.configure(limits={"failure-delay": "1s"})
    server = world.start()
    with server.client() as client:
        client.ok(b"USER " + user)
        start = time.monotonic()
        assert client.error(b"PASS " + password) == b"-ERR [AUTH] Invalid credentials"
        assert 1.0 <= time.monotonic() - start < 1.3
        start = time.monotonic()
        client.login()
        assert time.monotonic() - start < 0.5


def test_failures_side_by_side_do_not_add_up(world):
    world.configure(limits={"failure-delay": "1s", "failure-delay-max": "1s"})
    server = world.start()
    clients = [server.client() for _ in range(20)]
    start = time.monotonic()
    for client in clients:
        client.send(b"USER alice\r\nPASS wrong\r\n")
    for client in clients:
        assert client.reply() == b"+OK"
        assert client.reply().startswith(b"-ERR [AUTH]")
        client.socket.close()
    assert 1.0 <= time.monotonic() - start < 8


def test_the_answer_does_not_tell_who_exists(world):
    server = world.start()
    answers = set()
    for user, password in ((b"alice", b"wrong"), (b"nobody", b"secret"), (b"alice", b"secret "),
                           (b"alice", b"Secret"), (b"\xff\xfe", b"x"), (b"a/b", b"x")):
        with server.client() as client:
            answers.add((client.command(b"USER " + user), client.command(b"PASS " + password)))
    assert answers == {(b"+OK", b"-ERR [AUTH] Invalid credentials")}


def test_passwords_to_the_octet(world):
    """Spaces, 8-bit octets and all: PASS keeps every octet after its first space."""
    for password in (" two  spaces ", "\u043f\u0430\u0440\u043e\u043b\u044c", "x" * 400, "{PLAIN}x", " "):
        octets = password.encode()
        set_password = world.run("user", "add", "-c", world.configuration_file, "bob",
                                 input=octets + b"\n")
        assert set_password.returncode == 0, set_password.stderr
        server = world.start()
        server.login(b"bob", octets).quit()
        assert world.run("user", "remove", "-c", world.configuration_file, "bob").returncode == 0
        with server.client() as client:
            client.ok(b"USER bob")
            client.error(b"PASS " + octets)
        server.stop()


@pytest.mark.sanitized
def test_max_bad_commands(world):
    world.configure(pop3={"max-bad-commands": "3"})
    with world.start().client() as client:
        client.error(b"XYZZY")
        client.error(b"XYZZY")
        client.ok(b"CAPA")
        client.body()
        client.send(b"XYZZY\r\n" * 4)
        assert client.reply().startswith(b"-ERR")
        rest = client.rest()
        assert all(line.startswith(b"-ERR") for line in rest.split(b"\r\n")[:-1])


def test_capa_says_what_is_true(world):
    world.configure(pop3={"expire": "30", "utf8": "yes", "mechanisms": "none"})
    with world.start().client() as client:
        before = client.lines(b"CAPA")
        assert {b"TOP", b"USER", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING", b"UIDL",
                b"EXPIRE 30", b"LANG", b"STLS"} <= set(before)
        assert any(line.startswith(b"UTF8") for line in before)
        assert not any(line.startswith((b"SASL", b"LOGIN-DELAY")) for line in before)
        client.login()
        after = client.lines(b"CAPA")
        assert any(line.startswith(b"IMPLEMENTATION ") for line in after)
        assert b"STLS" not in after


@pytest.mark.sanitized
def test_pipelined_from_the_first_octet(world):
    world.put(b"Subject: x\n\nx\n")
    server = world.start()
    with server.client(greeting=False) as client:
        client.send(b"CAPA\r\nUSER alice\r\nPASS secret\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n")
        assert client.line().startswith(b"+OK")
        client.reply()
        client.body()
        replies = [client.reply() for _ in range(4)]
        assert replies[:2] == [b"+OK", b"+OK Mailbox locked and ready"]
        assert client.body() == b"Subject: x\r\n\r\nx\r\n"
        assert client.reply() == b"+OK Message marked for deletion"
        assert client.reply() == b"+OK Goodbye"
        client.expect_close()


def test_many_first_logins_at_the_same_moment(world):
    """More than the socket between worker and auth holds while auth is busy: they wait, none is refused."""
    people = [f"user{number}" for number in range(500)]
    world.write_accounts(dict.fromkeys(people, "secret"))
    world.configure(server={"workers": "1"}, limits={"connections-per-address": "1000"})
    server = world.start()
    [auth] = [process for process in server.children() if "auth" in process.command]
    clients = [server.client() for _ in people]
    os.kill(auth.pid, signal.SIGSTOP)
    try:
        for client, user in zip(clients, people):
            client.send(b"USER %s\r\nPASS secret\r\n" % user.encode())
        for client in clients:
            assert client.reply().startswith(b"+OK")
    finally:
        os.kill(auth.pid, signal.SIGCONT)
    replies = [client.reply() for client in clients]
    assert [reply for reply in replies if not reply.startswith(b"+OK")] == []
    for client in clients:
        client.quit()


def test_hashes_give_way_to_sessions(world):
    """The threads that hash passwords take what sessions leave, but for one that has a share, and a small one."""
    server = world.start()
    server.login().quit()
    auth = next(process for process in server.children() if "auth" in process.command)

    threads = [int(task.name) for task in pathlib.Path(f"/proc/{auth.pid}/task").iterdir()]
    threads.remove(auth.pid)
    policies = [os.sched_getscheduler(thread) for thread in threads]
    assert os.SCHED_IDLE in policies
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, auth.pid) == own
    priorities = [os.getpriority(os.PRIO_PROCESS, thread) for thread in threads]
    assert sorted(priorities) == [own] * (len(threads) - 1) + [min(own + 15, 19)]

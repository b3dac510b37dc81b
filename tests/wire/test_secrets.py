# SPDX-License-Identifier: MIT
"""After the answer to PASS the password is in no process's memory, in no log, and in no core."""

import crypt
import os
import re
import secrets
import signal
import subprocess

import pytest

import memory
import restante

needs_root = pytest.mark.skipif(not restante.IS_ROOT,
                                reason="needs root: reads the memory of other processes")


def forms(password):
    """The password itself and what a parser or a hash may have made of it."""
    return [password, password[:-1], password[1:], password[4:20]]


def assert_forgotten(server, password):
    for process in server.processes():
        assert memory.find(process.pid, *forms(password)) == [], \
            f"the password is in the memory of {process.command}"
    assert password.decode() not in server.log()


@needs_root
@pytest.mark.parametrize("scheme", ["scram-sha-256", "argon2id", "crypt"])
def test_password_is_forgotten(either_world, scheme):
    world = either_world
    server = world.start()
    password = secrets.token_hex(24).encode()
    if scheme == "crypt":
        hashed = crypt.crypt(password.decode(), "$6$rounds=1000$abcdefgh$")
        world.write_accounts({"bob": "{CRYPT}" + hashed})
        server.stop()
        server = world.start()
    else:
        added = world.run("user", "add", "-c", world.configuration_file, "--scheme", scheme, "bob",
                          input=password + b"\n")
        assert added.returncode == 0, added.stderr
    # The scan sees what is there: the name of one who is logged in.
    marker = b"bob"
    for _ in range(2):  # the second time the worker's cache answers
        with server.login(b"bob", password) as client:
            assert_forgotten(server, password)
            assert any(memory.find(process.pid, marker) for process in server.workers())
            client.quit()
        assert_forgotten(server, password)


@needs_root
@pytest.mark.parametrize("how", ["at once", "octet by octet", "pipelined", "unknown user",
                                 "never finished", "too long"])
def test_wrong_password_is_forgotten(world, how):
    server = world.start()
    password = secrets.token_hex(24).encode()
    user = b"unknown" if how == "unknown user" else b"alice"
    client = server.client()
    if how == "never finished":
        client.ok(b"USER alice")
        client.send(b"PASS " + password)
        client.socket.close()
        with server.login() as other:
            other.quit()
        restante.wait_until(lambda: not any(
            memory.find(process.pid, password) for process in server.processes()), "it is forgotten")
        return
    if how == "octet by octet":
        client.ok(b"USER alice")
        for octet in b"PASS " + password + b"\r\n":
            client.send(bytes([octet]))
        reply = client.reply()
    elif how == "pipelined":
        client.send(b"USER alice\r\nPASS " + password + b"\r\nNOOP\r\n")
        client.reply()
        reply = client.reply()
        client.reply()
    elif how == "too long":
        client.ok(b"USER alice")
        reply = client.command(b"PASS " + password * 20)
    else:
        client.ok(b"USER " + user)
        reply = client.command(b"PASS " + password)
    assert reply.startswith(b"-ERR")
    assert_forgotten(server, password)
    client.socket.close()


@needs_root
def test_the_scan_finds_what_is_there(world):
    server = world.start()
    with server.client() as client:
        client.send(b"USER marker-that-must-be-found\r\n")
        assert client.reply() == b"+OK"
        assert any(memory.find(process.pid, b"marker-that-must-be-found")
                   for process in server.workers())


def may_read_memory(pid, uid):
    """Whether a process of that user may read the memory of another."""
    reader = os.fork()
    if reader == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            open(f"/proc/{pid}/mem", "rb").close()
        except PermissionError:
            os._exit(0)
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(reader, 0)[1]) != 0


@needs_root
def test_not_dumpable(either_world):
    """Their own user may not read them either."""
    server = either_world.start()
    with server.login():
        for process in server.processes():
            assert not may_read_memory(process.pid, process.uid or restante.PLAIN_UID), \
                process.command


def dies_with_a_core(pid):
    os.kill(pid, signal.SIGABRT)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status)
    return os.WCOREDUMP(status)


def test_no_core_is_written(either_world):
    """Whatever the limits with which they were started."""
    world = either_world
    folder = world.folder / "cores"
    folder.mkdir()
    world.own(folder)
    dumping = ["prlimit", "--core=unlimited", "env", "-C", folder]
    control = subprocess.Popen([*dumping, "sleep", "60"], **world.identity())
    restante.wait_until(lambda: restante.Process(control.pid).command.startswith("sleep"), "sleeping")
    assert dies_with_a_core(control.pid)
    control.returncode = -signal.SIGABRT
    for core in folder.iterdir():
        core.unlink()
    server = world.start(prefix=dumping)
    with server.login():
        for process in server.processes():
            with open(f"/proc/{process.pid}/limits") as limits:
                assert re.search(r"^Max core file size +0 +0 ", limits.read(), re.MULTILINE), \
                    process.command
        for worker in server.workers():
            os.kill(worker.pid, signal.SIGABRT)
    server.wait_log("signal 6")
    server.stopped = True
    assert not dies_with_a_core(server.pid)
    server.process.returncode = -signal.SIGABRT
    restante.wait_until(lambda: not server.processes(), "all processes gone")
    assert list(folder.iterdir()) == []


@needs_root
def test_the_check_of_dumpable_sees_one(world):
    with subprocess.Popen(["sleep", "60"], user=world.owner, group=world.owner,
                          extra_groups=[]) as sleeper:
        try:
            assert may_read_memory(sleeper.pid, world.owner)
        finally:
            sleeper.kill()

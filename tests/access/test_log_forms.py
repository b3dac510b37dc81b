# SPDX-License-Identifier: MIT
"""Formats and targets of the log, as who reads them gets them."""

import datetime
import json
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

import maildir
import restante

NAMES = [b"alice", b'quote"address=10.9.8.7:1"reason=bad_credentials', b"back\\slash",
         b"\xff\xfe\xd0\x94", b"esc\x1b[31m", b"x" * 400, b"%s%n", b"{}[],:"]


def fail_with(server, name):
    with server.client() as client:
        client.command(b"USER " + name)
        client.command(b"PASS wrong")
        client.quit()


@pytest.mark.sanitized
def test_json(either_world):
    world = either_world
    world.configure(log={"format": "json", "level": "debug"})
    for size in (400, 500):
        world.put(maildir.of_size(size))
    server = world.start()
    with server.login() as client:
        port = client.socket.getsockname()[1]
        client.multiline(b"RETR 2")
        client.ok(b"DELE 1")
        client.quit()
    for name in NAMES:
        fail_with(server, name)
    server.stop()
    lines = server.log().splitlines()
    # What is said before the configuration is read has no format yet.
    objects = [json.loads(line) for line in lines]
    for item in objects:
        datetime.datetime.fromisoformat(item["time"].replace("Z", "+00:00"))
        assert item["level"] in ("error", "warning", "info", "debug")
        assert item["process"].startswith("restante") and item["pid"] > 1
        assert ("message" in item) != ("event" in item)
    [session] = [item for item in objects if item.get("event") == "session" and item["user"]]
    for key in ("time", "level", "process", "pid"):
        del session[key]
    assert session.pop("duration") >= 0
    assert session == {
        "event": "session", "user": "alice", "address": "127.0.0.1", "port": port, "method": "USER",
        "messages": 2, "octets": 900, "retr": {"messages": 1, "octets": 500},
        "top": {"messages": 0, "octets": 0}, "dele": {"messages": 1, "octets": 400}, "removed": 1,
        "failed-logins": 0, "end": "quit"}
    failed = [item for item in objects if item.get("event") == "login failed"]
    wanted = [name[:159].decode("latin-1") for name in NAMES]
    told = [item["user"] for item in failed]
    assert [name for name in told if name in wanted] == told and set(told) >= {
        "alice", 'quote"address=10.9.8.7:1"reason=bad_credentials', "back\\slash"}
    for item in failed:
        assert item["address"] == "127.0.0.1" and isinstance(item["port"], int)


class Receiver:
    """A log daemon's socket in a folder that only the server sees under the daemon's path."""

    def __init__(self, path):
        self.path = path
        self.socket = None
        self.open()

    def open(self):
        if self.socket:
            self.socket.close()
            self.path.unlink()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.path.chmod(0o666)
        self.socket.settimeout(10)

    def next(self, pattern):
        """The next datagram that has it."""
        while True:
            octets = self.socket.recv(65536)
            if re.search(pattern, octets):
                return octets


def bound(source, target):
    """A command before the server's: in a mount namespace in which `target` is `source`."""
    return ["unshare", "--mount", "--propagation", "private", "sh", "-ec",
            f'mount --bind "{source}" "{target}"; exec "$@"', "sh"]


needs_root = pytest.mark.skipif(not restante.IS_ROOT, reason="mounts")


def journal_of(world):
    """A folder to lie over the journal's, and who listens there."""
    journal = world.folder / "journal"
    journal.mkdir()
    pathlib.Path("/run/systemd/journal").mkdir(parents=True, exist_ok=True)
    return journal, Receiver(journal / "socket")


@needs_root
@pytest.mark.sanitized
@pytest.mark.parametrize("form", ["text", "json"])
def test_syslog(make_world, form):
    world = make_world(privileged=True)
    devices = world.folder / "dev"
    devices.mkdir()
    for name in ("null", "urandom", "random", "zero"):
        number = os.stat(f"/dev/{name}").st_rdev
        os.mknod(devices / name, 0o666 | 0o020000, number)
        (devices / name).chmod(0o666)
    receiver = Receiver(devices / "log")
    world.configure(log={"target": "syslog", "format": form})
    server = world.start(prefix=bound(devices, "/dev"))
    fail_with(server, NAMES[1])
    line = receiver.next(rb"login failed").decode("ascii")
    head = re.match(r"<22>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d restante-worker\[\d+\]: ", line)
    assert head and "\n" not in line
    if form == "json":
        assert json.loads(line[head.end():])["user"] == NAMES[1].decode()
    else:
        assert re.fullmatch(r'login failed user="quote\\x22address=10\.9\.8\.7:1\\x22reason='
                            r'bad_credentials" address=127\.0\.0\.1:\d+ method=USER reason=\w+',
                            line[head.end():])
    # A log daemon that is started anew is found again, by workers that can open no socket.
    receiver.open()
    server.signal(signal.SIGHUP)
    receiver.next(rb"<22>.* restante\[\d+\]: .*reloaded")
    fail_with(server, b"after")
    assert b"after" in receiver.next(rb"login failed")
    assert "login failed" not in server.log()


@needs_root
def test_the_log_daemon_is_found_again_without_a_reload(make_world):
    world = make_world(privileged=True)
    journal, receiver = journal_of(world)
    world.configure(log={"target": "journal"})
    server = world.start(prefix=bound(journal, "/run/systemd/journal"))
    receiver.open()

    def told():
        fail_with(server, b"again")
        receiver.socket.settimeout(0.5)
        try:
            return receiver.next(rb"again")
        except TimeoutError:
            return None

    restante.wait_until(told, "lines at the new socket", 15)


@needs_root
@pytest.mark.sanitized
def test_journal(make_world):
    world = make_world(privileged=True)
    journal, receiver = journal_of(world)
    world.configure(log={"target": "journal"})
    world.put(maildir.of_size(400))
    server = world.start(prefix=bound(journal, "/run/systemd/journal"))
    with server.login() as client:
        client.multiline(b"RETR 1")
        client.quit()
    fields = dict(line.split("=", 1) for line in
                  receiver.next(rb"RESTANTE_EVENT=session").decode().splitlines())
    assert fields.pop("SYSLOG_PID").isdigit() and fields.pop("RESTANTE_PORT").isdigit()
    assert re.fullmatch(r"\d+\.\d{3}", fields.pop("RESTANTE_DURATION"))
    assert fields.pop("MESSAGE").startswith("session user=alice address=127.0.0.1:")
    assert fields == {
        "PRIORITY": "6", "SYSLOG_FACILITY": "2", "SYSLOG_IDENTIFIER": "restante-worker",
        "RESTANTE_EVENT": "session", "RESTANTE_USER": "alice", "RESTANTE_ADDRESS": "127.0.0.1",
        "RESTANTE_METHOD": "USER", "RESTANTE_MESSAGES": "1", "RESTANTE_OCTETS": "400", "RESTANTE_RETR_MESSAGES": "1",
        "RESTANTE_RETR_OCTETS": "400", "RESTANTE_TOP_MESSAGES": "0", "RESTANTE_TOP_OCTETS": "0",
        "RESTANTE_DELE_MESSAGES": "0", "RESTANTE_DELE_OCTETS": "0", "RESTANTE_REMOVED": "0",
        "RESTANTE_FAILED_LOGINS": "0", "RESTANTE_END": "quit"}
    fail_with(server, b"two\x0blines")
    datagram = receiver.next(rb"login failed")
    assert all(b"=" in line for line in datagram.splitlines())


@needs_root
def test_a_log_daemon_that_does_not_read_stops_nothing(make_world):
    world = make_world(privileged=True)
    journal, receiver = journal_of(world)
    world.configure(server={"workers": "1"}, log={"target": "journal"})
    server = world.start(prefix=bound(journal, "/run/systemd/journal"))
    for _ in range(700):  # more than a socket holds (net.unix.max_dgram_qlen)
        server.login().quit()
    receiver.socket.setblocking(False)
    try:
        while True:
            receiver.socket.recv(65536)
    except BlockingIOError:
        receiver.socket.settimeout(10)
    server.login().quit()
    assert re.search(rb"MESSAGE=\d+ lines of the log were lost", receiver.next(rb"were lost"))


def test_no_log_daemon_is_a_mistake(world):
    if os.path.exists("/run/systemd/journal/socket"):
        pytest.skip("systemd's journal runs here")
    world.configure(log={"target": "journal"})
    result = world.run("serve", "-c", world.configuration_file)
    assert result.returncode == 2
    assert b"no log daemon listens at /run/systemd/journal/socket" in result.stderr


def test_one_system_call_a_line(world):
    if restante.SANITIZED:
        pytest.skip("strace and the sanitizers do not go together")
    world.configure(server={"workers": "1"}, log={"format": "json"})
    server = world.start()
    [worker] = server.workers()
    trace = world.folder / "trace"
    tracer = subprocess.Popen(["strace", "-f", "-e", "trace=write,writev,sendmsg,sendto",
                               "-e", "write=2", "-o", str(trace), "-p", str(worker.pid)],
                              stderr=subprocess.PIPE)
    try:
        tracer.stderr.readline()  # attached
        before = server.log().count("\n")
        for _ in range(5):
            fail_with(server, b"x")
        server.wait_log('(?s)(?:"end":"quit".*){5}')
    finally:
        tracer.terminate()
        tracer.wait()
        tracer.stderr.close()
    lines = server.log().count("\n") - before
    calls = len(re.findall(r"write\(2, ", trace.read_text()))
    assert lines == calls == 10

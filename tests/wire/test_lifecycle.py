# SPDX-License-Identifier: MIT
"""Start, reload, drain, crash: what happens to connections and to files."""

import os
import random
import re
import signal
import socket
import threading
import time

import pytest

import maildir
import pop3
import restante


@pytest.mark.sanitized
def test_sigterm_drains(either_world):
    """Who is logged in may finish within `grace`; nobody new gets in."""
    world = either_world
    path = world.put(maildir.of_size(400))
    world.configure(server={"grace": "20s"})
    server = world.start()
    with server.login() as client:
        client.ok(b"DELE 1")
        server.terminate()
        restante.wait_until(lambda: not can_connect(server), "the listeners closed")
        assert client.ok(b"STAT") == b"+OK 0 0"
        client.quit()
    assert server.wait() == 0
    assert not path.exists()


def can_connect(server):
    try:
        with socket.create_connection(server.address, 5) as connection:
            return bool(connection.recv(10))
    except (ConnectionError, TimeoutError):
        return False


@pytest.mark.sanitized
def test_grace_ends(world):
    path = world.put(maildir.of_size(400))
    world.configure(server={"grace": "1s"})
    server = world.start()
    with server.login() as client:
        client.ok(b"DELE 1")
        start = time.monotonic()
        server.terminate()
        last = client.rest()
        assert last == b"" or last.startswith(b"-ERR ")
        assert server.wait() == 0
        assert 0.8 <= time.monotonic() - start < 8
    assert path.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_at_once_when_nobody_is_there(world, number):
    world.configure(server={"grace": "60s"})
    server = world.start()
    start = time.monotonic()
    server.signal(number)
    assert server.wait() == 0
    assert time.monotonic() - start < 8


def wait_reloaded(server, check):
    server.signal(signal.SIGHUP)
    restante.wait_until(check, "the new configuration")


def announced_expire(server):
    with server.client() as client:
        return [line for line in client.lines(b"CAPA") if line.startswith(b"EXPIRE")]


@pytest.mark.sanitized
def test_sighup_reloads_and_sessions_go_on(either_world):
    world = either_world
    world.put(maildir.of_size(400))
    server = world.start()
    with server.login() as client:
        assert announced_expire(server) == [b"EXPIRE NEVER"]
        world.configure(pop3={"expire": "7"})
        wait_reloaded(server, lambda: announced_expire(server) == [b"EXPIRE 7"])
        assert len(client.multiline(b"RETR 1")) == 400
        client.quit()
    assert server.process.poll() is None


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def test_reload_changes_listeners(world):
    world.configure(pop3={"listen": f"127.0.0.1:{free_port()}"})
    free = free_port()
    server = world.start()
    world.configure(pop3={"listen": f"127.0.0.1:{server.port}, 127.0.0.1:{free}"})

    def listens():
        try:
            pop3.Client(("127.0.0.1", free)).quit()
        except ConnectionError:
            return False
        return True

    wait_reloaded(server, listens)
    server.client().quit()
    world.configure(pop3={"listen": f"127.0.0.1:{free}"})
    wait_reloaded(server, lambda: not can_connect(server))
    assert listens()


def test_reload_keeps_a_port_that_was_any(world):
    """Port 0 stays the port that it became."""
    server = world.start()
    for expire in ("1", "2"):
        world.configure(pop3={"expire": expire})
        wait_reloaded(server, lambda: announced_expire(server) == [b"EXPIRE " + expire.encode()])


@pytest.mark.sanitized
@pytest.mark.parametrize("mistake", ["[pop3]\nlisten = nonsense\n", "[pop3]\nno-such = 1\n",
                                     "not ini at all\n", ""])
def test_bad_new_configuration_keeps_the_old_one(world, mistake):
    server = world.start()
    with server.login() as client:
        world.configure(text=mistake)
        server.signal(signal.SIGHUP)
        server.wait_log(re.escape(str(world.configuration_file)) + (":[0-9]+: " if mistake else ": "))
        client.ok(b"NOOP")
    server.login().quit()
    assert announced_expire(server) == [b"EXPIRE NEVER"]


def test_reload_with_a_listener_that_is_taken(world):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        world.configure(pop3={"listen": f"127.0.0.1:{free_port()}"})
        server = world.start()
        world.configure(pop3={"listen": f"127.0.0.1:{server.port}, 127.0.0.1:{taken}"})
        server.signal(signal.SIGHUP)
        server.wait_log(rf"127\.0\.0\.1:{taken}")
        server.login().quit()


def test_log_file_is_opened_anew(either_world):
    """As logrotate does it: renamed, then SIGHUP."""
    world = either_world
    folder = world.folder / "log"
    folder.mkdir()
    world.own(folder)
    world.configure(log={"target": folder / "log"})
    server = world.start()
    server.login().quit()
    restante.wait_until(lambda: "alice" in (folder / "log").read_text(), "the session's line")
    (folder / "log").rename(folder / "log.1")
    wait_reloaded(server, lambda: (folder / "log").exists())

    def logged():
        server.login().quit()
        return "alice" in (folder / "log").read_text()

    restante.wait_until(logged, "a session's line in the new file")


def test_crashed_worker_is_restarted(either_world):
    server = either_world.start()
    for _ in range(3):
        victim = server.workers()[0].pid
        os.kill(victim, signal.SIGKILL)
        restante.wait_until(lambda: len(server.workers()) == 2 and victim not in
                            [process.pid for process in server.workers()], "a new worker")
        server.wait_log(rf"\b{victim}\b")
    for _ in range(8):
        server.login().quit()


def test_crashed_auth_is_restarted(either_world):
    """Meanwhile logins are answered [SYS/TEMP], and then rightly again."""
    server = either_world.start()

    def checks_passwords():
        with server.client() as client:
            client.ok(b"USER alice")
            reply = client.error(b"PASS wrong")
            assert reply.startswith((b"-ERR [AUTH]", b"-ERR [SYS/TEMP]")), reply
            return reply.startswith(b"-ERR [AUTH]")

    for _ in range(3):
        [victim] = [process.pid for process in server.children() if "auth" in process.command]
        os.kill(victim, signal.SIGKILL)
        server.wait_log(rf"\b{victim}\b")
        restante.wait_until(checks_passwords, "passwords checked after the crash of auth")
        server.login().quit()


def test_killed_master_takes_all_with_it(world):
    server = world.start()
    server.login()
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    restante.wait_until(lambda: not server.processes(), "the children gone")
    server.stopped = True


def test_second_server_on_the_same_port(world, make_world):
    """SO_REUSEPORT must not let two servers share a port in silence."""
    server = world.start()
    other = make_world()
    other.configure(pop3={"listen": f"127.0.0.1:{server.port}"})
    result = other.run("serve", "-c", other.configuration_file)
    assert result.returncode not in (0, None) and str(server.port).encode() in result.stderr
    for _ in range(8):
        server.login().quit()


def test_killed_worker_loses_no_waiting_connection(either_world):
    """A worker that stands still is killed: what queues at its socket is served by its successor."""
    world = either_world
    world.configure(server={"workers": "2"})
    server = world.start()
    for _ in range(3):
        victim = server.workers()[0].pid
        os.kill(victim, signal.SIGSTOP)
        clients = [server.client(greeting=False) for _ in range(40)]
        time.sleep(0.2)
        os.kill(victim, signal.SIGKILL)
        for client in clients:
            assert client.line().startswith(b"+OK")
            client.quit()


class Load(threading.Thread):
    """Logs in and out without end; every connection must be welcomed and every session end well."""

    def __init__(self, server, user):
        super().__init__(daemon=True)
        self.server, self.user = server, user
        self.sessions, self.failure = 0, None
        self.stop = threading.Event()

    def run(self):
        try:
            while not self.stop.is_set():
                with self.server.login(self.user) as client:
                    assert client.ok(b"STAT") == b"+OK 1 400"
                    client.quit()
                self.sessions += 1
        except Exception as failure:  # of any kind: it is the finding
            self.failure = failure


def under_load(world, server, users, seconds, disturb):
    loads = [Load(server, user.encode()) for user in users]
    for load in loads:
        load.start()
    deadline = time.monotonic() + seconds
    count = 0
    try:
        while time.monotonic() < deadline and not any(load.failure for load in loads):
            disturb()
            count += 1
    finally:
        for load in loads:
            load.stop.set()
        for load in loads:
            load.join(60)
    for load in loads:
        assert not load.failure, repr(load.failure)
    return count, sum(load.sessions for load in loads)


def crowd(world):
    users = [f"user{number}" for number in range(4)]
    world.write_accounts({user: "secret" for user in users})
    for user in users:
        world.put(maildir.of_size(400), user=user)
    return users


def test_reload_in_a_loop_under_load(either_world):
    """Not one connection is refused or reset, not one session disturbed."""
    world = either_world
    users = crowd(world)
    world.configure(server={"grace": "30s"}, maildrop={"in-use-wait": "10s"})
    server = world.start()

    def reload():
        server.signal(signal.SIGHUP)
        # The next one may come at any moment, also in the middle of this one.
        time.sleep(random.choice((0.001, 0.02, 0.1, 0.3)))

    reloads, sessions = under_load(world, server, users, 8, reload)
    assert reloads > 30 and sessions > 100, (reloads, sessions)
    restante.wait_until(lambda: len(server.workers()) == 2, "old workers gone", 60)


def test_reload_and_kill_under_load(world):
    """kill -9 costs the sessions of that worker, but nobody who had not been accepted yet."""
    users = crowd(world)
    world.configure(server={"workers": "3"}, maildrop={"in-use-wait": "10s"})
    server = world.start()
    stop = threading.Event()
    refused, welcomed, lost = [], [], []

    def connect():
        while not stop.is_set():
            try:
                with server.client(greeting=False) as client:
                    try:
                        client.line()
                        client.send(b"CAPA\r\nQUIT\r\n")
                        client.rest()
                        welcomed.append(1)
                    except (ConnectionError, pop3.ProtocolError):
                        lost.append(1)  # accepted by a worker that was killed, or never: see below
            except ConnectionError as failure:
                refused.append(failure)

    threads = [threading.Thread(target=connect, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    kills = 0
    deadline = time.monotonic() + 8
    try:
        while time.monotonic() < deadline:
            workers = restante.wait_until(server.workers, "a worker")
            try:
                os.kill(workers[kills % len(workers)].pid, signal.SIGKILL)
                kills += 1
            except ProcessLookupError:
                pass  # a drained one, which ended by itself
            server.signal(signal.SIGHUP)
            time.sleep(0.2)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not refused, refused[:3]
    assert len(welcomed) > 100
    # At most one session of each client is open at a time, and each kill hits one worker's.
    assert len(lost) <= kills * len(threads), (len(lost), kills)
    server.login(users[0].encode()).quit()

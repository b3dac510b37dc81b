# SPDX-License-Identifier: MIT
"""Nobody stays for ever: before login, idle, or not reading."""

import time

import pytest

import maildir

pytestmark = pytest.mark.sanitized


def test_login_timeout_is_absolute(world):
    """A client that keeps talking without logging in is closed all the same."""
    world.configure(pop3={"login-timeout": "1s"})
    server = world.start()
    start = time.monotonic()
    with server.client() as silent, server.client() as talking:
        talking.socket.settimeout(5)
        with pytest.raises((AssertionError, ConnectionError, TimeoutError)):
            while time.monotonic() - start < 10:
                talking.ok(b"CAPA")
                talking.body()
                time.sleep(0.05)
        assert 0.9 <= time.monotonic() - start < 8
        silent.rest()
        assert time.monotonic() - start < 8


def test_login_ends_the_login_timeout(world):
    world.configure(pop3={"login-timeout": "500ms"})
    server = world.start()
    with server.login() as client:
        time.sleep(1)
        client.ok(b"NOOP")


def test_idle_timeout_removes_nothing(world):
    world.configure(pop3={"idle-timeout": "1s"})
    path = world.put(maildir.of_size(400))
    server = world.start()
    with server.login() as client:
        for _ in range(4):
            time.sleep(0.4)
            client.ok(b"NOOP")
        client.ok(b"DELE 1")
        start = time.monotonic()
        last = client.rest()
        assert 0.8 <= time.monotonic() - start < 8
        assert last == b"" or last.startswith(b"-ERR ")
    with server.login() as client:
        assert client.ok(b"STAT") == b"+OK 1 400"
    assert path.exists()


def test_a_half_command_is_no_sign_of_life(world):
    """RFC 1939 section 3: receipt of a command resets the timer, an octet now and then does not."""
    world.configure(pop3={"idle-timeout": "1s"})
    server = world.start()
    with server.login() as client:
        start = time.monotonic()
        try:
            while time.monotonic() - start < 8:
                client.send(b"N")
                time.sleep(0.1)
        except ConnectionError:
            pass
        assert time.monotonic() - start < 8


def test_write_timeout(world):
    """A reply of which nothing moves ends the session, and frees the maildrop."""
    world.configure(pop3={"write-timeout": "1s"}, maildrop={"in-use-wait": "20s",
                                                            "take-over-idle": "10m"})
    world.put(b"Subject: big\n\n" + b"x" * 70 * 1000 * 300 + b"\n")
    server = world.start()
    with server.login(receive_buffer=4096) as client:
        client.send(b"RETR 1\r\n")
        start = time.monotonic()
        with server.login() as after:
            after.ok(b"NOOP")
        assert 0.8 <= time.monotonic() - start < 15


def test_a_slow_reader_is_no_silent_one(world):
    """Octets that move keep the session alive, however long the reply takes in all."""
    world.configure(pop3={"write-timeout": "1s", "idle-timeout": "1s"})
    world.put(b"Subject: big\n\n" + (b"x" * 70 + b"\n") * 300000)
    server = world.start()
    with server.login(receive_buffer=65536) as client:
        client.send(b"RETR 1\r\n")
        start, total = time.monotonic(), 0
        while time.monotonic() - start < 3:
            total += len(client.socket.recv(200000))
            time.sleep(0.05)
        while not client.buffer.endswith(b"\r\n.\r\n"):
            client.buffer = client.buffer[-5:]
            assert client._receive()
        client.buffer = b""
        client.ok(b"NOOP")

# SPDX-License-Identifier: MIT
"""Limits are exact over all workers, also after one was killed."""

import os
import signal

import pytest

import pop3
import restante


def is_welcome(server, **options):
    """The client, or None if the server did not want it: told so or closed at once."""
    client = server.client(greeting=False, **options)
    try:
        octets = client._receive()
    except ConnectionResetError:
        octets = b""
    if octets.startswith(b"+OK"):
        client.line()
        return client
    assert octets == b"" or octets.startswith(b"-ERR "), octets
    client.socket.close()
    return None


def fill(server, limit, **options):
    clients = [is_welcome(server, **options) for _ in range(limit)]
    assert all(clients), f"refused below the limit of {limit}"
    for _ in range(6):
        assert is_welcome(server, **options) is None, f"the limit of {limit} was passed"
    return clients


def welcome_again(server, **options):
    """A place that came free is given again, once the server has seen that it is free."""
    return restante.wait_until(lambda: is_welcome(server, **options), "a free place")


def check_exact_after_kill(world, server, limit, **options):
    """Fills up, kills a worker with its sessions, and fills up again: not one more, not one less."""
    clients = fill(server, limit, **options)
    victim = server.workers()[0].pid
    os.kill(victim, signal.SIGKILL)
    restante.wait_until(lambda: victim not in [p.pid for p in server.workers()]
                        and len(server.workers()) == 3, "a new worker")
    alive = []
    for client in clients:
        client.socket.settimeout(10)
        try:
            client.ok(b"CAPA")
            client.body()
            alive.append(client)
        except (AssertionError, ConnectionError):
            client.socket.close()
    while len(alive) < limit:
        alive.append(welcome_again(server, **options))
    for _ in range(6):
        assert is_welcome(server, **options) is None
    alive.pop().socket.close()
    alive.append(welcome_again(server, **options))
    assert is_welcome(server, **options) is None
    return alive


def test_connections(either_world):
    either_world.configure(server={"workers": "3"}, limits={"connections": "12"})
    server = either_world.start()
    check_exact_after_kill(either_world, server, 12)


def test_connections_per_address(world):
    world.configure(server={"workers": "3"}, limits={"connections-per-address": "7"})
    server = world.start()
    check_exact_after_kill(world, server, 7)
    assert is_welcome(server, source="127.0.0.9"), "one address used up another's places"


def test_ipv6_counts_by_its_64_network(world):
    world.configure(pop3={"listen": "[::1]:0"}, limits={"connections-per-address": "2"})
    server = world.start()
    fill(server, 2)


def test_connections_per_user(world):
    """Counted over sessions that are logged in; the maildrop's lock is another matter."""
    world.configure(server={"workers": "3"}, limits={"connections-per-user": "1"},
                    maildrop={"in-use-wait": "10s"})
    world.write_accounts({"alice": "secret", "bob": "secret"})
    server = world.start()
    for _ in range(4):
        with server.login() as first:
            second = server.client()
            second.ok(b"USER alice")
            assert second.error(b"PASS secret").startswith((b"-ERR [SYS/TEMP]", b"-ERR [IN-USE]"))
            server.login(b"bob").quit()
            first.quit()
        server.login().quit()


def test_failures_per_address(world):
    """Over the limit connections are closed at once; other addresses are not concerned."""
    world.configure(server={"workers": "3"}, limits={"failures-per-address": "4"})
    server = world.start()
    for _ in range(4):
        with server.client() as client:
            client.ok(b"USER alice")
            client.error(b"PASS wrong")
    for _ in range(6):
        assert is_welcome(server) is None
    with server.client(source="127.0.0.9") as other:
        other.login()


def test_failures_in_one_session_count_too(world):
    world.configure(limits={"failures-per-address": "3"})
    server = world.start()
    with server.client() as client:
        with pytest.raises((AssertionError, ConnectionError)):
            for _ in range(8):
                client.ok(b"USER alice")
                client.error(b"PASS wrong")
    assert is_welcome(server) is None


def test_good_logins_are_no_failures(world):
    world.configure(limits={"failures-per-address": "3"})
    server = world.start()
    for _ in range(10):
        server.login().quit()


def test_memory_is_bounded_by_readers_that_do_not_read(world):
    """Each asks for far more than the sockets hold, and reads nothing; others are served meanwhile."""
    world.configure(server={"workers": "1"}, limits={"connections-per-user": "100"})
    accounts = {f"user{n}": "secret" for n in range(40)}
    world.write_accounts({"alice": "secret", **accounts})
    world.put(b"Subject: x\n\nx\n")
    big = b"Subject: big\n\n" + (b"x" * 70 + b"\n") * 60000
    for user in accounts:
        world.put(big, user=user)
    server = world.start()
    server.login().quit()
    before = server.workers()[0].resident_octets
    clients = []
    for user in accounts:
        client = server.login(user.encode(), receive_buffer=4096)
        client.send(b"RETR 1\r\n" * 200)
        clients.append(client)
    with server.login() as alice:
        for _ in range(50):
            assert alice.multiline(b"RETR 1") == b"Subject: x\r\n\r\nx\r\n"
    grown = server.workers()[0].resident_octets - before
    assert grown < 40 * 256 * 1024, f"{grown / 40} octets for each session that does not read"
    for client in clients:
        client.socket.close()


def test_memory_is_bounded_by_senders_that_do_not_read(world):
    """A flood of commands whose answers nobody takes is not read on without end."""
    world.configure(server={"workers": "1"})
    server = world.start()
    with server.client(receive_buffer=4096) as client:
        before = server.workers()[0].resident_octets
        client.socket.settimeout(1)
        sent = 0
        with pytest.raises((TimeoutError, ConnectionError)):
            while sent < 200_000_000:
                sent += client.socket.send(b"CAPA\r\n" * 10000)
        grown = server.workers()[0].resident_octets - before
        assert grown < 4 << 20, f"{grown} octets"
        server.login().quit()

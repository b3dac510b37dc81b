# SPDX-License-Identifier: MIT
"""One session holds a maildrop: who comes second waits, takes over from a silent holder, or is told."""

import fcntl
import os
import time

import pytest

import maildir
import restante

ONE = maildir.of_size(400)


def attempt(server):
    client = server.client()
    client.ok(b"USER alice")
    return client, client.command(b"PASS secret")


def test_in_use(world):
    world.put(ONE)
    server = world.start()
    with server.login() as first:
        for _ in range(6):
            start = time.monotonic()
            second, reply = attempt(server)
            assert reply.startswith(b"-ERR [IN-USE]")
            assert time.monotonic() - start >= 0.2, "in-use-wait was not kept"
            second.socket.close()
        assert first.ok(b"STAT") == b"+OK 1 400"


@pytest.mark.sanitized
def test_waits_for_a_holder_that_ends(world):
    world.configure(maildrop={"in-use-wait": "20s"})
    world.put(ONE)
    server = world.start()
    for _ in range(6):
        with server.login() as first, server.client() as second:
            second.ok(b"USER alice")
            second.send(b"PASS secret\r\n")
            first.ok(b"NOOP")
            start = time.monotonic()
            first.quit()
            assert second.reply() == b"+OK Mailbox locked and ready"
            assert time.monotonic() - start < 5, "waited on although the maildrop was free"


@pytest.mark.sanitized
def test_take_over_across_workers(world):
    """The silent holder is closed, and its deletions are not carried out."""
    world.configure(maildrop={"in-use-wait": "10s", "take-over-idle": "300ms"},
                    server={"workers": "3"})
    path = world.put(ONE)
    server = world.start()
    pairs = set()
    for _ in range(12):
        with server.login() as holder:
            holder.ok(b"DELE 1")
            taker, reply = attempt(server)
            assert reply == b"+OK Mailbox locked and ready"
            if restante.IS_ROOT:
                pairs.add(server.worker_of(taker))
            with taker:
                last = holder.rest()
                assert last == b"" or last.startswith(b"-ERR ")
                assert taker.ok(b"STAT") == b"+OK 1 400"
                taker.quit()
    assert path.exists()
    assert not restante.IS_ROOT or len(pairs) > 1, "one worker had all connections"


def test_no_take_over_from_one_who_speaks(world):
    world.configure(maildrop={"in-use-wait": "2s", "take-over-idle": "1s"})
    world.put(ONE)
    server = world.start()
    with server.login() as holder, server.client() as second:
        second.ok(b"USER alice")
        second.send(b"PASS secret\r\n")
        second.socket.settimeout(0.2)
        reply = None
        while reply is None:
            holder.ok(b"NOOP")
            try:
                reply = second.reply()
            except TimeoutError:
                pass
        assert reply.startswith(b"-ERR [IN-USE]")
        holder.ok(b"STAT")


def test_lock_of_a_foreign_process(world):
    world.put(ONE)
    server = world.start()
    descriptor = os.open(world.maildrop() / "cur", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        client, reply = attempt(server)
        assert reply.startswith(b"-ERR [IN-USE]")
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        assert client.login() == b"+OK Mailbox locked and ready"
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        client.quit()
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)


def test_two_users_do_not_wait_for_each_other(world):
    world.write_accounts({"alice": "secret", "bob": "secret"})
    world.put(ONE)
    world.put(ONE, user="bob")
    server = world.start()
    with server.login(b"alice") as alice, server.login(b"bob") as bob:
        assert alice.ok(b"STAT") == bob.ok(b"STAT") == b"+OK 1 400"


def test_a_session_that_ends_frees_the_maildrop(world):
    """Every way to end it: nobody is locked out by the one before."""
    world.configure(maildrop={"in-use-wait": "5s"})
    world.maildrop()
    server = world.start()
    for _ in range(50):
        server.login().socket.close()

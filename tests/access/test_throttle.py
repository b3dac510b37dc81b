# SPDX-License-Identifier: MIT
"""Guessing takes ever longer; whom it is aimed at notices nothing."""

import threading
import time

import pytest

ATTACKER = "127.0.0.66"


def try_login(server, password, user=b"alice", source="127.0.0.1"):
    """Answer and the seconds that it took, on a connection of its own."""
    with server.client(source=source) as client:
        client.ok(b"USER " + user)
        start = time.monotonic()
        reply = client.command(b"PASS " + password)
        return reply, time.monotonic() - start


@pytest.mark.alone
def test_each_failure_doubles_the_wait_over_all_workers(world):
    world.configure(server={"workers": "3"},
                    limits={"failure-delay": "100ms", "failure-delay-max": "800ms"})
    server = world.start()
    seconds = [try_login(server, b"wrong")[1] for _ in range(9)]
    # The answer to a failure waits 0.1 s; after four, the try waits before it is looked at.
    for took, least in zip(seconds, (0.1, 0.1, 0.1, 0.1, 0.2, 0.3, 0.5, 0.9, 0.9)):
        assert least - 0.02 <= took < least + 0.35, seconds


@pytest.mark.alone
def test_a_right_password_waits_where_wrong_ones_came_from(world):
    """Else the wait would tell a wrong one from a right one before it is over."""
    world.configure(limits={"failure-delay": "400ms", "failure-delay-max": "400ms"})
    server = world.start()
    for _ in range(3):
        try_login(server, b"wrong")
    reply, seconds = try_login(server, b"secret")
    assert reply.startswith(b"+OK") and seconds < 0.3  # people mistype
    try_login(server, b"wrong")
    reply, seconds = try_login(server, b"secret")
    assert reply.startswith(b"+OK") and seconds >= 0.38
    reply, seconds = try_login(server, b"secret", source="127.0.0.9")
    assert reply.startswith(b"+OK") and seconds < 0.3


@pytest.mark.alone
def test_nobody_is_locked_out(world):
    """Many addresses guess at one account, in all workers; its owner logs in as fast as ever."""
    world.configure(server={"workers": "3"}, limits={
        "failure-delay": "200ms", "failure-delay-max": "2s", "failures-per-address": "5"})
    world.maildrop()
    server = world.start()

    def guess(number):
        for _ in range(3):
            try_login(server, b"wrong", source=f"127.0.1.{number}")

    guessers = [threading.Thread(target=guess, args=(number,)) for number in range(1, 25)]
    for guesser in guessers:
        guesser.start()
    time.sleep(0.5)
    took = []
    while any(guesser.is_alive() for guesser in guessers):
        reply, seconds = try_login(server, b"secret")
        assert reply.startswith(b"+OK"), reply
        took.append(seconds)
        time.sleep(0.1)
    for guesser in guessers:
        guesser.join()
    assert len(took) > 5 and max(took) < 1, took
    # The guessers' later tries waited for what all of them did to the account, not for their own few.
    assert try_login(server, b"wrong", source="127.0.1.1")[1] > 1.6


@pytest.mark.alone
def test_a_name_of_nobody_waits_as_a_known_one_does(world):
    world.configure(limits={"failure-delay": "200ms", "failure-delay-max": "5s"})
    server = world.start()
    known, unknown = (
        [try_login(server, b"wrong", user, source)[1] for _ in range(6)]
        for user, source in ((b"alice", "127.0.0.7"), (b"nobody-is-called-so", "127.0.0.8")))
    for one, other in zip(known, unknown):
        assert abs(one - other) < 0.15, (known, unknown)


def test_the_case_of_a_name_makes_no_new_one(world):
    world.configure(limits={"failure-delay": "250ms", "failure-delay-max": "1s"})
    server = world.start()
    for number, name in enumerate((b"alice", b"Alice", b"ALICE", b"aLICE", b"alicE", b"AlIcE")):
        try_login(server, b"wrong", name, f"127.0.2.{number}")
    # This address has failed once, with another name; the account six times.
    try_login(server, b"wrong", b"bob", ATTACKER)
    assert try_login(server, b"wrong", b"alice", ATTACKER)[1] >= 0.95


@pytest.mark.alone
def test_who_waits_does_not_hold_others_up(world):
    world.configure(server={"workers": "1"},
                    limits={"failure-delay": "500ms", "failure-delay-max": "2s"})
    server = world.start()
    for _ in range(5):
        try_login(server, b"wrong", source=ATTACKER)
    waiting = [server.client(source=ATTACKER) for _ in range(20)]
    for client in waiting:
        client.send(b"USER alice\r\nPASS wrong\r\n")
    reply, seconds = try_login(server, b"secret")
    assert reply.startswith(b"+OK") and seconds < 0.5
    for client in waiting:
        client.socket.close()

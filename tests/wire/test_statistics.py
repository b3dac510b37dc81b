# SPDX-License-Identifier: MIT
"""With failure-delay = 0s the time of the answer does not tell an unknown user from a wrong password."""

import random
import statistics
import time

import pytest

ROUNDS = 500


def mann_whitney(first, second):
    """z of the Mann-Whitney U test: how far the ranks of two samples lie apart, in deviations."""
    ordered = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    total = sum(rank for rank, (_, which) in enumerate(ordered, 1) if which == 0)
    a, b = len(first), len(second)
    mean = a * (a + b + 1) / 2
    deviation = (a * b * (a + b + 1) / 12) ** 0.5
    return (total - mean) / deviation


def measure(server, users, rounds):
    """Seconds of one failed login each, in random order so that drift of the machine hits all alike."""
    seconds = {user: [] for user in users}
    order = [user for user in users for _ in range(rounds)]
    random.Random(1).shuffle(order)
    client = None
    for count, user in enumerate(order):
        if count % 50 == 0:
            if client:
                client.socket.close()
            client = server.client()
        client.ok(b"USER " + user)
        start = time.perf_counter()
        assert client.command(b"PASS wrong-password").startswith(b"-ERR [AUTH]")
        seconds[user].append(time.perf_counter() - start)
    client.socket.close()
    return seconds


def differ(first, second):
    """Only a difference that is both beyond chance and big enough to be used over a network counts."""
    medians = statistics.median(first), statistics.median(second)
    z = mann_whitney(first, second)
    return abs(z) > 5 and abs(medians[0] - medians[1]) > 0.02 * max(medians), (z, medians)


@pytest.mark.alone
@pytest.mark.timeout(300)
@pytest.mark.parametrize("scheme", ["scram-sha-256", "argon2id"])
def test_unknown_user_costs_what_a_wrong_password_costs(world, scheme):
    world.configure(server={"workers": "1"})
    for name in ("known", "other", "third"):
        assert world.run("user", "add", "-c", world.configuration_file, "--scheme", scheme, name,
                         input=b"right-password\n").returncode == 0
    world.run("user", "remove", "-c", world.configuration_file, "alice")
    server = world.start()
    seconds = measure(server, (b"known", b"absent"), ROUNDS if scheme != "argon2id" else 100)
    different, facts = differ(seconds[b"known"], seconds[b"absent"])
    assert not different, facts
    # Not because nothing is hashed: a plain comparison would take far less.
    assert statistics.median(seconds[b"absent"]) > 0.005


@pytest.mark.alone
def test_the_test_sees_a_difference(world):
    """The same measurement tells two users apart whose secrets are of different schemes."""
    assert world.run("user", "add", "-c", world.configuration_file, "hashed",
                     input=b"right-password\n").returncode == 0
    server = world.start()
    seconds = measure(server, (b"alice", b"hashed"), 60)
    assert differ(seconds[b"alice"], seconds[b"hashed"])[0]

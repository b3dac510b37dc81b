# SPDX-License-Identifier: MIT
"""With failure-delay = 0s the time of the answer does not tell an unknown user from a wrong password."""

import base64
import ctypes
import hashlib
import hmac
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


def scram(password):
    """Dovecot's form; fewer rounds than ours take, so that what is not hashing shows all the more."""
    salt, rounds = b"0123456789abcdef", 20000
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, rounds)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    keys = (hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256"))
    return "{SCRAM-SHA-256}" + ",".join(
        [str(rounds), *(base64.b64encode(octets).decode() for octets in (salt, *keys))])


def argon2id(password):
    """With one pass over 2 MiB, for the same reason."""
    out = ctypes.create_string_buffer(128)
    sodium = ctypes.CDLL("libsodium.so.23")
    assert sodium.crypto_pwhash_str(out, password, ctypes.c_ulonglong(len(password)),
                                    ctypes.c_ulonglong(1), ctypes.c_size_t(2 << 20)) == 0
    return "{ARGON2ID}" + out.value.decode()


@pytest.mark.alone
@pytest.mark.parametrize("scheme", [scram, argon2id])
def test_unknown_user_costs_what_a_wrong_password_costs(world, scheme):
    world.configure(server={"workers": "1"})
    world.write_accounts({name: scheme(b"right-password") for name in ("known", "other", "third")})
    server = world.start()
    assert server.login(b"known", b"right-password").quit()
    seconds = measure(server, (b"known", b"absent"), ROUNDS)
    different, facts = differ(seconds[b"known"], seconds[b"absent"])
    assert not different, facts
    # Not because nothing is hashed: without, an answer takes a tenth of a millisecond.
    assert statistics.median(seconds[b"absent"]) > 0.002


@pytest.mark.alone
def test_the_test_sees_a_difference(world):
    """The same measurement tells two users apart whose secrets are of different schemes."""
    world.write_accounts({"alice": "secret", "hashed": scram(b"right-password")})
    server = world.start()
    seconds = measure(server, (b"alice", b"hashed"), 60)
    assert differ(seconds[b"alice"], seconds[b"hashed"])[0]

# SPDX-License-Identifier: MIT
"""LOGIN-DELAY (RFC 2449 section 6.5 and 8.1.1): told only after a right password, over all workers."""

import time

import pytest

DELAYED = b"-ERR [LOGIN-DELAY]"


@pytest.fixture
def delaying(world):
    world.write_accounts({"alice": "secret", "bob": "secret"})
    world.configure(server={"workers": "3"}, pop3={"login-delay": "1500ms"})
    return world.start()


def attempt(server, user=b"alice", password=b"secret"):
    with server.client() as client:
        client.ok(b"USER " + user)
        reply = client.command(b"PASS " + password)
        if reply.startswith(b"+OK"):
            client.quit()
        return reply


def test_announced(delaying):
    """In whole seconds, never less than it is."""
    with delaying.client() as client:
        assert b"LOGIN-DELAY 2" in client.lines(b"CAPA")
        client.login()
        assert b"LOGIN-DELAY 2" in client.lines(b"CAPA")


def test_not_announced_where_there_is_none(world):
    with world.start().client() as client:
        assert not [line for line in client.lines(b"CAPA") if b"LOGIN-DELAY" in line]
        for _ in range(5):
            assert attempt(world.servers[0]).startswith(b"+OK")


@pytest.mark.alone
def test_a_burst_then_one_at_a_time(delaying):
    for _ in range(3):  # a phone that sends, and then receives
        assert attempt(delaying).startswith(b"+OK")
    for _ in range(5):  # each on any worker
        assert attempt(delaying).startswith(DELAYED)
    assert attempt(delaying, b"bob").startswith(b"+OK")
    time.sleep(1.6)
    assert attempt(delaying).startswith(b"+OK")
    assert attempt(delaying).startswith(DELAYED)
    assert "reason=login_delay" in delaying.log()


def test_a_wrong_password_learns_nothing(delaying):
    for _ in range(3):
        assert attempt(delaying).startswith(b"+OK")
    assert attempt(delaying, password=b"wrong").startswith(b"-ERR [AUTH]")
    assert attempt(delaying, b"nobody").startswith(b"-ERR [AUTH]")
    assert attempt(delaying).startswith(DELAYED)


def test_a_failure_does_not_count(delaying):
    for _ in range(5):
        assert attempt(delaying, password=b"wrong").startswith(b"-ERR [AUTH]")
    assert attempt(delaying).startswith(b"+OK")


def test_the_session_goes_on(delaying):
    """Refused, the client is as before its login, and no connection of the user is counted."""
    for _ in range(3):
        assert attempt(delaying).startswith(b"+OK")
    with delaying.client() as client:
        client.ok(b"USER alice")
        assert client.command(b"PASS secret").startswith(DELAYED)
        client.login(b"bob")
        client.quit()

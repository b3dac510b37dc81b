# SPDX-License-Identifier: MIT
"""Switching to restante fetch: what is on the server already is not fetched again."""

import sqlite3

import pytest

from retriever import Home
from scripted import Scripted


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def message(number):
    return (b"id%d" % number, b"From: somebody@example.org\r\nSubject: %d\r\n\r\nhello\r\n" % number)


def subjects(home, name="box"):
    return sorted(int(text.split(b"Subject: ")[1].split()[0]) for text in home.mail(name))


@pytest.fixture
def scripted():
    servers = []

    def make(*arguments, **options):
        servers.append(Scripted(*arguments, **options))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def mark(home, port, *arguments):
    return home.fetch(port, "--mark-seen-all", *arguments)


@pytest.mark.sanitized
def test_what_is_marked_is_neither_fetched_nor_deleted(scripted, home):
    server = scripted([message(number) for number in range(3)])
    dry = mark(home, server.port, "--dry-run")
    assert dry.returncode == 0 and b"3 of 3 messages would be marked as seen" in dry.stdout, dry.stderr
    for count in (3, 0):
        result = mark(home, server.port)
        assert result.returncode == 0, result.stderr
        assert b"%d of 3 messages are marked as seen" % count in result.stdout
    server.messages[4] = message(9)
    for policy in ("--keep=no", "--keep=1d", "--keep=newest:1"):
        assert home.fetch(server.port, policy).returncode == 0
        assert subjects(home) == [9]
        assert [octets[0] for octets in server.messages.values()][:3] == [b"id0", b"id1", b"id2"]
    assert sum(line.startswith(b"RETR") for line in server.commands) == 1


def test_what_was_fetched_stays_what_it_is(scripted, home):
    """Marking does not take from a stored message that it may be deleted."""
    server = scripted([message(1)])
    assert home.fetch(server.port, "--keep").returncode == 0
    server.messages[2] = message(2)
    assert b"1 of 2 messages" in mark(home, server.port).stdout
    assert home.fetch(server.port).returncode == 0
    assert subjects(home) == [1] and list(server.messages) == [2]


def test_an_id_that_is_listed_twice_is_marked_twice(scripted, home):
    server = scripted([message(1), message(1)])
    assert b"2 of 2 messages are" in mark(home, server.port).stdout
    assert home.fetch(server.port).returncode == 0
    assert home.mail() == [] and len(server.messages) == 2


def test_without_ids_nothing_can_be_marked(scripted, home):
    server = scripted([message(1)], answers={b"UIDL": b"-ERR no\r\n"})
    result = mark(home, server.port)
    assert result.returncode == 69 and b"no unique id (UIDL), so they cannot be marked" in result.stderr
    assert home.fetch(server.port, "--keep").returncode == 0
    assert subjects(home) == [1]


def test_marking_says_its_result_in_json(scripted, home):
    server = scripted([message(1)])
    events = home.events(mark(home, server.port, "--json"))
    assert [event["text"] for event in events if event["event"] == "result"] == ["1 of 1 messages are marked as seen"]


def test_a_state_of_version_1_is_taken_over(scripted, home):
    server = scripted([message(1)])
    assert home.fetch(server.port, "--keep").returncode == 0
    path, = home.state.glob("*.db")
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 1")
    database.close()
    server.messages[2] = message(2)
    assert home.fetch(server.port, "--keep").returncode == 0
    assert subjects(home) == [1, 2]
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (2,)
    database.close()

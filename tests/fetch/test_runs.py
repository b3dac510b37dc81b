# SPDX-License-Identifier: MIT
"""A run that is interrupted, that comes days later, that meets much or large mail."""

import pathlib
import re
import signal
import sqlite3
import threading
import time

import pytest

import restante
from retriever import Home
from scripted import Scripted

DAY = 86400


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def messages(count):
    return [(b"m%d" % number, b"Subject: %d\r\n\r\nbody\r\n" % number) for number in range(1, count + 1)]


def subjects(home):
    return sorted(int(re.match(rb"Subject: (\d+)\n", letter)[1]) for letter in home.mail())


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


@pytest.mark.sanitized
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_of_a_message(home, number):
    hold, half = threading.Event(), threading.Event()

    def retr(server, argument, _):
        if argument != b"3" or hold.is_set():
            return server._retr(argument)
        server.connection.sendall(b"+OK\r\nSubject: 3\r\n\r\nha")
        half.set()
        hold.wait(20)
        return None

    with Scripted(messages(4), {b"RETR": retr}) as server:
        process = home.start(*home.account(server.port))
        assert half.wait(20)
        time.sleep(0.3)  # until it has read what was sent
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 75 and b"interrupted; what has come whole is stored" in said
        assert not restante.REPORT.search(said.decode())
        hold.set()
        assert subjects(home) == [1, 2] and list((home.maildir / "tmp").iterdir()) == []
        assert len(server.messages) == 4  # nothing was deleted
        before = len(server.commands)
        assert home.fetch(server.port).returncode == 0
        again = {line for line in server.commands[before:] if line.startswith(b"RETR")}
        assert again == {b"RETR 3", b"RETR 4"}
        assert not server.messages
    assert subjects(home) == [1, 2, 3, 4]


@pytest.mark.parametrize("where", [b"CAPA", b"PASS", b"UIDL", b"DELE 1", b"QUIT"])
def test_a_signal_at_any_time(home, where):
    hold, there = threading.Event(), threading.Event()

    def wait(*_):
        there.set()
        hold.wait(20)

    with Scripted(messages(2), {where: wait}) as server:
        process = home.start(*home.account(server.port))
        assert there.wait(20)
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 75
        hold.set()
        del server.answers[where]
        assert home.fetch(server.port).returncode == 0 and not server.messages
    assert subjects(home) == [1, 2]


def living():
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            process = restante.Process(path.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if process.state != "Z":
            yield process


def test_a_signal_ends_what_hangs_with_it(home):
    command = f"echo $$ >{home.folder}/pid; exec sleep 1000"
    for arguments in (("--filter", command), ("--pipe", command)):
        target = () if arguments[0] == "--pipe" else ("--maildir",)
        with Scripted(messages(2)) as server:
            process = home.start(*home.account(server.port, *arguments, target=target))
            wait_until(lambda: (home.folder / "pid").exists() and (home.folder / "pid").read_text())
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
            if process.poll() is None:
                process.send_signal(signal.SIGINT)  # the second time: whatever it is doing
            process.communicate(timeout=20)
            assert process.returncode == 75 and len(server.messages) == 2
        pid = int((home.folder / "pid").read_text())
        wait_until(lambda: pid not in {p.pid for p in living()})
        (home.folder / "pid").unlink()


def age(home, column, days, account="alice@127.0.0.1"):
    """As if it had been so many days ago."""
    with sqlite3.connect(home.state / f"{account}.db") as database:
        assert database.execute(f"UPDATE message SET {column} = {column} - ?", (days * DAY,)).rowcount > 0
    database.close()


def test_keep_some_days(home):
    with Scripted(messages(3)) as server:
        assert home.fetch(server.port, "--keep=7d").returncode == 0 and len(server.messages) == 3
        age(home, "stored", 6)
        server.messages[4] = (b"m4", b"Subject: 4\r\n\r\n")
        assert home.fetch(server.port, "--keep=7d").returncode == 0 and len(server.messages) == 4
        with sqlite3.connect(home.state / "alice@127.0.0.1.db") as database:
            database.execute("UPDATE message SET stored = stored - ? WHERE unique_id != ?", (DAY, b"m4"))
        database.close()
        result = home.fetch(server.port, "--keep=7d", "--dry-run")
        assert result.stdout.count(b"would be deleted") == 3 and len(server.messages) == 4
        assert home.fetch(server.port, "--keep=7d").returncode == 0
        assert set(server.messages) == {4}
    assert subjects(home) == [1, 2, 3, 4]


def test_the_newest_stay_as_others_come(home):
    with Scripted(messages(3)) as server:
        for number in range(4, 8):
            assert home.fetch(server.port, "--keep=newest:2").returncode == 0
            assert set(server.messages) == {number - 2, number - 1}
            server.messages[number] = (b"m%d" % number, b"Subject: %d\r\n\r\n" % number)
    assert subjects(home) == list(range(1, 7))


def test_an_id_that_was_not_listed_for_months_is_known(home):
    """Some providers list a window of the newest."""
    with Scripted(messages(3)) as server:
        assert home.fetch(server.port, "--keep").returncode == 0
        hidden = server.messages.pop(1)
        assert home.fetch(server.port, "--keep").returncode == 0
        age(home, "absent_since", 100)
        server.messages[1] = hidden
        server.commands.clear()
        assert home.fetch(server.port, "--keep").returncode == 0
        assert b"TOP 1 0" in server.commands and b"RETR 1" not in server.commands
    assert subjects(home) == [1, 2, 3]


def test_a_recycled_id_is_another_message(home):
    with Scripted(messages(2)) as server:
        assert home.fetch(server.port).returncode == 0 and not server.messages
        server.messages = {1: (b"m1", b"Subject: 9\r\n\r\nanother\r\n"), 2: (b"m2", messages(2)[1][1])}
        assert home.fetch(server.port).returncode == 0 and not server.messages
    assert subjects(home) == [1, 2, 9]


def test_a_cap_is_taken_up_where_it_ended(home):
    given = []

    def retr(server, argument, _):
        if len(given) % 4 == 3:
            return b"-ERR [SYS/TEMP] come back tomorrow\r\n"
        given.append(argument)
        return server._retr(argument)

    with Scripted(messages(7), {b"RETR": retr}) as server:
        for expected in (3, 6, 7):
            status = home.fetch(server.port).returncode
            assert len(home.mail()) == expected and status == (0 if expected == 7 else 75)
            given.append(b"a day")
        assert not server.messages
    assert subjects(home) == [1, 2, 3, 4, 5, 6, 7]


def peak_kilobytes(home, *arguments):
    process = home.start(*arguments)
    peak = 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status") as status:
                found = re.search(r"VmHWM:\s+(\d+) kB", status.read())
        except (FileNotFoundError, ProcessLookupError):
            break
        peak = max(peak, int(found[1]) if found else 0)
        time.sleep(0.005)
    _, said = process.communicate()
    assert process.returncode == 0, said
    return peak


@pytest.mark.parametrize("target", ["--maildir", "--mbox", "--pipe"])
def test_memory_does_not_grow_with_a_message(home, target):
    place = {"--maildir": home.maildir, "--mbox": home.folder / "box", "--pipe": "cat >/dev/null"}[target]
    large = b"Subject: 1\r\n\r\n" + (b"x" * 70 + b"\r\n") * (50_000_000 // 72)
    with Scripted(messages(1)) as server:
        small = peak_kilobytes(home, *home.account(server.port, target=(target, place)))
        server.messages = {2: (b"large", large)}
        assert peak_kilobytes(home, *home.account(server.port, target=(target, place))) < small + 16_000


@pytest.mark.alone
def test_a_hundred_thousand_known_messages_cost_little(home):
    """A listing and a state of 100 000: bounded memory, and no long start."""
    with Scripted(messages(1)) as server:
        assert home.fetch(server.port, "--keep").returncode == 0
        small = peak_kilobytes(home, *home.account(server.port, "--keep"))
        with sqlite3.connect(home.state / "alice@127.0.0.1.db") as database:
            database.execute(
                "INSERT INTO message (unique_id, occurrence, octets, status, refusals, first_seen, stored) "
                "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
                "SELECT CAST('id-of-some-length-' || i AS BLOB), 1, 25, 2, 0, 1700000000, 1700000000 FROM n")
        database.close()
        server.messages.update({n: (b"id-of-some-length-%d" % n, b"x" * 25) for n in range(2, 100001)})
        server.commands.clear()
        began = time.monotonic()
        peak = peak_kilobytes(home, *home.account(server.port, "--keep"))
        assert time.monotonic() - began < 10
        assert not any(line.startswith((b"RETR", b"TOP", b"DELE")) for line in server.commands)
        assert peak < small + 60_000

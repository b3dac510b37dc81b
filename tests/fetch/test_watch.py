# SPDX-License-Identifier: MIT
"""restante fetch --watch: it stays, each account has its clock, and what does not change is said once."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest

import restante
import retriever
from scripted import Scripted

EX_USAGE, EX_NOPERM = 64, 77
CAN = (b"UIDL", b"TOP", b"PIPELINING", b"USER")


@pytest.fixture
def home(tmp_path):
    return retriever.Home(tmp_path)


def messages(*numbers):
    return [(b"m%d" % number, b"Subject: %d\r\n\r\nbody\r\n" % number) for number in numbers]


def wait_until(condition, what="it"):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.02)


class Watcher:
    """The process, and what it has said so far."""

    def __init__(self, home, *arguments, every="1s", environment=None, input=None):
        self.home = home
        self.said = b""
        self.process = subprocess.Popen(
            home.command("--watch", every, *arguments), env=home.environment(**(environment or {})),
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        if input is not None:
            self.process.stdin.write(input)
            self.process.stdin.close()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while octets := os.read(self.process.stderr.fileno(), 65536):
            self.said += octets

    def lines(self):
        """Without the warning that every test here causes."""
        return [line for line in self.said.decode().splitlines() if "tls = never" not in line]

    def wait_line(self, text):
        wait_until(lambda: any(text in line for line in self.lines()), f"{text!r} in {self.said}")

    def send(self, number):
        self.process.send_signal(number)

    def status(self, *arguments):
        result = self.home.run("--status", "--json", *arguments)
        return {row["account"]: row for row in map(json.loads, result.stdout.splitlines())}

    def stop(self, number=signal.SIGTERM):
        self.send(number)
        self.process.wait(30)
        self.reader.join(10)
        output = self.process.stdout.read()
        self.process.stdout.close()
        self.process.stderr.close()
        assert not restante.REPORT.search(self.said.decode()), self.said
        assert self.process.returncode == 0, (self.process.returncode, self.said)
        return output

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop() if kind is None else self.process.wait(0)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.mark.sanitized
def test_it_stays_and_fetches_again(home):
    with Scripted(messages(1, 2)) as server, Watcher(home, *home.account(server.port)) as watcher:
        wait_until(lambda: server.sessions >= 3)
        server.messages[7] = messages(3)[0]
        wait_until(lambda: len(home.mail()) == 3)
        seen = server.sessions
        wait_until(lambda: server.sessions >= seen + 2)
        row = watcher.status(*home.account(server.port))["alice@127.0.0.1"]
        assert row["state"] == "well" and row["stored"] == 3 and row["interval"] == 1
        assert row["next_attempt"] >= row["last_success"] > 0
        assert watcher.stop() == b""
    # Quiet, unless something happens.
    assert [re.sub(r"\(.*?\)", "()", line) for line in watcher.lines()] == [
        "restante: alice@127.0.0.1: 2 new messages stored (), 2 deleted there, 0 left",
        "restante: alice@127.0.0.1: 1 new messages stored (), 1 deleted there, 0 left"]
    assert watcher.said.count(b"tls = never") == 1


@pytest.mark.parametrize("every", ["0", "5", "-5m", "999ms", "soon", "400d"])
def test_how_often_has_a_form(home, every):
    result = home.run("--watch", every, *home.account(1))
    assert result.returncode == EX_USAGE and b"like 5m" in result.stderr


@pytest.mark.parametrize("option", ["--dry-run", "--headers", "--mark-seen-all"])
def test_nothing_to_stay_for(home, option):
    result = home.run("--watch", "1s", option, *home.account(1))
    assert result.returncode == EX_USAGE and b"--watch" in result.stderr


@pytest.mark.sanitized
def test_a_refused_login_is_said_once_and_tried_less_often(home):
    refused = {b"PASS": b"-ERR [AUTH] no such luck\r\n"}
    path = home.folder / "errors"
    with Scripted(answers=refused) as server, \
            Watcher(home, *home.account(server.port, "--on-error", f"echo x >>{path}")) as watcher:
        watcher.wait_line("tries again in")
        row = watcher.status(*home.account(server.port))["alice@127.0.0.1"]
        assert row["next_attempt"] - row["last_attempt"] >= 13 * 60  # 15 min, less 10 %
        for sessions in (2, 3):  # the person is in a hurry
            wait_until(lambda: (watcher.send(signal.SIGUSR1), server.sessions >= sessions)[1])
        wait_until(lambda: watcher.status(*home.account(server.port))["alice@127.0.0.1"]["failures"] >= 3)
        assert len(watcher.lines()) == 2 and "no such luck" in watcher.lines()[0]
        server.answers.clear()
        wait_until(lambda: (watcher.send(signal.SIGUSR1), b"works again" in watcher.said)[1])
        seen = server.sessions
        wait_until(lambda: server.sessions >= seen + 2)  # as often as before
        watcher.stop()
        assert len(watcher.lines()) == 3 and path.read_text() == "x\n"


def test_failures_of_other_kinds_are_said_each(home):
    with Scripted(answers={b"PASS": b"-ERR [SYS/TEMP] later\r\n"}) as server, \
            Watcher(home, *home.account(server.port)) as watcher:
        watcher.wait_line("the server has a problem")
        wait_until(lambda: server.sessions >= 2)
        server.answers[b"PASS"] = b"-ERR [AUTH] no such luck\r\n"
        watcher.wait_line("no such luck")
        wait_until(lambda: watcher.said.count(b"tries again in") == 2)
        watcher.stop()
        assert watcher.said.count(b"the server has a problem") == 1


@pytest.mark.parametrize("code", [b"IN-USE", b"LOGIN-DELAY"])
def test_what_is_no_failure(home, code):
    with Scripted(answers={b"PASS": b"-ERR [%s] wait\r\n" % code}) as server, \
            Watcher(home, *home.account(server.port, "--on-error", f"touch {home.folder}/error")) as watcher:
        wait_until(lambda: server.sessions >= 2)
        row = watcher.status(*home.account(server.port))["alice@127.0.0.1"]
        assert row["failures"] == 0 and row["last_success"] == 0
        server.answers.clear()
        wait_until(lambda: watcher.status(*home.account(server.port))["alice@127.0.0.1"]["last_success"] != 0)
        watcher.stop()
        assert len(watcher.lines()) == 1 and not (home.folder / "error").exists()


def test_login_delay_is_the_least_interval(home):
    """RFC 2449 section 6.5: "Clients which permit the user to configure a mail check interval SHOULD use this
    capability to determine the minimum permissible interval." """
    with Scripted(capabilities=(*CAN, b"LOGIN-DELAY 3600")) as server, \
            Watcher(home, *home.account(server.port)) as watcher:
        account = home.account(server.port)
        wait_until(lambda: watcher.status(*account)["alice@127.0.0.1"]["interval"] != 0)
        row = watcher.status(*account)["alice@127.0.0.1"]
        assert row["interval"] == 3600 and row["next_attempt"] - row["last_success"] >= 3599
        watcher.send(signal.SIGUSR1)
        time.sleep(1.6)
        assert server.sessions == 1  # not even in a hurry
        watcher.stop()


def test_login_delay_of_the_user(home):
    """With USER after it, what is said after the login is more accurate."""
    with Scripted(capabilities=(*CAN, b"LOGIN-DELAY 3600 USER")) as server:
        def accept(*_):
            server.capabilities = (*CAN, b"LOGIN-DELAY 2")
            return b"+OK\r\n"

        server.answers[b"PASS"] = accept
        with Watcher(home, *home.account(server.port)) as watcher:
            wait_until(lambda: server.sessions >= 2)
            assert watcher.status(*home.account(server.port))["alice@127.0.0.1"]["interval"] == 2


@pytest.mark.sanitized
def test_each_account_has_its_clock_and_no_command_stops_it(home):
    ready = home.folder / "hook"
    with Scripted(messages(1)) as one, Scripted() as two:
        home.configure({"one": home.section(one.port, "one", **{"on-new": f"touch {ready}; exec sleep 1000"}),
                        "two": home.section(two.port, "two")})
        with Watcher(home) as watcher:
            wait_until(ready.exists)
            seen = two.sessions
            wait_until(lambda: two.sessions >= seen + 2)
            assert one.sessions <= 2  # a fresh listing; then its command has to end first
            watcher.send(signal.SIGTERM)
            time.sleep(0.3)
            assert watcher.process.poll() is None  # it waits for the command
            wait_until(lambda: (watcher.send(signal.SIGTERM), watcher.process.poll() is not None)[1])  # told again
            watcher.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_in_the_middle_of_a_message(home, number):
    half, hold = threading.Event(), threading.Event()

    def retr(server, argument, _):
        if argument != b"2":
            return server._retr(argument)
        server.connection.sendall(b"+OK\r\nSubject: 2\r\n\r\nha")
        half.set()
        hold.wait(20)
        return None

    with Scripted(messages(1, 2), {b"RETR": retr}) as server:
        with Watcher(home, *home.account(server.port)) as watcher:
            assert half.wait(20)
            watcher.stop(number)
            hold.set()
        assert len(server.messages) == 2 and not list((home.maildir / "tmp").iterdir())
        assert [re.match(rb"Subject: \d", mail)[0] for mail in home.mail()] in ([], [b"Subject: 1"])
        # Who ended it knows: that is no failure.
        row = watcher.status(*home.account(server.port))["alice@127.0.0.1"]
        assert row["failures"] == 0


@pytest.mark.sanitized
def test_the_configuration_is_read_again(home):
    refused = {b"PASS": b"-ERR [AUTH] no such luck\r\n"}
    with Scripted() as one, Scripted() as two, Scripted(answers=refused) as three:
        sections = {"one": home.section(one.port, "one"), "three": home.section(three.port, "three")}
        path = home.configure(sections)
        with Watcher(home) as watcher:
            watcher.wait_line("tries again")
            wait_until(lambda: one.sessions >= 1)
            path.write_text(path.read_text() + "[one]\nhoost = x\n")
            watcher.send(signal.SIGHUP)
            watcher.wait_line("the accounts stay as they were")
            assert "there is no option hoost" in watcher.said.decode()
            seen = one.sessions
            wait_until(lambda: one.sessions > seen)
            three.answers.clear()
            del sections["one"]
            home.configure(sections | {"two": home.section(two.port, "two")})
            watcher.send(signal.SIGHUP)
            wait_until(lambda: two.sessions >= 2)
            watcher.wait_line("three: works again")  # what failed is tried at once
            seen = one.sessions
            time.sleep(1.6)
            assert one.sessions == seen


def test_a_password_of_the_person_is_asked_for_once(home):
    with Scripted() as server, \
            Watcher(home, *home.account(server.port, password=()), input=b"by hand\n") as watcher:
        wait_until(lambda: server.sessions >= 2)
        watcher.send(signal.SIGHUP)
        seen = server.sessions
        wait_until(lambda: server.sessions >= seen + 2)
        watcher.stop()
        assert {line for line in server.commands if line.startswith(b"PASS")} == {b"PASS by hand"}
        assert b"by hand" not in watcher.said


def test_it_is_not_given_to_another_server(home):
    with Scripted() as one, Scripted() as two:
        section = home.section(one.port, "box")
        del section["password-file"]
        home.configure({"box": section})
        with Watcher(home, input=b"by hand\n") as watcher:
            wait_until(lambda: one.sessions >= 1)
            home.configure({"box": section | {"port": two.port}})
            watcher.send(signal.SIGHUP)
            watcher.wait_line("its password has to be asked for")
            seen = one.sessions
            time.sleep(1.6)
            assert two.sessions == 0 and one.sessions == seen


def test_a_password_command_is_run_anew(home):
    path = home.folder / "runs"
    command = ("--password-command", f"echo x >>{path}; echo secret$(wc -l <{path})")
    with Scripted() as server, Watcher(home, *home.account(server.port, password=command)):
        wait_until(lambda: b"PASS secret3" in server.commands)


def test_for_systemd(home):
    path = home.folder / "notify"
    said = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, Scripted() as server:
        notify.bind(str(path))
        notify.settimeout(30)

        def expect(start):
            deadline = time.monotonic() + 30
            while not any(line.startswith(start) for line in said):
                assert time.monotonic() < deadline, said
                said.extend(notify.recv(4096).decode().split("\n"))

        environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "400000"}
        with Watcher(home, *home.account(server.port), environment=environment) as watcher:
            expect("READY=1")
            expect("STATUS=1 accounts, 0 failing")
            expect("WATCHDOG=1")
            server.answers[b"PASS"] = b"-ERR [AUTH] no such luck\r\n"
            expect("STATUS=1 accounts, 1 failing: alice@127.0.0.1: the login as alice by USER was refused")
            said.clear()
            watcher.send(signal.SIGHUP)
            expect("RELOADING=1")
            expect("READY=1")
            watcher.stop()
            expect("STOPPING=1")


def test_another_processes_watchdog_is_none_of_ours(home):
    path = home.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, Scripted() as server:
        notify.bind(str(path))
        environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}
        with Watcher(home, *home.account(server.port), environment=environment):
            wait_until(lambda: server.sessions >= 2)
        notify.setblocking(False)
        said = b""
        with contextlib.suppress(BlockingIOError):
            while True:
                said += notify.recv(4096)
        assert b"READY=1" in said and b"WATCHDOG" not in said


def test_its_clock_goes_on_while_the_machine_sleeps(home):
    """CLOCK_BOOTTIME, which is 7; and what was missed is made up for by one run."""
    with Scripted() as server, Watcher(home, *home.account(server.port)) as watcher:
        wait_until(lambda: server.sessions >= 1)
        timers = [text for path in pathlib.Path(f"/proc/{watcher.process.pid}/fdinfo").iterdir()
                  if "clockid:" in (text := path.read_text())]
        assert len(timers) == 1 and re.search(r"^clockid: 7$", timers[0], re.MULTILINE)


def test_json_says_all(home):
    with Scripted(answers={b"PASS": b"-ERR [SYS/TEMP] later\r\n"}) as server, \
            Watcher(home, "--json", *home.account(server.port)) as watcher:
        wait_until(lambda: server.sessions >= 3)
        events = [json.loads(line) for line in watcher.stop().splitlines()]
        assert sum(event["event"] == "failed" for event in events) >= 2
        assert any(event["event"] == "watch" and event["text"].startswith("tries again") for event in events)


def rss(process):
    return int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{process.pid}/status").read_text())[1])


def hurry(watcher, server, sessions):
    wait_until(lambda: server.sessions >= 1)  # before, the signal would end it
    seen = server.sessions
    deadline = time.monotonic() + 60
    while server.sessions < seen + sessions:
        assert time.monotonic() < deadline
        watcher.send(signal.SIGUSR1)
        time.sleep(0.004)


def test_memory_does_not_grow():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, Scripted(messages(1)) as server:  # no disk to wait for
        home = retriever.Home(folder)
        metrics = ("--prometheus", home.folder / "x.prom")
        with Watcher(home, *home.account(server.port, "--keep", *metrics)) as watcher:
            hurry(watcher, server, 30)
            before = rss(watcher.process)
            hurry(watcher, server, 120)
            assert rss(watcher.process) < before + 256


@pytest.mark.sanitized
def test_nothing_leaks(home):
    """What LeakSanitizer would find, at the end."""
    with Scripted(messages(1)) as server:
        home.configure({"one": home.section(server.port, "one", keep="yes")})
        with Watcher(home, "--prometheus", home.folder / "x.prom") as watcher:
            hurry(watcher, server, 5)
            watcher.send(signal.SIGHUP)
            hurry(watcher, server, 5)
            watcher.send(signal.SIGHUP)
            watcher.stop()

# SPDX-License-Identifier: MIT
"""Several sources: order, silence of one of them, processes that end, what is remembered."""

import itertools
import os
import re
import secrets
import signal

import pytest

import memory
import restante
import scram
from checker import Checker

BOB = {b"bob": b"pass word"}


def outcome(server, name, password):
    """The line that answers PASS."""
    with server.client() as client:
        client.ok(b"USER " + name)
        client.send(b"PASS " + password + b"\r\n")
        line = client.line()
        if line.startswith(b"+OK"):
            client.quit()
        return line


def sources(server):
    return [process for process in server.children() if process.command.startswith("restante source")]


def start_hanging(world, checker, **accounts):
    """A server whose checker hangs for the name "sloth"."""
    checker.write(before='name == b"sloth" and time.sleep(1000)')
    checker.configure(accounts=accounts)
    return world.start()


@pytest.mark.sanitized
def test_one_that_hangs_stalls_nobody_of_another_source(world):
    checker = Checker(world, BOB)
    server = start_hanging(world, checker, **{"source-timeout": "1000s", "source-processes": "2"})
    waiting = []
    for _ in range(6):  # more than there are processes
        client = server.client()
        client.ok(b"USER sloth")
        client.send(b"PASS x\r\n")
        waiting.append(client)
    restante.wait_until(lambda: len(checker.asked()) == 2, "both processes hang")
    for _ in range(20):
        assert outcome(server, b"alice", b"secret").startswith(b"+OK")
        assert outcome(server, b"alice", b"wrong").startswith(b"-ERR [AUTH]")
    for client in waiting:
        client.socket.close()


@pytest.mark.sanitized
def test_who_is_silent_is_killed_with_all_that_it_started(either_world):
    checker = Checker(either_world, BOB)
    server = start_hanging(either_world, checker, **{"source-timeout": "8s", "source-processes": "1"})
    before, = sources(server)
    line = outcome(server, b"sloth", b"x")
    assert line.startswith(b"-ERR [SYS/TEMP]"), line
    server.wait_log(rf"source command {before.pid} has not answered in time; it is killed")
    hung, = checker.asked()
    restante.wait_until(lambda: not os.path.exists(f"/proc/{before.pid}"), "the process is gone")
    restante.wait_until(lambda: not is_alive(hung.pid), "and the program that it had started")
    # The next one may be slow to start on a machine that is busy.
    restante.wait_until(lambda: outcome(server, b"bob", b"pass word").startswith(b"+OK"), "let in")
    assert before.pid not in [process.pid for process in sources(server)]


def is_alive(pid):
    try:
        return restante.Process(pid).state != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_other_processes_of_the_source_go_on(world):
    """One name hangs a process; others of the same source are answered by the next one meanwhile."""
    checker = Checker(world, BOB)
    server = start_hanging(world, checker, **{"source-timeout": "1000s", "source-processes": "2"})
    with server.client() as client:
        client.ok(b"USER sloth")
        client.send(b"PASS x\r\n")
        restante.wait_until(checker.asked, "it hangs")
        for _ in range(5):
            assert outcome(server, b"bob", b"pass word").startswith(b"+OK")


@pytest.mark.sanitized
def test_the_queue_is_bounded(world):
    """Who comes when 512 wait hears so at once; nobody waits longer than the time limit."""
    checker = Checker(world, BOB)
    checker.write(before='name == b"sloth" and time.sleep(1000)')
    checker.configure(accounts={"source-timeout": "1000s", "source-processes": "1"},
                      limits={"connections-per-address": "1000"})
    server = world.start()
    clients = []
    try:
        for _ in range(1 + 512 + 5):
            clients.append(server.client())
            clients[-1].send(b"USER sloth\r\nPASS x\r\n")
            clients[-1].line()
        refused = []

        def look():
            refused[:] = server.log().count("too many wait for it"),
            return refused[0] >= 5
        restante.wait_until(look, "the queue is full")
        assert refused == [5]
        assert outcome(server, b"alice", b"secret").startswith(b"+OK")
    finally:
        for client in clients:
            client.socket.close()


def test_a_process_that_ends_is_started_again(world):
    checker = Checker(world, BOB)
    checker.configure(accounts={"source-processes": "1"})
    server = world.start()
    for _ in range(2):
        process, = sources(server)
        os.kill(process.pid, signal.SIGKILL)
        server.wait_log(rf"source command {process.pid} was ended by signal 9.*started again")
        assert outcome(server, b"bob", b"pass word").startswith(b"+OK")  # waits in the queue meanwhile


def test_a_process_that_ends_in_the_middle(world):
    checker = Checker(world, BOB, before="os.kill(os.getppid(), signal.SIGKILL)")
    checker.configure(accounts={"source-processes": "1"})
    server = world.start()
    assert outcome(server, b"bob", b"pass word").startswith(b"-ERR [SYS/TEMP]")
    checker.write()
    assert outcome(server, b"bob", b"pass word").startswith(b"+OK")


def test_auth_may_be_started_again(world):
    """The processes of sources stay, and get new channels."""
    checker = Checker(world, BOB)
    checker.configure()
    server = world.start()
    before = {process.pid for process in sources(server)}
    assert len(before) == 4
    auth, = [process for process in server.children() if process.command.startswith("restante auth")]
    os.kill(auth.pid, signal.SIGKILL)
    server.wait_log(r"auth \d+ was ended by signal 9")
    restante.wait_until(lambda: outcome(server, b"bob", b"pass word").startswith(b"+OK"), "let in")
    assert {process.pid for process in sources(server)} == before


def test_reload(world):
    """The old processes go with the last session of their fleet, and a new source counts at once."""
    server = world.start()
    assert sources(server) == []
    checker = Checker(world, BOB)
    checker.configure()
    with server.login() as client:
        server.signal(signal.SIGHUP)
        server.wait_log("reloaded")
        assert outcome(server, b"bob", b"pass word").startswith(b"+OK")
        world.configure()
        server.signal(signal.SIGHUP)
        restante.wait_until(lambda: server.log().count("reloaded") == 2, "reloaded again")
        restante.wait_until(lambda: sources(server) == [], "the sources have gone")
        client.quit()
    assert outcome(server, b"bob", b"pass word").startswith(b"-ERR [AUTH]")


def test_a_source_that_cannot_start_stops_the_start(make_world):
    """Found by the server, not by the first who wants his mail."""
    world = make_world(privileged=True)
    checker = Checker(world, BOB)
    checker.configure()
    locked = world.folder / "locked"
    locked.mkdir(mode=0o700)  # root's preflight may look into it, auth-user may not
    checker.program.rename(locked / "checker")
    world.configure(accounts={"source": "file, command", "command": locked / "checker"})
    result = world.run("serve", "-c", world.configuration_file)
    assert result.returncode not in (0, None)
    assert b"source command: command = " in result.stderr and b"Permission denied" in result.stderr


ORDERS = list(itertools.permutations(["alice/1", "alice/2", "bob/1", "bob/2"]))


@pytest.mark.parametrize("source", ["file, command", "command, file"])
def test_no_answer_is_anothers_in_any_order(world, source):
    """alice is in the file, bob in the command; each has the other's password there where it does not count.
    Whatever was asked and remembered before, each is let in to her own mail, by her own password."""
    checker = Checker(world, {b"bob": b"1"})
    world.write_accounts({"alice": "2", "carol": "1"})
    checker.configure(source, limits={"connections-per-user": "100"})
    for user, count in (("alice", 1), ("bob", 2), ("carol", 3)):
        for _ in range(count):
            world.put(b"Subject: %s\n\nx\n" % user.encode(), user=user)
    server = world.start()
    right = {"alice/2": 1, "bob/1": 2}
    for order in ORDERS:
        for question in order:
            user, password = question.encode().split(b"/")
            with server.client() as client:
                client.ok(b"USER " + user)
                client.send(b"PASS " + password + b"\r\n")
                line = client.line()
                assert line.startswith(b"+OK") == (question in right), (order, question, line)
                if question in right:
                    assert client.ok(b"STAT").startswith(b"+OK %d " % right[question])
                    client.quit()
    # Who moves from one source to the other takes nothing along.
    world.write_accounts({"alice": "2", "bob": "of the file"})
    checker.people.write_bytes(b"alice of the command\n")
    expected = {b"alice": b"2", b"bob": b"of the file"}
    if source == "command, file":
        expected[b"alice"] = b"of the command"
    restante.wait_until(lambda: outcome(server, b"bob", b"of the file").startswith(b"+OK"), "moved")
    for user, password in expected.items():
        assert outcome(server, user, password).startswith(b"+OK"), user
    assert outcome(server, b"bob", b"1").startswith(b"-ERR [AUTH]")
    assert outcome(server, b"alice", b"of the command" if source == "file, command" else b"2"
                   ).startswith(b"-ERR [AUTH]")


@pytest.mark.skipif(not restante.IS_ROOT, reason="needs root: reads the memory of other processes")
@pytest.mark.parametrize("right", [True, False])
def test_the_password_is_forgotten(world, right):
    """Once the login is answered no process of the source has it."""
    password = secrets.token_hex(24).encode()
    checker = Checker(world, {b"bob": password if right else b"another"})
    checker.log.unlink()
    checker.log.symlink_to("/dev/null")
    checker.configure(accounts={"source-processes": "1"})
    server = world.start()
    for _ in range(2):
        assert outcome(server, b"bob", password).startswith(b"+OK" if right else b"-ERR")
    for process in server.processes():
        assert memory.find(process.pid, password, password[:-1], password[1:], password[4:20]) == [], \
            f"the password is in the memory of {process.command}"
    assert password.decode() not in server.log()


def test_what_a_command_said_is_not_remembered(world):
    checker = Checker(world, BOB)
    checker.configure()
    server = world.start()
    for _ in range(3):
        assert outcome(server, b"bob", b"pass word").startswith(b"+OK")
    assert len(checker.asked()) == 3
    checker.people.write_bytes(b"bob another\n")
    assert outcome(server, b"bob", b"pass word").startswith(b"-ERR [AUTH]")
    assert outcome(server, b"bob", b"another").startswith(b"+OK")


READ = """\
    def can(path):
        try:
            return bool(open(path, "rb").read())
        except OSError:
            return False
    with open({log!r}, "ab") as log:
        log.write(repr([can(path) for path in {paths!r}]).encode() + b"\\n")
    sys.exit(1)"""


@pytest.mark.sanitized
def test_no_source_reads_the_accounts_file(either_world):
    """Also where it runs as the user who may, or as root; whatever is put in the file's place; under any name."""
    world = either_world
    if world.privileged:
        world.accounts_file.chmod(0o644)
    checker = Checker(world, {})
    checker.configure(accounts={"command-user": "root" if world.privileged else "none"})
    other = world.folder / "other"
    other.write_text("x")
    seen = world.folder / "seen"
    seen.touch()
    seen.chmod(0o666)
    paths = [str(world.accounts_file), f"/proc/self/root{world.accounts_file}", str(other)]
    checker.write(before=READ.format(log=str(seen), paths=paths))
    server = world.start()
    for _ in range(3):
        outcome(server, b"bob", b"x")
        world.write_accounts({"alice": "secret", "carol": "x"})
        if world.privileged:
            world.accounts_file.chmod(0o644)
    lines = seen.read_text().splitlines()
    assert lines == ["[False, False, True]"] * 3, lines


def test_what_comes_to_stand_beside_the_file_is_found(world):
    """A process that was fenced in before is replaced; nobody notices."""
    checker = Checker(world, BOB)
    checker.configure(accounts={"source-processes": "2"})
    server = world.start()
    before = {process.pid for process in sources(server)}
    draft = world.folder / "draft"
    draft.write_bytes(b"bob new\n")
    draft.rename(checker.people)
    assert outcome(server, b"bob", b"new").startswith(b"+OK")
    assert outcome(server, b"bob", b"pass word").startswith(b"-ERR [AUTH]")
    restante.wait_until(lambda: len(sources(server)) == 2, "as many as before")
    assert {process.pid for process in sources(server)} != before
    assert "ended with" not in server.log()


SCRAM = "SCRAM-SHA-256"


@pytest.mark.sanitized
@pytest.mark.parametrize("source", ["file, command", "command, file"])
def test_who_proves_a_password_without_showing_it(world, source):
    """SCRAM and APOP need a verifier. Who is in the file first has one; of whom a program before the file may know,
    nobody can tell, so nobody is let in. Refusals look all alike."""
    checker = Checker(world, BOB)
    world.write_accounts({"alice": scram.verifier(SCRAM, b"secret")})
    checker.configure(source, pop3={"mechanisms": f"{SCRAM}, PLAIN"})
    server = world.start()

    def prove(user, password):
        with server.client() as client:
            return scram.authenticate(scram.Speaker(client), scram.Scram(SCRAM, user, password))

    assert prove(b"alice", b"secret").startswith(b"+OK") == (source == "file, command")
    refusals = {prove(user, password) for user, password in (
        (b"alice", b"wrong"), (b"bob", b"pass word"), (b"nobody", b"x"))}
    assert len(refusals) == 1 and refusals.pop().startswith(b"-ERR [AUTH]")
    assert checker.asked() == []
    assert outcome(server, b"bob", b"pass word").startswith(b"+OK")


def test_without_sources_there_is_no_process_more(world):
    server = world.start()
    kinds = sorted(re.sub(r"^restante (\w+).*", r"\1", process.command).strip()
                   for process in server.children())
    assert kinds == ["auth", "worker", "worker"]

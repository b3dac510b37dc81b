# SPDX-License-Identifier: MIT
"""restante fetch into what is not a Maildir: mbox, a command, LMTP; and a target that is slow or refuses."""

import mailbox
import time

import pytest

from lmtp_server import LmtpServer
from retriever import Home
from scripted import Scripted

OCTETS = b"Subject: %d\r\nFrom: f\r\n\r\nFrom here\r\n>From there\r\n.dot\r\n"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def messages(count):
    return [(b"m%d" % number, OCTETS % number) for number in range(1, count + 1)]


def stored(number):
    return (OCTETS % number).replace(b"\r\n", b"\n")


@pytest.mark.sanitized
def test_mbox(home):
    box = home.folder / "Mail/in.mbox"
    box.parent.mkdir()
    box.write_bytes(b"From before Mon Jan  2 03:04:05 2023\nSubject: before\n\nbody\n\n")
    with Scripted(messages(3)) as server:
        for _ in range(2):
            result = home.fetch(server.port, "--keep", target=("--mbox", box))
            assert result.returncode == 0, result.stderr
    letters = [letter.as_bytes() for letter in mailbox.mbox(box)]
    assert len(letters) == 4
    for number in (1, 2, 3):
        assert letters[number].rstrip(b"\n") + b"\n" == stored(number).replace(
            b">From", b">>From").replace(b"\nFrom here", b"\n>From here")
    assert sorted(path.name for path in box.parent.iterdir()) == ["in.mbox"]  # no lock is left


def test_an_mbox_that_another_holds_is_not_touched(home):
    box = home.folder / "in.mbox"
    box.write_bytes(b"")
    lock = home.folder / "in.mbox.lock"
    lock.touch()
    with Scripted(messages(1)) as server:
        process = home.start(*home.account(server.port, target=("--mbox", box)))
        time.sleep(1)
        assert process.poll() is None and box.read_bytes() == b"" and 1 in server.messages
        lock.unlink()
        assert process.wait(30) == 0
        process.communicate()
    assert box.read_bytes().count(b"Subject: 1") == 1


@pytest.mark.sanitized
def test_pipe(home):
    command = (f'cat >{home.folder}/$RESTANTE_UNIQUE_ID; '
               f'echo "$RESTANTE_ACCOUNT $RESTANTE_HOST $RESTANTE_USER $RECIPIENT" >{home.folder}/variables')
    with Scripted(messages(3)) as server:
        result = home.fetch(server.port, "--rcpt", "me@here", target=("--pipe", command))
        assert result.returncode == 0, result.stderr
        assert not server.messages
    for number in (1, 2, 3):
        assert (home.folder / f"m{number}").read_bytes() == stored(number)
    assert (home.folder / "variables").read_text() == "alice@127.0.0.1 127.0.0.1 alice me@here\n"


@pytest.mark.parametrize("status,exit_status,outcome",
                         [(75, 75, "deferred"), (69, 69, "refused"), (65, 69, "refused"), (1, 75, "deferred")])
def test_what_a_command_refuses_stays_there(home, status, exit_status, outcome):
    command = f"grep -q 'Subject: 2' && exit {status}; exit 0"
    with Scripted(messages(3)) as server:
        result = home.fetch(server.port, "--json", target=("--pipe", command))
        assert set(server.messages) == {2}
    outcomes = {event["number"]: event["outcome"] for event in home.events(result)
                if event["event"] == "message" and event["outcome"] != "deleted"}
    assert outcomes == {1: "stored", 2: outcome, 3: "stored"}
    assert result.returncode == exit_status


def test_no_such_command_ends_the_run(home):
    with Scripted(messages(3)) as server:
        result = home.fetch(server.port, target=("--pipe", "no-such-command"))
        assert result.returncode == 78 and b"cannot be run" in result.stderr
        assert set(server.messages) == {1, 2, 3}


def test_what_is_refused_too_often_is_put_aside_and_the_run_goes_on(home):
    command = "grep -q 'Subject: 1' && { echo no >&2; exit 65; }; exit 0"
    with Scripted(messages(2)) as server:
        for attempt in range(1, 6):
            result = home.fetch(server.port, "--json", target=("--pipe", command))
            outcomes = [event["outcome"] for event in home.events(result)
                        if event["event"] == "message" and event["number"] == 1]
            assert 1 in server.messages and 2 not in server.messages
            if attempt < 3:
                assert outcomes == ["refused"] and result.returncode == 69
            elif attempt == 3:
                assert outcomes == ["quarantined"] and result.returncode == 69
            else:
                assert outcomes == [] and result.returncode == 0
            server.messages[2] = messages(2)[1]
        assert sum(line == b"RETR 1" for line in server.commands) == 3
    folder = home.state / "alice@127.0.0.1.quarantine"
    letter, note = sorted(folder.iterdir())
    assert letter.read_bytes() in (OCTETS % 1, stored(1))
    assert folder.stat().st_mode & 0o777 == 0o700 and letter.stat().st_mode & 0o777 == 0o600
    assert "still on the server" in note.read_text() and "refused 3 times" in note.read_text()


@pytest.mark.sanitized
def test_lmtp(home):
    with LmtpServer() as lmtp, Scripted(messages(3)) as server:
        result = home.fetch(server.port, "--rcpt", "alice@here", target=("--lmtp", lmtp.place))
        assert result.returncode == 0, result.stderr
        assert not server.messages
        assert lmtp.mail == [OCTETS % number for number in (1, 2, 3)]
        assert lmtp.commands.count(b"RCPT TO:<alice@here>\r\n") == 3


@pytest.mark.parametrize("answers,status,outcome", [
    ({"rcpt": b"550 5.1.1 nobody\r\n"}, 69, "refused"),
    ({"rcpt": b"450 4.2.0 later\r\n"}, 75, "deferred"),
    ({"end": b"554 5.6.0 \x1b[2J ugly\r\n"}, 69, "refused"),
    ({"end": b"451 4.3.0 later\r\n"}, 75, "deferred"),
])
def test_what_lmtp_refuses_stays_there(home, answers, status, outcome):
    with LmtpServer(**answers) as lmtp, Scripted(messages(2)) as server:
        result = home.fetch(server.port, "--json", "--rcpt", "a@h", target=("--lmtp", lmtp.place))
        assert result.returncode == status, result.stderr
        assert {event["outcome"] for event in home.events(result) if event["event"] == "message"} == {outcome}
        assert set(server.messages) == {1, 2} and lmtp.mail == []
        text = home.fetch(server.port, "--rcpt", "a@h", target=("--lmtp", lmtp.place))
        assert outcome.encode() in text.stderr and b"\x1b" not in text.stderr


def test_an_lmtp_server_that_is_dead_or_dies(home):
    with Scripted(messages(2)) as server:
        lmtp = LmtpServer()
        lmtp.close()
        assert home.fetch(server.port, "--rcpt", "a@h", target=("--lmtp", lmtp.place)).returncode == 75
        with LmtpServer(end=None) as lmtp:
            assert home.fetch(server.port, "--rcpt", "a@h", target=("--lmtp", lmtp.place)).returncode == 75
        assert set(server.messages) == {1, 2}
        with LmtpServer() as lmtp:
            assert home.fetch(server.port, "--rcpt", "a@h", target=("--lmtp", lmtp.place)).returncode == 0
        assert not server.messages and len(lmtp.mail) == 2


def test_a_slow_target_does_not_let_the_server_wait_in_vain(home):
    """NOOP is sent meanwhile, and no message is asked for that could not be taken at once."""
    large = [(b"m%d" % n, OCTETS % n + b"x" * 70 + b"\r\n" * 700000) for n in range(1, 5)]
    with Scripted(large) as server:
        result = home.fetch(server.port, "--timeout", "1s", target=("--pipe", "cat >/dev/null; sleep 1.5"))
        assert result.returncode == 0, result.stderr
        assert not server.messages
        asked = [line.split()[0] for line in server.commands if line[:4] in (b"RETR", b"NOOP", b"DELE")]
        assert asked.count(b"RETR") == 4 and asked.count(b"NOOP") >= 4
        assert asked[:2] == [b"RETR", b"NOOP"] and asked[asked.index(b"DELE") - 1] == b"NOOP"


def test_a_server_that_goes_while_the_target_is_slow(home):
    with Scripted(messages(1), {b"NOOP": None}) as server:
        result = home.fetch(server.port, "--timeout", "1s", target=("--pipe", "cat >/dev/null; sleep 1.5"))
        assert result.returncode in (0, 75)
        assert home.fetch(server.port, target=("--pipe", f"cat >{home.folder}/second")).returncode == 0
        assert not server.messages and not (home.folder / "second").exists()


def test_trace_headers(home):
    with Scripted(messages(1)) as server:
        assert home.fetch(server.port, "--trace").returncode == 0
    letter, = home.mail()
    assert letter.startswith(b"Delivered-To: ") and b"\nReceived: from 127.0.0.1" in letter
    assert letter.endswith(stored(1))

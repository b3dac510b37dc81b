# SPDX-License-Identifier: MIT
"""One line for each session's end with all that an operator wants, and nothing of a stranger's choice."""

import re

import pytest

import maildir
import restante

LINE = re.compile(r"^\S+Z info \S+\[\d+\]: session (.*)$", re.MULTILINE)


def sessions(server):
    """The fields of every session's line."""
    return [dict(field.split("=", 1) for field in match[1].split(" "))
            for match in LINE.finditer(server.log())]


def wait_sessions(server, count):
    restante.wait_until(lambda: len(sessions(server)) >= count, f"{count} lines:\n{server.log()}")
    found = sessions(server)
    assert len(found) == count
    return found


@pytest.mark.sanitized
def test_the_line_of_a_session(either_world):
    world = either_world
    for size in (400, 500, 300):
        world.put(maildir.of_size(size))
    server = world.start()
    with server.login() as client:
        port = client.socket.getsockname()[1]
        client.multiline(b"RETR 1")
        client.multiline(b"RETR 2")
        head = client.multiline(b"TOP 3 0")
        client.ok(b"DELE 1")
        client.quit()
    [line] = wait_sessions(server, 1)
    assert line.pop("duration").replace(".", "").isdigit()
    assert line == {"user": "alice", "address": f"127.0.0.1:{port}", "method": "USER", "messages": "3",
                    "octets": "1200", "retr": "2/900", "top": f"1/{len(head)}", "dele": "1/400",
                    "removed": "1", "failed-logins": "0", "end": "quit"}


def test_why_it_ended(world):
    world.configure(pop3={"idle-timeout": "300ms", "login-timeout": "300ms",
                          "max-bad-commands": "2"}, maildrop={"take-over-idle": "1h"})
    world.put(maildir.of_size(400))
    server = world.start()
    ends = []

    def ended():
        ends.append(wait_sessions(server, len(ends) + 1)[-1]["end"])

    server.login().quit()
    ended()
    server.login().socket.close()
    ended()
    server.login().rest()
    ended()
    server.client().rest()
    ended()
    with server.client() as client:
        client.send(b"X\r\nX\r\nX\r\n")
        client.rest()
    ended()
    assert len(set(ends)) == 5, f"not told apart: {ends}"
    assert all(re.fullmatch(r"[a-z-]+", end) for end in ends)


def test_taken_over_and_shut_down_are_told(world):
    world.configure(maildrop={"take-over-idle": "200ms", "in-use-wait": "5s"},
                    server={"grace": "100ms"})
    world.maildrop()
    server = world.start()
    first = server.login()
    second = server.login()
    first.rest()
    server.terminate()
    second.rest()
    server.wait()
    ends = [line["end"] for line in sessions(server)]
    assert len(ends) == 2 and ends[0] != ends[1]
    assert not {"quit", "closed"} & set(ends)


@pytest.mark.sanitized
@pytest.mark.parametrize("name", [b"a\x1b[31mred", b"line\x0bbreak", b'quote" end=quit', b"\xff\xfe",
                                  b"x" * 480, b"%s%n%d", b"back\\slash",
                                  "\u202eright to left".encode()],
                         ids=["escape", "vertical tab", "quote", "8-bit", "long", "format",
                              "backslash", "right to left"])
def test_octets_of_strangers_are_escaped(world, name):
    server = world.start()
    with server.client() as client:
        client.send(b"USER " + name + b"\r\nPASS x\r\n")
        client.reply()
        client.reply()
        client.send(name + b"\r\n")
        client.reply()
        client.quit()
    wait_sessions(server, 1)
    log = world.log_file.read_bytes()[server.log_start:]
    assert all(octet == 10 or 32 <= octet < 127 for octet in log), log
    for line in log.decode().splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info|debug) "
                        r"\S+\[\d+\]: ", line), line
    if b"%" in name:
        assert b"%s%n%d" in log


def test_failed_logins_are_told(world):
    server = world.start()
    with server.client() as client:
        client.ok(b"USER alice")
        client.error(b"PASS wrong")
        client.ok(b"USER unknown")
        client.error(b"PASS wrong")
        client.quit()
    [line] = wait_sessions(server, 1)
    assert line["failed-logins"] == "2" and line["user"] == "-"
    for name in ("alice", "unknown"):
        assert re.search(rf'login failed user="{name}" address=127\.0\.0\.1', server.log())


def test_level(world):
    world.configure(log={"level": "error"})
    server = world.start()
    server.login().quit()
    server.stop()
    assert "session" not in server.log()

# SPDX-License-Identifier: MIT
"""What a run shows: bars on a terminal, JSON for scripts, the dialogue without its secrets."""

import base64
import json
import re
import threading

import pytest

from retriever import Home
from scripted import Scripted

ESCAPES = re.compile(rb"\x1b\[[0-9]+A\r\x1b\[J")  # all that our bars need: up, and erase below


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def messages(count, size=40):
    return [(b"m%d" % number, b"Subject: %d\r\n\r\n" % number + (b"x" * 70 + b"\r\n") * (size // 70 + 1))
            for number in range(1, count + 1)]


def paced(server, argument, _):
    threading.Event().wait(0.03)
    return server._retr(argument)


@pytest.mark.sanitized
def test_a_bar_for_each_account(home):
    mail = messages(20, 30000)
    kilobytes = round(sum(len(octets) for _, octets in mail) / 1000)
    with Scripted(mail, {b"RETR": paced}) as one, Scripted(mail, {b"RETR": paced}) as two:
        home.configure({"first": home.section(one.port, "first"), "second": home.section(two.port, "second")})
        shown, status = home.on_terminal()
    assert status == 0, shown
    bars = re.findall(rb"^(first|second) +\[([#-]{20})\] (\d+)/20  ([0-9.]+ \w+)/%d kB  ([0-9.]+ [kMG]?B)/s  "
                      rb"(\d+:\d\d|\?) left\r?$" % kilobytes, ESCAPES.sub(b"\n", shown), re.MULTILINE)
    assert {bar[0] for bar in bars} == {b"first", b"second"}
    assert {int(bar[2]) for bar in bars if bar[0] == b"first"} >= {20}
    assert len({bar[1] for bar in bars}) > 3  # it moves
    assert any(len(set(re.findall(rb"^(?:first|second) +\[", frame, re.MULTILINE))) == 2
               for frame in ESCAPES.split(shown))  # both at once
    assert b"first: 20 new messages stored (%d kB), 20 deleted there, 0 left" % kilobytes in shown
    assert b"\x1b" not in ESCAPES.sub(b"", shown)


@pytest.mark.parametrize("arguments,terminal", [(("-q",), "xterm"), (("--json",), "xterm"), ((), "dumb"),
                                                (("-v",), "xterm")])
def test_no_bar_where_none_is_wanted(home, arguments, terminal):
    with Scripted(messages(3)) as server:
        home.configure({"box": home.section(server.port, "box")})
        shown, status = home.on_terminal(*arguments, terminal=terminal)
    assert status == 0
    assert not re.search(rb"\[[#-]{20}\]", shown) and b"\x1b" not in shown


@pytest.mark.parametrize("columns", [21, 40, 200])
def test_a_bar_fits_into_its_line(home, columns):
    with Scripted(messages(3), {b"RETR": paced}) as server:
        home.configure({"\x1b[2J" + "n" * 50: home.section(server.port, "box")})
        shown, status = home.on_terminal(size=(24, columns))
    assert status == 0
    lines = [line for line in ESCAPES.sub(b"\n", shown).replace(b"\r", b"").split(b"\n") if b"[#" in line or b"[-" in line]
    assert lines and all(len(line) < columns for line in lines)
    assert b"\x1b" not in ESCAPES.sub(b"", shown)


def test_where_there_is_no_terminal_only_what_is_wrong_is_said(home):
    with Scripted(messages(3)) as server:
        result = home.fetch(server.port, "--keep")
        assert result.stdout == b""
        assert result.stderr.splitlines() == [
            b"restante: alice@127.0.0.1: tls = never: the password and the mail cross the network in the clear"]


def mask_answers():
    def encoded(octets):
        return base64.b64encode(octets)
    return {
        "USER": ((b"USER",), {}),
        "PLAIN": ((b"USER", b"SASL PLAIN"), {b"AUTH": b"+OK\r\n"}),
        "LOGIN": ((b"USER", b"SASL LOGIN"), {
            b"AUTH": b"+ " + encoded(b"Username:") + b"\r\n", encoded(b"alice"): b"+ " + encoded(b"Password:") + b"\r\n",
            encoded(b"s3cret-of-alice"): b"+OK\r\n"}),
        "CRAM-MD5": ((b"USER", b"SASL CRAM-MD5"), {b"AUTH": b"+ " + encoded(b"<1@h>") + b"\r\n"}),
    }


@pytest.mark.sanitized
@pytest.mark.parametrize("name", ["USER", "PLAIN", "LOGIN", "CRAM-MD5"])
def test_the_dialogue_has_no_secrets(home, name):
    home.set_password("s3cret-of-alice")
    capabilities, answers = mask_answers()[name]
    with Scripted(messages(1), answers, capabilities) as server:
        if name == "CRAM-MD5":  # its answer is not known before
            server._reply_of_known = server._reply
            server._reply = lambda line, pending: (
                server._reply_of_known(line, pending) if line.split(b" ")[0].isalpha() else b"+OK\r\n")
        result = home.fetch(server.port, "--auth", name, "-v")
        assert result.returncode == 0, result.stderr
        said = re.findall(rb"^alice@127\.0\.0\.1 C: (.*)$", result.stderr, re.MULTILINE)
        allowed = re.compile(rb"(CAPA|NOOP|STAT|UIDL|LIST|RETR \d+|DELE \d+|QUIT|USER alice|PASS \*\*\*|AUTH [A-Z0-9-]+( \*\*\*)?"
                             rb"|\*\*\*)$")
        assert said and [line for line in said if not allowed.match(line)] == []
        assert any(b"***" in line for line in said)
        secrets = [line for line in server.commands if line.split(b" ")[0] not in
                   (b"CAPA", b"NOOP", b"STAT", b"UIDL", b"LIST", b"RETR", b"DELE", b"QUIT", b"USER")]
        assert secrets
        for secret in [b"s3cret-of-alice", base64.b64encode(b"s3cret-of-alice"),
                       *(line.split(b" ")[-1] for line in secrets if line != b"AUTH " + name.encode())]:
            assert secret not in result.stderr + result.stdout


def test_the_dialogue_shows_the_rest(home):
    with Scripted(messages(1)) as server:
        result = home.fetch(server.port, "-v")
    for line in (b"S: +OK scripted", b"C: CAPA", b"S: PIPELINING", b"C: USER alice", b"C: RETR 1", b"C: DELE 1", b"C: QUIT"):
        assert b"alice@127.0.0.1 " + line + b"\n" in result.stderr, line
    assert b"logged in by USER over an unencrypted connection" in result.stderr


@pytest.mark.sanitized
def test_json_of_odd_octets(home):
    odd = bytes(range(0x21, 0x7f)) + bytes(range(0x80, 0x100))
    listed = [(odd, b"Subject: \xff\x00\x1b\"\\ odd\r\n\r\nx\r\n"), (b"ok", b"Subject: 2\r\n\r\nx\r\n")]
    with Scripted(listed, {b"DELE 2": b"-ERR \xff\x1b \"no\\\r\n"}) as server:
        headers = home.fetch(server.port, "--headers", "--json")
        result = home.fetch(server.port, "--json")
        assert result.returncode in (69, 75), result.stderr
    for output in (headers.stdout, result.stdout):
        assert all(0x20 <= octet < 0x7f or octet == 0x0a for octet in output)
    shown = [event for event in home.events(headers) if event["event"] == "header"]
    assert shown[0]["unique_id"].encode("latin-1") == odd
    assert shown[0]["header"].encode("latin-1").startswith(b"Subject: \xff\x00\x1b\"\\ odd")
    events = home.events(result)
    assert {event["unique_id"].encode("latin-1") for event in events if event["event"] == "message"} == {odd, b"ok"}
    assert events[-1]["event"] == "done" and events[-1]["stored"] == 2 and events[-1]["deleted"] == 1
    assert events[-1]["status"] == result.returncode


def test_json_of_an_odd_account(home):
    name = 'q"uo\\te \u00fc'
    with Scripted(messages(1)) as server:
        home.configure({name: home.section(server.port, "box")})
        result = home.run("--json")
    assert result.returncode == 0
    for event in home.events(result):
        assert event["account"].encode("latin-1").decode() == name
    json.loads(b"[" + b",".join(result.stdout.splitlines()) + b"]")


EVIL = b"\x1b]0;evil\x07\x9b2J\x08\r\x00"


@pytest.mark.parametrize("answers", [
    {"greeting": b"+OK " + EVIL + b" hi\r\n"}, {b"CAPA": b"+OK\r\nUIDL\r\nX-" + EVIL + b"\r\n.\r\n"},
    {b"USER": b"-ERR " + EVIL + b"\r\n"}, {b"PASS": b"-ERR [AUTH] " + EVIL + b"\r\n"},
    {b"LIST": b"+OK\r\n1 " + EVIL + b"\r\n.\r\n"}, {b"UIDL": b"+OK\r\n1 " + EVIL + b"\r\n.\r\n"},
    {b"STAT": b"+OK " + EVIL + b"\r\n"}, {b"RETR": b"-ERR " + EVIL + b"\r\n"}, {b"DELE": b"-ERR " + EVIL + b"\r\n"},
    {b"QUIT": b"-ERR " + EVIL + b"\r\n"}, {b"TOP": b"+OK\r\nSubject: " + EVIL + b"\r\n\r\n.\r\n"},
], ids=lambda answers: str(next(iter(answers))))
def test_control_octets_of_a_server_come_through_nowhere(home, answers):
    answers = {key: value.replace(b"\r\x00", b"\x00") for key, value in answers.items()}
    with Scripted(messages(1), answers) as server:
        for arguments in (("-v", "--headers"), ("-v",), ("--json",), ()):
            result = home.fetch(server.port, *arguments)
            for output in (result.stdout, result.stderr):
                assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f-\xff]", output), output

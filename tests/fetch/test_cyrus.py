# SPDX-License-Identifier: MIT
"""restante fetch --imap into Debian's Cyrus."""

import imaplib
import re
import select
import socket

import pytest

import maildir
import peers
from letters import LETTERS
from listening import Listening
from retriever import Home
from scripted import Scripted

ARRIVED = (b"Received: from a by b;\r\n\tTue, 02 Jan 2024 03:04:05 +0200 (CET)\r\nDate: Sun, 31 Dec 2023 23:00:00 +0000\r\n"
           b"Message-ID: <arrived@example.org>\r\nSubject: arrived\r\n\r\nbody\r\n")
CORPUS = [ARRIVED, *(maildir.on_the_wire(octets) for octets in LETTERS.values())]


class Cutting(Listening):
    """Between a client and a server, it cuts each of the first `cuts` connections where the server has taken a
    message: what it says of that reaches nobody."""

    def __init__(self, server_port, cuts):
        self.server_port, self.cuts = server_port, cuts
        super().__init__()

    def _session(self, connection):
        with socket.create_connection(("127.0.0.1", self.server_port), timeout=30) as server:
            said = b""
            while True:
                for source in select.select([connection, server], [], [], 60)[0]:
                    octets = source.recv(65536)
                    if not octets:
                        return
                    if source is connection:
                        server.sendall(octets)
                        continue
                    said = said[-64:] + octets
                    if self.sessions <= self.cuts and b"APPENDUID" in said:
                        return
                    connection.sendall(octets)


@pytest.fixture(scope="module")
def cyrus():
    server = peers.Cyrus()
    yield server
    server.close()


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def fetch(home, pop3, port, folder, *more):
    return home.fetch(pop3.port, "--imap-password-file", home.password, "--imap-clear", *more,
                      target=("--imap", f"imap://bob@localhost:{port}/{folder}"))


def box(cyrus, folder):
    """(facts, octets) of each message."""
    with imaplib.IMAP4("127.0.0.1", cyrus.port) as client:
        client.login("bob", "secret")
        status, said = client.select(folder, readonly=True)
        assert status == "OK", said
        _, rows = client.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
    return [row for row in rows if isinstance(row, tuple)]


def without_mark(octets):
    text, count = re.subn(rb"\AX-Restante-Id: [0-9a-f]{32}\r\n", b"", octets)
    assert count == 1, octets[:200]
    return text


@pytest.mark.sanitized
@pytest.mark.parametrize("auth", ["auto", "PLAIN", "USER"])
def test_the_corpus_with_dates_and_flags(cyrus, home, auth):
    with Scripted([(b"id-%d" % number, octets) for number, octets in enumerate(CORPUS)]) as pop3:
        result = fetch(home, pop3, cyrus.port, f"INBOX/B%C3%BCcher/{auth}", "--imap-auth", auth, "--imap-flags",
                       r"\Seen $Work")
        assert result.returncode == 0, result.stderr
        assert not pop3.messages
    rows = box(cyrus, f"INBOX.B&APw-cher.{auth}")
    assert sorted(without_mark(octets) for _, octets in rows) == sorted(CORPUS)
    assert all(b"\\Seen" in facts and b"$Work" in facts for facts, _ in rows), rows
    dates = {b"<arrived@" in octets: re.search(rb'INTERNALDATE "([^"]+)"', facts)[1] for facts, octets in rows}
    assert {state: imaplib.Internaldate2tuple(b'INTERNALDATE "%s"' % date) for state, date in dates.items()} == {
        True: imaplib.Internaldate2tuple(b'INTERNALDATE "02-Jan-2024 03:04:05 +0200"'),
        False: imaplib.Internaldate2tuple(b'INTERNALDATE "02-Jan-2023 03:04:05 +0000"')}


@pytest.mark.sanitized
@pytest.mark.parametrize("mark", ["yes", "no"])
@pytest.mark.parametrize("cuts", [1, 2])
def test_what_was_cut_off_is_there_once(cyrus, home, mark, cuts):
    with Scripted([(b"id-%d" % number, octets) for number, octets in enumerate(CORPUS)]) as pop3, \
            Cutting(cyrus.port, cuts) as between:
        for _ in range(cuts + 1):  # a run gives up after connections that brought nothing
            result = fetch(home, pop3, between.port, f"INBOX/cut-{mark}-{cuts}", f"--imap-mark={mark}")
            if result.returncode == 0:
                break
        assert result.returncode == 0, result.stderr
        assert not pop3.messages and between.sessions > cuts
    stored = [octets if mark == "no" else without_mark(octets) for _, octets in box(cyrus, f"INBOX.cut-{mark}-{cuts}")]
    assert sorted(stored) == sorted(CORPUS)


def test_letters_beyond_ascii_in_a_header(cyrus, home):
    """As Cyrus is set up by Debian: it keeps an X for each octet of them."""
    message = "Subject: Bücher\r\nMessage-ID: <ü@example.org>\r\n\r\nBücher\r\n".encode()
    header, _, body = message.partition(b"\r\n\r\n")
    with Scripted([(b"id", message)]) as pop3, Cutting(cyrus.port, 1) as between:
        result = fetch(home, pop3, between.port, "INBOX/letters")
        assert result.returncode == 0, result.stderr
        assert not pop3.messages
    (_, stored), = box(cyrus, "INBOX.letters")
    assert without_mark(stored) == re.sub(rb"[\x80-\xff]", b"X", header) + b"\r\n\r\n" + body

# SPDX-License-Identifier: MIT
"""Real clients read a real maildrop: what arrives is, octet for octet, what was stored."""

import poplib

import pytest

import clients
import maildir
from letters import LETTERS, PLAIN


@pytest.fixture
def server(world):
    for text in LETTERS.values():
        world.put(text)
    return world.start()


@pytest.fixture
def reader(world, server):
    return clients.Reader(world, server)


def assert_same(received, expected=None):
    """As sets of whole messages: a client may file them in any order."""
    expected = list((expected or LETTERS).values())
    assert sorted(map(len, received)) == sorted(map(len, expected))
    assert sorted(received) == sorted(expected)


def curl(reader, path="", *options):
    result = reader.curl(path, *options)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_curl(reader):
    for number, text in enumerate(LETTERS.values(), 1):
        assert curl(reader, str(number)) == maildir.on_the_wire(text)


def test_curl_lists_and_deletes(world, reader):
    listing = curl(reader)
    assert listing == b"".join(b"%d %d\r\n" % (n, len(maildir.on_the_wire(text)))
                               for n, text in enumerate(LETTERS.values(), 1))
    unique_ids = curl(reader, "", "-X", "UIDL")
    assert len(unique_ids.splitlines()) == len(LETTERS)
    curl(reader, "1", "-X", "DELE", "-I")
    assert len(maildir.names(world.maildrop())) == len(LETTERS) - 1


def test_curl_is_shown_surrogates(world):
    """RFC 6858: curl has no UTF8. What it lists is what it gets."""
    world.configure(pop3={"utf8": "yes"})
    world.put("From: é@example.com\nSubject: привет\nX-Note: é\n\nтело\n".encode())
    world.put(PLAIN)
    reader = clients.Reader(world, world.start())
    sizes = [int(line.split()[1]) for line in curl(reader).splitlines()]
    surrogate = curl(reader, "1")
    assert sizes == [len(surrogate), len(maildir.on_the_wire(PLAIN))]
    header, _, body = surrogate.partition(b"\r\n\r\n")
    assert header.isascii() and body == "тело\r\n".encode()
    assert header.endswith(b"\r\nSubject: =?UTF-8?B?0L/RgNC40LLQtdGC?=")
    assert curl(reader, "2") == maildir.on_the_wire(PLAIN)


def test_curl_with_a_wrong_password(reader):
    assert reader.curl(password="wrong").returncode == 67  # login denied


def test_poplib(world, server, monkeypatch):
    monkeypatch.setattr(poplib, "_MAXLINE", 1 << 20)
    client = poplib.POP3("127.0.0.1", server.port, timeout=30)
    assert "TOP" in client.capa()
    client.user("alice")
    client.pass_("secret")
    count, octets = client.stat()
    assert (count, octets) == (len(LETTERS),
                               sum(len(maildir.on_the_wire(text)) for text in LETTERS.values()))
    assert len(client.uidl()[1]) == len(client.list()[1]) == count
    received = []
    for number in range(1, count + 1):
        _, lines, size = client.retr(number)
        text = b"\n".join(lines) + b"\n"
        received.append(text)
        head = b"\n".join(client.top(number, 0)[1]) + b"\n"
        assert text.startswith(head) and head.endswith(b"\n\n")
        client.dele(number)
    client.rset()
    client.dele(1)
    client.noop()
    client.quit()
    assert_same(received)
    assert len(maildir.names(world.maildrop())) == count - 1


def test_mpop(reader):
    result = reader.mpop()
    assert result.returncode == 0, result.stderr + result.stdout
    assert_same(reader.received())
    reader.assert_taken()


def test_mpop_keeps_and_sees_nothing_twice(world, reader):
    """Unique ids are what this rests on."""
    for _ in range(2):
        assert reader.mpop(keep="on").returncode == 0
        assert_same(reader.received())
    world.put(PLAIN)
    assert reader.mpop(keep="on").returncode == 0
    assert len(reader.received()) == len(LETTERS) + 1
    assert len(maildir.names(world.maildrop())) == len(LETTERS) + 1


def test_fetchmail(reader):
    result = reader.fetchmail()
    assert result.returncode == 0, result.stderr + result.stdout
    assert_same(reader.received())
    reader.assert_taken()


def test_getmail6(reader):
    result = reader.getmail()
    assert result.returncode == 0, result.stderr + result.stdout
    assert_same(reader.received_by_getmail())
    reader.assert_taken()


def test_mutt(reader):
    reader.mutt()
    assert_same(reader.received_by_mutt())
    reader.assert_taken()

# SPDX-License-Identifier: MIT
"""RFC 6858: who did not say UTF8 is shown surrogates, with their exact octets; who did, the messages themselves."""

import email
import email.policy

import pytest

import maildir
from letters import LETTERS

pytestmark = pytest.mark.sanitized
NOBODY = "invalid@internationalized-address.invalid"
ASCII = maildir.of_size(400)
LETTER = """\
Return-Path: <пётр@пример.рф>
Received: from пример.рф
From: Пётр Первый <пётр@пример.рф>
To: "Анна, сестра" <anna@example.com>, bob@example.com,
 друзья: é@example.com;
Subject: Очень длинная тема письма, которая не помещается в одно закодированное слово
Message-ID: <é@example.com>
Date: Mon, 30 Nov 2026 12:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="грань"; boundary="b"

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Тело письма
.и точка
--b
Content-Type: message/global

From: é@example.com
Subject: вложенное

тело
--b
Content-Type: application/octet-stream
Content-Disposition: attachment; filename="имя.txt"

x
--b--
""".encode()
IN_PART = b"Subject: x\nContent-Type: multipart/x; boundary=b\n\n--b\nX: \xe9\n\n\xe9\n--b--\n"
LATIN = b"Subject: Gr\xfc\xdfe\n\nbody\n"
LARGE = b"Subject: \xc3\xa9\n\n" + b"\xd1\x8f line that is as long as lines are\n" * 20000
TEXTS = [ASCII, LETTER, IN_PART, LATIN, LARGE]


@pytest.fixture
def server(world):
    world.configure(pop3={"utf8": "yes"})
    for text in TEXTS:
        world.put(text)
    return world.start()


def utf8(server):
    client = server.client()
    client.ok(b"UTF8")
    client.login()
    return client


def headers_are_ascii(octets):
    """As Python's parser sees them."""
    parts = list(email.message_from_bytes(octets).walk())
    return all(value.isascii() for part in parts for value in map(str, part.values()))


def check_all(client, shown):
    """LIST, STAT and RETR say the same."""
    sizes = client.sizes()
    assert [sizes[number] for number in range(1, len(shown) + 1)] == [len(text) for text in shown]
    assert client.ok(b"STAT") == b"+OK %d %d" % (len(shown), sum(map(len, shown)))
    for number, text in enumerate(shown, 1):
        assert client.multiline(b"RETR %d" % number) == text


def test_each_is_shown_its_own(server):
    originals = [maildir.on_the_wire(text) for text in TEXTS]
    with server.login() as client:
        surrogates = [client.multiline(b"RETR %d" % number) for number in range(1, len(TEXTS) + 1)]
        ids = client.unique_ids()
        client.quit()
    assert surrogates[0] == originals[0]
    assert all(a != b for a, b in zip(surrogates[1:], originals[1:]))
    assert all(headers_are_ascii(text) for text in surrogates)
    assert not headers_are_ascii(originals[1])
    for _ in range(2):
        with utf8(server) as client:
            check_all(client, originals)
            assert client.unique_ids() == ids
            client.quit()
        with server.login() as client:
            check_all(client, surrogates)
            assert client.unique_ids() == ids
            client.quit()


def test_the_user_sees_what_there_is(server):
    with server.login() as client:
        surrogate = email.message_from_bytes(client.multiline(b"RETR 2"), policy=email.policy.default)
    assert surrogate["Subject"] == "Очень длинная тема письма, которая не помещается в одно закодированное слово"
    sender, = surrogate["From"].addresses
    assert sender.addr_spec == NOBODY
    # Python 3.11 shows the blank between two encoded words of a name, which RFC 2047 section 6.2 has ignored.
    assert sender.display_name.replace(" ", "") == "ПётрПервый<пётр@пример.рф>"
    assert [address.addr_spec for address in surrogate["To"].addresses] == ["anna@example.com", "bob@example.com", NOBODY]
    assert surrogate["To"].addresses[0].display_name == "Анна, сестра"
    assert surrogate["Date"] is not None and surrogate["Received"] is None and surrogate["Message-ID"] is None
    text, nested, attachment = surrogate.get_payload()
    assert text.get_content() == "Тело письма\r\n.и точка"
    assert "=?UTF-8?B?" in nested.as_string() and NOBODY in nested.as_string()
    assert attachment.get_content_disposition() == "attachment" and attachment.get_filename() is None


def test_top_counts_the_lines_of_the_surrogate(server):
    with server.login() as client:
        whole = client.multiline(b"RETR 5").split(b"\r\n")
        for lines in (0, 1, 3):
            assert client.multiline(b"TOP 5 %d" % lines).split(b"\r\n")[:-1] == whole[:2 + lines]
        client.ok(b"DELE 5")
        assert client.ok(b"STAT").startswith(b"+OK 4 ")
        client.quit()


def test_new_mail_and_a_new_configuration(server, world):
    with server.login() as client:
        before = client.sizes()
        client.quit()
    world.put(LATIN)
    with utf8(server) as client:
        assert client.sizes()[len(TEXTS) + 1] == len(maildir.on_the_wire(LATIN))
        client.quit()
    with server.login() as client:
        assert client.sizes() == before | {len(TEXTS) + 1: before[4]}
        client.quit()
    server.stop()
    world.configure(pop3={"utf8": "no"})
    server = world.start()
    with server.login() as client:
        check_all(client, [maildir.on_the_wire(text) for text in [*TEXTS, LATIN]])
        client.quit()


def test_many_at_once_and_cut_off(server):
    """Commands in flight, and a client that leaves within a surrogate."""
    with server.login() as client:
        client.send(b"RETR 2\r\nLIST 2\r\nRETR 4\r\nTOP 2 0\r\n")
        assert client.reply().startswith(b"+OK")
        size = len(client.body())
        assert client.reply() == b"+OK 2 %d" % size
        assert client.reply().startswith(b"+OK")
        client.body()
        assert client.reply().startswith(b"+OK")
        assert headers_are_ascii(client.body())
        client.send(b"RETR 5\r\n")
        assert client.reply().startswith(b"+OK")
    with server.login() as client:
        assert client.ok(b"STAT").startswith(b"+OK %d " % len(TEXTS))
        client.quit()


def test_letters_without_utf8_are_as_they_were(server, world):
    for text in LETTERS.values():
        if headers_are_ascii(text):
            world.put(text)
    with server.login() as client:
        count = len(client.sizes())
        assert count > len(TEXTS)
        plain = [text for text in LETTERS.values() if headers_are_ascii(text)]
        for number, text in enumerate(plain, len(TEXTS) + 1):
            assert client.multiline(b"RETR %d" % number) == maildir.on_the_wire(text)
            assert client.sizes()[number] == len(maildir.on_the_wire(text))

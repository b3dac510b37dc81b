# SPDX-License-Identifier: MIT
"""Real clients read mail by STLS and by TLS from the first octet, verify who serves it, and turn away from
whom they cannot verify."""

import re

import pytest

import authority
import clients
import maildir
from clients import STLS, TLS
from letters import LETTERS

BOTH = pytest.mark.parametrize("security", [STLS, TLS])


@pytest.fixture
def make_reader(world):
    """Nobody logs in without TLS here, so who has read mail had TLS."""
    ours = authority.Authority(world.folder)
    certificate, key = ours.issue("localhost")
    world.own(key)
    for text in LETTERS.values():
        world.put(text)
    world.configure(pop3={"listen-tls": "127.0.0.1:0", "plaintext-login": "never"},
                    tls={"certificate": certificate, "key": key})
    server = world.start()

    def make(security, trusts=ours):
        return clients.Reader(world, server, security, trusts.certificate)
    return make


@pytest.fixture
def stranger(world):
    """An authority that has signed nothing here."""
    folder = world.folder / "stranger"
    folder.mkdir()
    return authority.Authority(folder)


def assert_read(reader, result, received):
    """All is there and whole, and the client had the server's copies deleted."""
    assert result.returncode == 0, result.stderr + result.stdout
    assert sorted(received()) == sorted(LETTERS.values())
    reader.assert_taken()


def assert_turned_away(reader, result, said):
    assert result.returncode != 0
    assert re.search(said, result.stderr + result.stdout), result.stderr + result.stdout
    assert_nothing_was_read(reader)


def assert_nothing_was_read(reader):
    assert reader.received() == []
    assert "user=alice" not in reader.server.log()
    assert len(maildir.names(reader.world.maildrop())) == len(LETTERS)


@BOTH
def test_curl(make_reader, security):
    reader = make_reader(security)
    results = [reader.curl(str(number)) for number in range(1, len(LETTERS) + 1)]
    for result, text in zip(results, LETTERS.values()):
        assert result.returncode == 0, result.stderr
        assert result.stdout == maildir.on_the_wire(text)


@BOTH
def test_curl_turns_away(make_reader, stranger, security):
    reader = make_reader(security, stranger)
    assert_turned_away(reader, reader.curl("1"), b"unable to get local issuer certificate")


@BOTH
@pytest.mark.parametrize("auth", ["scram-sha-256", "on", "user"])
def test_mpop(make_reader, security, auth):
    reader = make_reader(security)
    assert_read(reader, reader.mpop(auth=auth), reader.received)


@BOTH
def test_mpop_turns_away(make_reader, stranger, security):
    reader = make_reader(security, stranger)
    assert_turned_away(reader, reader.mpop(), b"(?i)certificate.* not trusted|verif")


@BOTH
def test_fetchmail(make_reader, security):
    reader = make_reader(security)
    assert_read(reader, reader.fetchmail(auth="any"), reader.received)


@BOTH
def test_fetchmail_turns_away(make_reader, stranger, security):
    reader = make_reader(security, stranger)
    assert_turned_away(reader, reader.fetchmail(), b"certificate verify failed")


def test_getmail6(make_reader):
    """It knows no STLS for POP3."""
    reader = make_reader(TLS)
    assert_read(reader, reader.getmail(), reader.received_by_getmail)


def test_getmail6_turns_away(make_reader, stranger):
    reader = make_reader(TLS, stranger)
    assert_turned_away(reader, reader.getmail(), b"CERTIFICATE_VERIFY_FAILED")


@BOTH
@pytest.mark.parametrize("auth", ["scram-sha-256", "apop", "user"])
def test_mutt(make_reader, security, auth):
    """Left to itself, Debian 12's takes a mechanism with -PLUS, has no binding, and does not read the answer to
    its "*": restante.conf(5), mechanisms."""
    reader = make_reader(security)
    shown = reader.mutt(auth)
    assert b"(r)eject" not in shown
    assert sorted(reader.received_by_mutt()) == sorted(LETTERS.values())
    reader.assert_taken()


@BOTH
def test_mutt_turns_away(make_reader, stranger, security):
    """It asks the person, who says no."""
    reader = make_reader(security, stranger)
    reader.mutt(answers=[(b"(r)eject", b"r")])
    assert_nothing_was_read(reader)


@BOTH
def test_openssl(make_reader, security):
    reader = make_reader(security)
    said = reader.s_client(b"USER alice\nPASS secret\nRETR 1\nQUIT\n")
    assert said.returncode == 0, said.stderr
    assert b"Verification error" not in said.stderr and b"verify return:1" in said.stderr
    assert maildir.on_the_wire(LETTERS["plain"]) + b".\r\n+OK Goodbye\r\n" in said.stdout


@BOTH
def test_openssl_turns_away(make_reader, stranger, security):
    reader = make_reader(security, stranger)
    said = reader.s_client(b"USER alice\nPASS secret\nRETR 1\nQUIT\n")
    assert_turned_away(reader, said, b"unable to get local issuer certificate")
    assert b"alice" not in said.stdout

# SPDX-License-Identifier: MIT
"""A real Postfix delivers into the maildrop, with the lines of docs/behind-postfix.md."""

import re
import smtplib

import pytest

import maildir
import restante
from letters import LETTERS
from postfix_server import Postfix, need_postfix

PAGE = (restante.ROOT / "docs/behind-postfix.md").read_text()
ALICE = "alice@example.org"


def fragment(name):
    """A part of the page, the one that its fence names."""
    return re.search(rf"^```{re.escape(name)}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]


@pytest.fixture
def make_postfix(make_world):
    need_postfix()
    started = []

    def make(way):
        world = make_world(privileged=True)
        world.write_accounts({ALICE: "secret"})
        vmailbox = world.folder / "vmailbox"
        vmailbox.write_text(re.search(r"^    (alice@example\.org +alice@.*)$", PAGE,
                                      re.MULTILINE)[1] + "\nghost@example.org ghost@example.org/\n")
        replace = {"/etc/postfix/vmailbox": vmailbox, "/var/vmail": world.mail,
                   "RESTANTE_UID": world.owner, "RESTANTE_GID": world.owner,
                   "user=restante": "user=nobody", "/usr/bin/restante": restante.BINARY,
                   "/etc/restante/restante.conf": world.configuration_file}
        parts = ("main.cf", None) if way == "maildir" else ("pipe-main.cf", "pipe-master.cf")
        main, master = (fragment(part) if part else "" for part in parts)
        for old, new in replace.items():
            main, master = main.replace(old, str(new)), master.replace(old, str(new))
        folder = world.folder / "postfix"
        folder.mkdir()
        postfix = Postfix(folder, main, master)
        postfix.start()
        started.append(postfix)
        return world, postfix

    yield make
    for postfix in started:
        print(postfix.log())
        postfix.stop()


def below_the_headers_of_postfix(octets):
    """What was sent, of what was delivered; only the headers that Postfix documents may go."""
    added = re.compile(rb"(Return-Path|X-Original-To|Delivered-To|Received): [^\n]*\n([ \t][^\n]*\n)*")
    names = []
    while match := added.match(octets):
        names.append(match[1])
        octets = octets[match.end():]
    assert names == [b"Return-Path", b"X-Original-To", b"Delivered-To", b"Received"]
    return octets


@pytest.mark.parametrize("way", ["maildir", "pipe"])
def test_delivered_and_read(make_postfix, way):
    world, postfix = make_postfix(way)
    server = world.start()
    for text in LETTERS.values():
        postfix.send(text)
    restante.wait_until(lambda: world.mail.joinpath(ALICE, "new").exists()
                        and len(maildir.names(world.mail / ALICE)) == len(LETTERS),
                        "all letters delivered:\n" + postfix.log())
    with server.login(ALICE.encode()) as client:
        received = [client.multiline(b"RETR %d" % number).replace(b"\r\n", b"\n")
                    for number in client.sizes()]
        for number in range(1, len(received) + 1):
            client.ok(b"DELE %d" % number)
        client.quit()
    sent = [below_the_headers_of_postfix(octets) for octets in received]
    # SMTP ends every message with a line end: one that had none has it now.
    assert sorted(sent) == sorted(text if text.endswith(b"\n") else text + b"\n"
                                  for text in LETTERS.values())
    assert maildir.names(world.mail / ALICE) == []
    restante.wait_until(postfix.queue_is_empty, "the queue empty")


def test_unknown_person_comes_back_at_once(make_postfix):
    """Postfix still knows of one whom we know no more."""
    world, postfix = make_postfix("pipe")
    world.start()
    postfix.send(LETTERS["plain"], "ghost@example.org")
    restante.wait_until(lambda: "status=bounced" in postfix.log(), "the bounce")
    assert re.search(r"status=bounced \(user unknown", postfix.log())
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        postfix.send(LETTERS["plain"], "stranger@example.org")


def test_kept_while_the_server_is_down(make_postfix):
    """Exit status 75: nothing is lost, and it is delivered once when the server is back."""
    world, postfix = make_postfix("pipe")
    postfix.send(LETTERS["plain"])
    restante.wait_until(lambda: "status=deferred" in postfix.log(), "the letter deferred")
    server = world.start()
    restante.wait_until(postfix.queue_is_empty, "the queue empty", 60)
    with server.login(ALICE.encode()) as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")

# SPDX-License-Identifier: MIT
"""The dialogues of the user's brief, byte for byte, against the installed binary."""

import pytest

import maildir

FIRST = (b"From: sender@example.com\nTo: user@example.com\nSubject: Test Message\n\n"
         b"This is the email content.\n")


@pytest.fixture
def server(world):
    """The brief's maildrop: three messages of 400, 500 and 300 octets."""
    text = FIRST
    while len(maildir.on_the_wire(text)) < 400:
        left = 400 - len(maildir.on_the_wire(text))
        width = left if left < 72 else min(70, left - 2)
        text += b"x" * (width - 2) + b"\n"
    world.write_accounts({"username": "password"})
    world.put(text, user="username")
    world.put(maildir.of_size(500), user="username")
    world.put(maildir.of_size(300), user="username")
    return world.start()


def says(client, command, *lines):
    client.send(command + b"\r\n")
    wanted = b"".join(line + b"\r\n" for line in lines)
    got = b""
    while len(got) < len(wanted):
        got += client.line() + b"\r\n"
    assert got == wanted
    assert client.buffer == b""


@pytest.mark.sanitized
def test_as_written(server, world):
    first = maildir.on_the_wire(world.maildrop("username").joinpath(
        "new", maildir.names(world.maildrop("username"))[0]).read_bytes())
    assert len(first) == 400
    with server.client() as client:
        says(client, b"USER username", b"+OK")
        says(client, b"PASS password", b"+OK Mailbox locked and ready")
        says(client, b"STAT", b"+OK 3 1200")
        says(client, b"LIST", b"+OK 3 messages", b"1 400", b"2 500", b"3 300", b".")
        says(client, b"RETR 1", b"+OK Message follows", b"From: sender@example.com",
             b"To: user@example.com", b"Subject: Test Message", b"",
             b"This is the email content.", *first.split(b"\r\n")[5:-1], b".")
        says(client, b"DELE 1", b"+OK Message marked for deletion")
        says(client, b"NOOP", b"+OK")
        says(client, b"QUIT", b"+OK Goodbye")
        client.expect_close()
    assert [len(maildir.on_the_wire(octets)) for octets in
            maildir.files(world.maildrop("username")).values()] == [500, 300]


@pytest.mark.sanitized
def test_wrong_credentials(server):
    for user, password in ((b"username", b"wrong"), (b"nobody-here", b"password")):
        with server.client() as client:
            says(client, b"USER " + user, b"+OK")
            says(client, b"PASS " + password, b"-ERR [AUTH] Invalid credentials")


@pytest.mark.sanitized
def test_transaction_commands_need_a_login(server):
    with server.client() as client:
        for command in (b"STAT", b"LIST", b"RETR 1", b"DELE 1", b"NOOP", b"RSET", b"TOP 1 0",
                        b"UIDL"):
            client.error(command)
        says(client, b"QUIT", b"+OK Goodbye")
        client.expect_close()

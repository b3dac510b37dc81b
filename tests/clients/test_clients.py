# SPDX-License-Identifier: MIT
"""Real clients read a real maildrop: what arrives is, octet for octet, what was stored."""

import os
import poplib
import pty
import re
import select
import subprocess
import time

import pytest

import maildir
import restante
from letters import LETTERS, PLAIN


@pytest.fixture
def server(world):
    for text in LETTERS.values():
        world.put(text)
    return world.start()


@pytest.fixture
def home(world):
    """A home of the one who reads."""
    folder = world.folder / "home"
    folder.mkdir()
    world.own(folder)
    return folder


def run(world, home, *command, **options):
    return subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=100, cwd=home,
                          env={"HOME": str(home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8",
                               "TERM": "xterm"}, **world.identity(restante.PLAIN_UID), **options)


def write(world, path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    world.own(path)
    return path


def assert_same(received, expected=None):
    """As sets of whole messages: a client may file them in any order."""
    expected = list((expected or LETTERS).values())
    assert sorted(map(len, received)) == sorted(map(len, expected))
    assert sorted(received) == sorted(expected)


def assert_taken(world):
    """The client has the server's copies deleted."""
    restante.wait_until(lambda: maildir.names(world.maildrop()) == [], "all deleted")


def curl(world, home, server, path="", *options):
    result = run(world, home, "curl", "-s", "-S", "--user", "alice:secret", *options,
                 f"pop3://127.0.0.1:{server.port}/{path}")
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_curl(world, home, server):
    for number, text in enumerate(LETTERS.values(), 1):
        assert curl(world, home, server, str(number)) == maildir.on_the_wire(text)


def test_curl_lists_and_deletes(world, home, server):
    listing = curl(world, home, server)
    assert listing == b"".join(b"%d %d\r\n" % (n, len(maildir.on_the_wire(text)))
                               for n, text in enumerate(LETTERS.values(), 1))
    unique_ids = curl(world, home, server, "", "-X", "UIDL")
    assert len(unique_ids.splitlines()) == len(LETTERS)
    curl(world, home, server, "1", "-X", "DELE", "-I")
    assert len(maildir.names(world.maildrop())) == len(LETTERS) - 1


def test_curl_with_a_wrong_password(world, home, server):
    result = run(world, home, "curl", "-s", "--user", "alice:wrong",
                 f"pop3://127.0.0.1:{server.port}/")
    assert result.returncode == 67  # login denied


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


def test_mpop(world, home, server):
    maildir.create(home / "mail", world.owner)
    rc = write(world, home / "mpoprc", f"""
account default
host 127.0.0.1
port {server.port}
user alice
password secret
auth user
tls off
keep off
received_header off
uidls_file {home}/uidls
delivery maildir {home}/mail
""")
    result = run(world, home, "mpop", "-C", rc)
    assert result.returncode == 0, result.stderr + result.stdout
    assert_same(maildir.files(home / "mail").values())
    assert_taken(world)


def test_mpop_keeps_and_sees_nothing_twice(world, home, server):
    """Unique ids are what this rests on."""
    maildir.create(home / "mail", world.owner)
    rc = write(world, home / "mpoprc", f"""
account default
host 127.0.0.1
port {server.port}
user alice
password secret
auth user
tls off
keep on
received_header off
uidls_file {home}/uidls
delivery maildir {home}/mail
""")
    for _ in range(2):
        assert run(world, home, "mpop", "-C", rc).returncode == 0
        assert_same(maildir.files(home / "mail").values())
    world.put(PLAIN)
    assert run(world, home, "mpop", "-C", rc).returncode == 0
    assert len(maildir.files(home / "mail")) == len(LETTERS) + 1
    assert len(maildir.names(world.maildrop())) == len(LETTERS) + 1


def test_fetchmail(world, home, server):
    out = home / "mail"
    out.mkdir()
    world.own(out)
    keep = write(world, home / "keep", f'#!/bin/sh\nexec cat > "$(mktemp {out}/XXXXXXXX)"\n', 0o700)
    rc = write(world, home / "fetchmailrc", f"""
set no bouncemail
set invisible
poll 127.0.0.1 protocol pop3 port {server.port} no envelope auth password timeout 30
    user "alice" password "secret" is "nobody" here sslproto "" nokeep fetchall no rewrite mda "{keep}"
""")
    result = run(world, home, "fetchmail", "-f", rc, "--pidfile", home / "pid", "--nodetach",
                 "--nosyslog")
    assert result.returncode == 0, result.stderr + result.stdout
    assert_same([path.read_bytes() for path in out.iterdir()])
    assert_taken(world)


def test_getmail6(world, home, server):
    maildir.create(home / "mail", world.owner)
    (home / "state").mkdir()
    world.own(home / "state")
    rc = write(world, home / "getmailrc", f"""
[retriever]
type = SimplePOP3Retriever
server = 127.0.0.1
port = {server.port}
username = alice
password = secret

[destination]
type = Maildir
path = {home}/mail/

[options]
delete = true
read_all = true
received = false
delivered_to = false
""")
    result = run(world, home, "getmail", "-g", home / "state", "-r", rc)
    assert result.returncode == 0, result.stderr + result.stdout
    # Return-Path is the header that getmail adds whatever it is told.
    received = [octets.removeprefix(b"Return-Path: <unknown>\n")
                for octets in maildir.files(home / "mail").values()]
    assert_same(received)
    assert_taken(world)


def on_a_terminal(world, home, *command):
    """Runs a program that wants a terminal to its end."""
    master, slave = pty.openpty()
    with subprocess.Popen([str(part) for part in command], stdin=slave, stdout=slave, stderr=slave,
                          cwd=home, start_new_session=True,
                          env={"HOME": str(home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8",
                               "TERM": "xterm"}, **world.identity(restante.PLAIN_UID)) as process:
        os.close(slave)
        shown, deadline = b"", time.monotonic() + 90
        try:
            while time.monotonic() < deadline:
                if select.select([master], [], [], 1)[0]:
                    shown += os.read(master, 65536)
        except OSError:
            pass  # EIO: it has ended
        finally:
            os.close(master)
            if time.monotonic() >= deadline:
                process.kill()
    assert process.returncode == 0, shown[-2000:]
    return shown


def test_mutt(world, home, server):
    rc = write(world, home / "muttrc", f"""
set folder={home} spoolfile={home}/none mbox_type=Maildir
set ssl_starttls=no ssl_force_tls=no pop_checkinterval=600 pop_delete=yes pop_reconnect=no
set confirmappend=no confirmcreate=no copy=no quit=yes delete=yes wait_key=no
set header_cache="" message_cachedir="" mark_old=no
set pop_user=alice pop_pass=secret
push "<tag-pattern>~A<enter><tag-prefix><save-message>{home}/mail<enter><quit>"
""")
    on_a_terminal(world, home, "mutt", "-n", "-F", rc, "-f", f"pop://127.0.0.1:{server.port}/")
    # Two headers that mutt puts at the end of those that it files.
    received = [re.sub(rb"\nContent-Length: \d+\nLines: \d+\n\n", b"\n\n", octets, count=1)
                for octets in maildir.files(home / "mail").values()]
    assert_same(received)
    assert_taken(world)

# SPDX-License-Identifier: MIT
"""Real clients log in by each mechanism that they know: curl, mpop (GNU SASL), fetchmail, getmail6."""

import subprocess

import pytest

import maildir
import restante

LETTER = b"From: a@example.org\nSubject: x\n\nbody\n"


@pytest.fixture
def server(world):
    world.put(LETTER)
    return world.start()


@pytest.fixture
def home(world):
    folder = world.folder / "home"
    folder.mkdir()
    world.own(folder)
    return folder


def run(world, home, *command):
    return subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=100, cwd=home,
                          env={"HOME": str(home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
                          **world.identity(restante.PLAIN_UID))


def write(world, path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    world.own(path)
    return path


@pytest.mark.parametrize("initial", [True, False], ids=["initial response", "challenge first"])
@pytest.mark.parametrize("method", ["PLAIN", "LOGIN", "CRAM-MD5", "+APOP"])
def test_curl(world, home, server, method, initial):
    options = ["--sasl-ir"] if initial else []
    read = run(world, home, "curl", "-s", "-S", "-v", "--user", "alice:secret", *options,
               "--login-options", f"AUTH={method}", f"pop3://127.0.0.1:{server.port}/1")
    assert read.returncode == 0, read.stderr
    assert read.stdout == maildir.on_the_wire(LETTER)
    said = b"> APOP alice" if method == "+APOP" else b"> AUTH " + method.encode()
    assert said in read.stderr
    assert (said + b" " in read.stderr) == (initial and method in ("PLAIN", "LOGIN")
                                            or method == "+APOP")
    wrong = run(world, home, "curl", "-s", "--user", "alice:wrong", *options, "--login-options",
                f"AUTH={method}", f"pop3://127.0.0.1:{server.port}/1")
    assert wrong.returncode == 67


@pytest.mark.parametrize("method", ["scram-sha-256", "scram-sha-1", "cram-md5", "plain", "login",
                                    "apop", "user", "on"])
def test_mpop(world, home, server, method):
    maildir.create(home / "mail", world.owner)

    def mpop(password):
        rc = write(world, home / "mpoprc", f"""
account default
host 127.0.0.1
port {server.port}
user alice
password {password}
auth {method}
tls off
keep off
received_header off
uidls_file {home}/uidls
delivery maildir {home}/mail
""")
        return run(world, home, "mpop", "-C", rc)

    assert mpop("wrong").returncode != 0
    result = mpop("secret")
    if method == "on":  # it sends no password over a connection that is not encrypted
        used = "SCRAM-SHA-256"
    else:
        used = method.upper()
    assert result.returncode == 0, result.stderr + result.stdout
    assert list(maildir.files(home / "mail").values()) == [LETTER]
    server.wait_log(rf"session user=alice address=\S+ method={used} .*end=quit")


@pytest.mark.parametrize("protocol, auth, used", [("pop3", "cram-md5", "CRAM-MD5"),
                                                  ("apop", "any", "APOP"),
                                                  ("pop3", "any", "CRAM-MD5"),
                                                  ("pop3", "password", "USER")])
def test_fetchmail(world, home, server, protocol, auth, used):
    out = home / "mail"
    out.mkdir()
    world.own(out)
    keep = write(world, home / "keep", f'#!/bin/sh\nexec cat > "$(mktemp {out}/XXXXXXXX)"\n', 0o700)
    rc = write(world, home / "fetchmailrc", f"""
set no bouncemail
set invisible
poll 127.0.0.1 protocol {protocol} port {server.port} no envelope auth {auth} timeout 30
    user "alice" password "secret" is "nobody" here sslproto "" nokeep fetchall no rewrite mda "{keep}"
""")
    result = run(world, home, "fetchmail", "-f", rc, "--pidfile", home / "pid", "--nodetach",
                 "--nosyslog")
    assert result.returncode == 0, result.stderr + result.stdout
    assert [path.read_bytes() for path in out.iterdir()] == [LETTER]
    server.wait_log(rf"session user=alice address=\S+ method={used} .*end=quit")


@pytest.mark.parametrize("apop", [True, False])
def test_getmail6(world, home, server, apop):
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
use_apop = {apop}

[destination]
type = Maildir
path = {home}/mail/

[options]
read_all = true
received = false
delivered_to = false
""")
    result = run(world, home, "getmail", "-g", home / "state", "-r", rc)
    assert result.returncode == 0, result.stderr + result.stdout
    [received] = maildir.files(home / "mail").values()
    assert received.removeprefix(b"Return-Path: <unknown>\n") == LETTER
    server.wait_log(rf"session user=alice address=\S+ method={'APOP' if apop else 'USER'} ")

# SPDX-License-Identifier: MIT
"""Real clients log in by each mechanism that they know: curl, mpop (GNU SASL), fetchmail, getmail6."""

import pytest

import clients
import maildir

LETTER = b"From: a@example.org\nSubject: x\n\nbody\n"


@pytest.fixture
def server(world):
    world.put(LETTER)
    return world.start()


@pytest.fixture
def reader(world, server):
    return clients.Reader(world, server)


@pytest.mark.parametrize("initial", [True, False], ids=["initial response", "challenge first"])
@pytest.mark.parametrize("method", ["PLAIN", "LOGIN", "CRAM-MD5", "+APOP"])
def test_curl(reader, method, initial):
    options = ["--login-options", f"AUTH={method}", *(["--sasl-ir"] if initial else [])]
    read = reader.curl("1", "-v", *options)
    assert read.returncode == 0, read.stderr
    assert read.stdout == maildir.on_the_wire(LETTER)
    said = b"> APOP alice" if method == "+APOP" else b"> AUTH " + method.encode()
    assert said in read.stderr
    assert (said + b" " in read.stderr) == (initial and method in ("PLAIN", "LOGIN")
                                            or method == "+APOP")
    assert reader.curl("1", *options, password="wrong").returncode == 67


@pytest.mark.parametrize("method", ["scram-sha-256", "scram-sha-1", "cram-md5", "plain", "login",
                                    "apop", "user", "on"])
def test_mpop(server, reader, method):
    assert reader.mpop("wrong", auth=method).returncode != 0
    result = reader.mpop(auth=method)
    if method == "on":  # it sends no password over a connection that is not encrypted
        used = "SCRAM-SHA-256"
    else:
        used = method.upper()
    assert result.returncode == 0, result.stderr + result.stdout
    assert reader.received() == [LETTER]
    server.wait_log(rf"session user=alice address=\S+ method={used} .*end=quit")


@pytest.mark.parametrize("protocol, auth, used", [("pop3", "cram-md5", "CRAM-MD5"),
                                                  ("apop", "any", "APOP"),
                                                  ("pop3", "any", "CRAM-MD5"),
                                                  ("pop3", "password", "USER")])
def test_fetchmail(server, reader, protocol, auth, used):
    result = reader.fetchmail(protocol, auth)
    assert result.returncode == 0, result.stderr + result.stdout
    assert reader.received() == [LETTER]
    server.wait_log(rf"session user=alice address=\S+ method={used} .*end=quit")


@pytest.mark.parametrize("apop", [True, False])
def test_getmail6(server, reader, apop):
    result = reader.getmail(apop, delete=False)
    assert result.returncode == 0, result.stderr + result.stdout
    assert reader.received_by_getmail() == [LETTER]
    server.wait_log(rf"session user=alice address=\S+ method={'APOP' if apop else 'USER'} ")

# SPDX-License-Identifier: MIT
"""TLS: implicit and by STLS (RFC 2595, 8314, 9325), its certificates, its tickets, and who comes without."""

import os
import re
import signal
import socket
import ssl
import struct
import time

import pytest

import authority
import pop3
import restante

LETTER = b"From: a@example.org\nSubject: secret\n\n.dot\nbody\n"
WIRE = LETTER.replace(b"\n", b"\r\n")
STOLEN = b"STLS\r\nUSER alice\r\nPASS secret\r\n"


@pytest.fixture
def tls_world(make_world):
    """A world with a certificate of the test's own authority, TLS from the first octet and STLS."""
    world = make_world()
    world.authority = authority.Authority(world.folder)
    certificate, key = world.authority.issue("mail.example.org")
    world.own(key)
    world.tls = {"certificate": certificate, "key": key}
    world.put(LETTER)
    world.configure(pop3={"listen-tls": "127.0.0.1:0", "plaintext-login": "never"}, tls=world.tls)
    return world


def context(world, version=None, alpn=None, check=True):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(world.authority.certificate)
    made.check_hostname = check
    if version:
        made.minimum_version = made.maximum_version = version
    if alpn:
        made.set_alpn_protocols(alpn)
    return made


def secure(client, made, name="mail.example.org", session=None):
    assert client.buffer == b""
    client.socket = made.wrap_socket(client.socket, server_hostname=name, session=session)
    return client


def implicit(server, made, **options):
    client = secure(pop3.Client(server.tls_address, greeting=False), made, **options)
    client.greeting = client.line()
    assert client.greeting.startswith(b"+OK")
    return client


def starttls(server, made, **options):
    client = server.client()
    client.ok(b"STLS")
    return secure(client, made, **options)


@pytest.mark.parametrize("connect", [implicit, starttls])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_mail_is_read(tls_world, connect, version):
    server = tls_world.start()
    with connect(server, context(tls_world, version)) as client:
        client.login()
        assert client.multiline(b"RETR 1") == WIRE
        client.ok(b"DELE 1")
        client.quit()
    assert list(tls_world.maildrop().glob("new/*")) == []


def test_below_1_2_nothing_is_spoken(tls_world):
    server = tls_world.start()
    made = context(tls_world)
    made.minimum_version = ssl.TLSVersion.TLSv1
    made.maximum_version = ssl.TLSVersion.TLSv1_1
    made.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        implicit(server, made)


@pytest.mark.parametrize("ciphers", ["AES256-SHA", "AES128-GCM-SHA256", "ECDHE+AES+SHA1", "DHE", "aNULL",
                                     "ECDHE-ECDSA-AES128-SHA256"])
def test_weak_ciphers_are_refused(tls_world_running, ciphers):
    """No forward secrecy, no AEAD or no authentication."""
    server, made = tls_world_running
    made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        implicit(server, made)


def test_minimum_is_obeyed(tls_world):
    tls_world.configure(pop3={"listen-tls": "127.0.0.1:0"}, tls={**tls_world.tls, "minimum": "1.3"})
    server = tls_world.start()
    with pytest.raises(ssl.SSLError):
        implicit(server, context(tls_world, ssl.TLSVersion.TLSv1_2))
    implicit(server, context(tls_world, ssl.TLSVersion.TLSv1_3)).quit()


def test_capabilities_follow_the_encryption(tls_world):
    server = tls_world.start()
    client = server.client()
    before = client.lines(b"CAPA")
    assert b"STLS" in before and b"USER" not in before
    client.ok(b"STLS")
    secure(client, context(tls_world))
    after = client.lines(b"CAPA")
    assert b"STLS" not in after and b"USER" in after
    client.login()
    assert b"STLS" not in client.lines(b"CAPA")


def test_a_password_in_the_clear_is_refused_and_told_of_stls(tls_world):
    server = tls_world.start()
    client = server.client()
    for command in (b"USER alice", b"PASS secret"):
        assert b"STLS" in client.error(command)
    client.ok(b"STLS")
    secure(client, context(tls_world))
    client.login()


def test_loopback_may_log_in_without(tls_world):
    tls_world.configure(pop3={"listen-tls": "127.0.0.1:0", "plaintext-login": "loopback"},
                        tls=tls_world.tls)
    server = tls_world.start()
    with server.login() as client:
        assert b"STLS" not in client.lines(b"CAPA")


def test_stls_is_refused_where_it_has_no_place(tls_world):
    tls_world.configure(pop3={"listen-tls": "127.0.0.1:0"}, tls=tls_world.tls)
    server = tls_world.start()
    with server.login() as client:
        client.error(b"STLS")
        client.ok(b"NOOP")
    with implicit(server, context(tls_world)) as client:
        client.error(b"STLS")
        client.login()


def test_what_was_said_before_tls_is_forgotten(tls_world):
    tls_world.configure(pop3={"listen-tls": "127.0.0.1:0"}, tls=tls_world.tls)
    server = tls_world.start()
    client = server.client()
    client.ok(b"USER alice")
    client.ok(b"STLS")
    secure(client, context(tls_world))
    client.error(b"PASS secret")


@pytest.mark.parametrize("split", range(1, len(STOLEN)))
def test_plaintext_behind_stls_is_never_obeyed(tls_world_running, split):
    """Promise 7, for every place at which a network may cut it."""
    server, made = tls_world_running
    client = server.client()
    client.send(STOLEN[:split])
    if split < len(b"STLS\r\n"):
        client.send(STOLEN[split:])
        assert client.reply().startswith(b"+OK")
    else:
        assert client.reply().startswith(b"+OK")
        try:
            client.send(STOLEN[split:])
        except (BrokenPipeError, ConnectionResetError):
            return
    try:
        octets = client.rest()
    except ConnectionResetError:
        return
    assert b"OK" not in octets and b"ERR" not in octets, octets


@pytest.mark.parametrize("kept", ["USER alice\r\nPASS secret\r\n", "NOOP\r\n", "US"])
def test_what_came_with_stls_is_not_obeyed_under_tls(tls_world_running, kept):
    """Who is between puts a command behind the client's STLS; then the client goes on with its handshake."""
    server, made = tls_world_running
    client = server.client()
    client.send(b"STLS\r\n" + kept.encode())
    assert client.reply().startswith(b"+OK")
    with pytest.raises((ssl.SSLError, OSError)):
        secure(client, made)


@pytest.fixture(scope="module")
def running_world():
    world = restante.World()
    world.authority = authority.Authority(world.folder)
    certificate, key = world.authority.issue("mail.example.org")
    world.own(key)
    world.configure(pop3={"listen-tls": "127.0.0.1:0", "login-timeout": "5s"},
                    tls={"certificate": certificate, "key": key},
                    limits={"failure-delay": "0s", "connections-per-address": 1000})
    yield world, world.start()
    world.close()


@pytest.fixture
def tls_world_running(running_world):
    """One server for the tests that only connect to it; the context is each test's own."""
    world, server = running_world
    return server, context(world)


def test_alpn_is_strict(tls_world_running):
    server, made = tls_world_running
    made.set_alpn_protocols(["pop3"])
    client = implicit(server, made)
    assert client.socket.selected_alpn_protocol() == "pop3"
    client.quit()
    made.set_alpn_protocols(["http/1.1", "h2"])
    with pytest.raises(ssl.SSLError, match="(?i)alpn|no application protocol"):
        implicit(server, made)


def test_http_gets_nothing_of_its_words_back(tls_world_running):
    server, _ = tls_world_running
    request = b"GET /<script>alert(1)</script> HTTP/1.1\r\nHost: x\r\n\r\n"
    client = pop3.Client(server.tls_address, greeting=False)
    client.send(request)
    try:
        octets = client.rest()
    except ConnectionResetError:
        octets = b""
    assert b"script" not in octets and b"OK" not in octets


def test_a_tls_hello_at_the_plain_port_ends_cleanly(tls_world_running):
    server, made = tls_world_running
    with pytest.raises((ssl.SSLError, OSError)):
        made.wrap_socket(pop3.Client(server.address, greeting=False).socket,
                         server_hostname="mail.example.org")
    server.client().quit()


def test_a_stalled_handshake_runs_into_login_timeout(tls_world):
    tls_world.configure(pop3={"listen-tls": "127.0.0.1:0", "login-timeout": "1500ms"},
                        tls=tls_world.tls)
    server = tls_world.start()
    for stls in (False, True):
        client = server.client() if stls else pop3.Client(server.tls_address, greeting=False)
        if stls:
            client.ok(b"STLS")
        client.send(b"\x16\x03\x01")
        began = time.monotonic()
        assert client.rest() == b""
        assert time.monotonic() - began < 5
    server.wait_log("end=login-timeout")


def hello(made):
    """A client's first flight."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = made.wrap_bio(incoming, outgoing, server_hostname="mail.example.org")
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


def test_handshakes_cut_at_every_octet_cost_nothing(tls_world_running):
    server, made = tls_world_running
    made.set_alpn_protocols(["pop3"])
    flight = hello(made)
    for size in range(len(flight) + 1):
        client = pop3.Client(server.tls_address, greeting=False)
        client.send(flight[:size])
        if size % 2:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()
    implicit(server, made).quit()


def test_garbled_handshakes_cost_nothing(tls_world_running):
    server, made = tls_world_running
    flight = hello(made)
    for at in range(0, len(flight), 3):
        client = pop3.Client(server.tls_address, greeting=False)
        client.send(flight[:at] + bytes([flight[at] ^ 0x55]) + flight[at + 1:])
        client.socket.close()
    implicit(server, made).quit()


def test_the_certificate_follows_the_name_asked_for(tls_world):
    second, second_key = tls_world.authority.issue("pop.example.net")
    tls_world.own(second_key)
    tls_world.configure(pop3={"listen-tls": "127.0.0.1:0"},
                        tls={"certificate": f"{tls_world.tls['certificate']}, {second}",
                             "key": f"{tls_world.tls['key']}, {second_key}"})
    server = tls_world.start()
    for name in ("mail.example.org", "pop.example.net", "mail.example.org"):
        implicit(server, context(tls_world), name=name).quit()  # the client checks the name
    with pytest.raises(ssl.SSLCertVerificationError):
        implicit(server, context(tls_world), name="else.example.org")
    for name in ("x" * 60, "\u00fc.example.org", "127.0.0.1"):
        implicit(server, context(tls_world, check=False), name=name).quit()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_every_worker_opens_every_workers_tickets(tls_world, version):
    server = tls_world.start()
    made = context(tls_world, version)
    first = implicit(server, made)
    first.ok(b"CAPA")
    first.body()  # in TLS 1.3 the ticket comes behind the handshake
    session = first.socket.session
    assert session.has_ticket
    seen = set()
    for _ in range(200):
        client = implicit(server, made, session=session)
        assert client.socket.session_reused
        if restante.IS_ROOT:
            seen.add(server.worker_of(client))
        client.quit()
        if len(seen) == 2:
            break
    assert len(seen) == 2 or not restante.IS_ROOT


def test_a_changed_certificate_counts_without_a_reload(tls_world):
    server = tls_world.start()
    old = implicit(server, context(tls_world))
    old.login()
    serial = old.socket.getpeercert()["serialNumber"]
    certificate, key = tls_world.authority.issue("mail.example.org")
    tls_world.own(key)
    os.rename(key, tls_world.tls["key"])
    os.rename(certificate, tls_world.tls["certificate"])
    server.wait_log("certificates read again")

    def fresh():
        with implicit(server, context(tls_world)) as client:
            return client.socket.getpeercert()["serialNumber"] != serial
    restante.wait_until(fresh, "the new certificate")
    assert old.multiline(b"RETR 1") == WIRE
    old.quit()


def test_a_reload_keeps_sessions_and_bad_certificates_away(tls_world):
    server = tls_world.start()
    old = implicit(server, context(tls_world))
    old.login()
    other_key = tls_world.authority.issue("mail.example.org")[1]
    tls_world.own(other_key)
    tls_world.configure(pop3={"listen-tls": "127.0.0.1:0"},
                        tls={**tls_world.tls, "key": other_key})
    server.signal(signal.SIGHUP)
    server.wait_log("the key does not fit the certificate")
    server.wait_log("not reloaded")
    implicit(server, context(tls_world)).quit()
    old.ok(b"NOOP")
    old.quit()


def test_a_first_start_makes_a_certificate(make_world):
    world = make_world()
    world.put(LETTER)
    world.configure(pop3={"listen-tls": "127.0.0.1:0"})
    server = world.start()
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    certificate = world.state / "self-signed.pem"
    key = world.state / "self-signed.key"
    made.load_verify_locations(certificate)
    client = implicit(server, made, name="localhost")
    client.login()
    assert client.multiline(b"RETR 1") == WIRE
    client.quit()
    assert key.stat().st_mode & 0o777 == 0o600
    server.wait_log("self-signed certificate .*write certificate and key in section .tls. to replace")
    before = certificate.read_bytes()
    server.stop()
    world.start()
    assert certificate.read_bytes() == before


@pytest.mark.parametrize("change, said", [
    (lambda w: {"key": None}, r":\d+: 1 certificates and 0 keys; write one key for each"),
    (lambda w: {"key": "/no/such/key.pem"}, r":\d+: key = /no/such/key.pem: .*cannot be read"),
    (lambda w: {"key": w.authority.issue("x.example.org")[1]}, "the key does not fit"),
    (lambda w: {"certificate": w.tls["key"]}, "the certificate cannot be used"),
    (lambda w: {"certificate": w.authority.issue("mail.example.org", days=-1)[0]}, "expired|does not fit"),
    (lambda w: {"minimum": "1.1"}, r":\d+: minimum = 1.1: not a value for it; write 1.2 or 1.3"),
    (lambda w: {"client-ca": "/dev/null"}, r":\d+: client-ca = /dev/null: .*no file in PEM"),
])
def test_mistakes_are_told(tls_world, change, said):

    tls_world.configure(tls={**tls_world.tls, **change(tls_world)})
    for path in tls_world.folder.glob("*.pem"):
        tls_world.own(path)
    result = tls_world.run("check-config", "-c", tls_world.configuration_file)
    assert result.returncode == 2
    assert re.search(said, result.stderr.decode()), result.stderr


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_large_message_and_a_slow_reader(tls_world, version):
    line = bytes(range(32, 107)) + b"\n"
    letter = b"Subject: large\n\n" + line * (8 * 1024 * 1024 // len(line))
    tls_world.put(letter)
    server = tls_world.start()
    client = implicit(server, context(tls_world, version))
    client.login()
    client.send(b"RETR 2\r\nNOOP\r\n")
    time.sleep(0.5)
    client.reply()
    assert client.body() == letter.replace(b"\n", b"\r\n")
    assert client.reply() == b"+OK"
    client.quit()


def test_pipelined_commands_under_tls(tls_world):
    server = tls_world.start()
    client = implicit(server, context(tls_world))
    client.send(b"USER alice\r\nPASS secret\r\n" + b"NOOP\r\n" * 5000 + b"STAT\r\n")
    for _ in range(5002):
        assert client.reply().startswith(b"+OK")
    assert client.reply() == b"+OK 1 %d" % len(WIRE)
    client.quit()


def test_an_orderly_end_is_told_by_tls(tls_world):
    """A client must be able to tell it from a cut (RFC 8446 section 6.1)."""
    server = tls_world.start()
    made = context(tls_world)
    plain = pop3.Client(server.tls_address, greeting=False).socket
    client = made.wrap_socket(plain, server_hostname="mail.example.org", suppress_ragged_eofs=False)
    client.recv(512)
    client.sendall(b"QUIT\r\n")
    assert client.recv(512) == b"+OK Goodbye\r\n"
    assert client.recv(512) == b""


def test_idle_connections_own_little(tls_world):
    """OpenSSL's buffers of 2 x 16 KiB a connection are released."""
    tls_world.configure(server={"workers": "1"}, pop3={"listen-tls": "127.0.0.1:0"}, tls=tls_world.tls,
                        limits={"connections-per-address": 1000, "connections-per-user": 1000})
    server = tls_world.start()
    made = context(tls_world)
    warm = [implicit(server, made) for _ in range(20)]
    before = sum(p.resident_octets for p in server.workers())
    clients = [implicit(server, made) for _ in range(200)]
    after = sum(p.resident_octets for p in server.workers())
    assert (after - before) / len(clients) < 32 * 1024
    del warm

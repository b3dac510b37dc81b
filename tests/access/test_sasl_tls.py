# SPDX-License-Identifier: MIT
"""Channel binding (RFC 5802 section 6, RFC 5929 section 3, RFC 9266) and EXTERNAL under TLS 1.2 and 1.3. The
client's ends of SCRAM and of the bindings are Python's and pyOpenSSL's."""

import base64
import ssl

import pytest
from OpenSSL import SSL

import authority
import pop3
import restante
import scram
from scram import Scram, Speaker, b64

VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
PLUS = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"]
INVALID = b"-ERR [AUTH] Invalid credentials"
READY = b"+OK Mailbox locked and ready"


class Channel:
    """pyOpenSSL's connection as pop3.Client wants a socket."""

    def __init__(self, plain, version, identity=None):
        made = SSL.Context(SSL.TLS_CLIENT_METHOD)
        made.set_min_proto_version(VERSIONS[version])
        made.set_max_proto_version(VERSIONS[version])
        if identity:
            made.use_certificate_file(str(identity[0]))
            made.use_privatekey_file(str(identity[1]))
        plain.settimeout(None)
        self.plain = plain
        self.connection = SSL.Connection(made, plain)
        self.connection.set_connect_state()
        self.connection.do_handshake()

    def sendall(self, octets):
        self.connection.sendall(octets)

    def recv(self, size):
        try:
            return self.connection.recv(size)
        except SSL.ZeroReturnError:
            return b""

    def close(self):
        self.plain.close()

    @property
    def exporter(self):
        return self.connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")

    @property
    def unique(self):
        return self.connection.get_finished()


def connect(server, version, starttls=False, identity=None):
    client = pop3.Client(server.address if starttls else server.tls_address, greeting=starttls)
    if starttls:
        client.ok(b"STLS")
    client.socket = Channel(client.socket, version, identity)
    if not starttls:
        client.greeting = client.line()
    return client


@pytest.fixture
def tls_world(make_world):
    world = make_world()
    world.authority = authority.Authority(world.folder)
    certificate, key = world.authority.issue("mail.example.org")
    world.own(key)
    world.tls = {"certificate": certificate, "key": key}
    world.configure(pop3={"listen-tls": "127.0.0.1:0", "plaintext-login": "never"}, tls=world.tls)
    return world


def mechanisms(client):
    [line] = [line for line in client.lines(b"CAPA") if line.startswith(b"SASL ")]
    return line[5:].decode().split()


def attempt(client, name, password=b"secret", **options):
    return scram.authenticate(Speaker(client), Scram(name, b"alice", password, **options))


@pytest.mark.sanitized
@pytest.mark.parametrize("starttls", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", PLUS)
def test_bound_to_the_channel(tls_world, name, version, starttls):
    server = tls_world.start()
    bindings = [("exporter", b"p=tls-exporter")]
    if version == "1.2":
        bindings.append(("unique", b"p=tls-unique"))
    for octets, flag in bindings:
        with connect(server, version, starttls) as client:
            assert name in mechanisms(client)
            binding = getattr(client.socket, octets)
            assert attempt(client, name, b"wrong", flag=flag, binding=binding) == INVALID
            assert attempt(client, name, flag=flag, binding=binding) == READY
            client.ok(b"QUIT")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", PLUS)
def test_a_wrong_binding_fails(tls_world, name, version):
    """The octets of another channel, changed ones, too few, too many, none; the other type's."""
    server = tls_world.start()
    with connect(server, version) as other, connect(server, version) as client:
        right = client.socket.exporter
        for wrong in (other.socket.exporter, bytes([right[0] ^ 1]) + right[1:], right[:-1],
                      right + b"\0", b"", client.socket.unique):
            assert attempt(client, name, flag=b"p=tls-exporter", binding=wrong) == INVALID
        assert attempt(client, name, flag=b"p=tls-exporter", binding=right) == READY


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", PLUS)
def test_a_type_that_was_not_offered_fails(tls_world, name, version):
    server = tls_world.start()
    with connect(server, version) as client:
        wrong = [(b"p=tls-server-end-point", client.socket.exporter), (b"p=", client.socket.exporter),
                 (b"p=TLS-EXPORTER", client.socket.exporter), (b"n", b""), (b"y", b"")]
        if version == "1.3":
            wrong.append((b"p=tls-unique", client.socket.unique))
        for flag, binding in wrong:
            assert attempt(client, name, flag=flag, binding=binding) == INVALID
        assert attempt(client, name, flag=b"p=tls-exporter",
                       binding=client.socket.exporter) == READY


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
def test_a_downgrade_fails(tls_world, name, version):
    """"y": the client could bind, but someone took -PLUS out of what it was told."""
    server = tls_world.start()
    with connect(server, version) as client:
        assert attempt(client, name, flag=b"y") == INVALID
        assert attempt(client, name, flag=b"p=tls-exporter",
                       binding=client.socket.exporter) == INVALID
        assert attempt(client, name, flag=b"n") == READY  # one that could not


def test_the_offer_follows_the_encryption(tls_world):
    server = tls_world.start()
    plain = ["SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5"]
    client = server.client()
    assert mechanisms(client) == plain
    client.ok(b"STLS")
    client.socket = Channel(client.socket, "1.3")
    assert mechanisms(client) == [*PLUS, *plain, "PLAIN", "LOGIN"]
    assert client.command(b"AUTH PLAIN " + b64(b"\0alice\0secret")) == READY
    assert mechanisms(client) == [*PLUS, *plain, "PLAIN", "LOGIN"]
    client.ok(b"QUIT")
    client.socket.close()


def test_an_exchange_does_not_outlive_the_plaintext(tls_world):
    """What was begun before STLS is gone: its last message is a command like any other."""
    with tls_world.start().client() as client:
        exchange = Scram("SCRAM-SHA-256", b"alice", b"secret")
        speaker = Speaker(client)
        line = speaker.command_line(b"AUTH SCRAM-SHA-256 " + b64(exchange.first()))
        final = exchange.final(base64.b64decode(line[2:]))
        client.error(b"STLS")  # no base64: the exchange is over
        client.ok(b"STLS")
        client.socket = Channel(client.socket, "1.3")
        client.error(b64(final))


@pytest.fixture
def external_world(tls_world):
    def configure(rule="common-name", **accounts):
        tls_world.configure(
            pop3={"listen-tls": "127.0.0.1:0"},
            tls={**tls_world.tls, "client-ca": tls_world.authority.certificate, "client-name": rule})
        tls_world.write_accounts(accounts or {"alice": "secret"})
        return tls_world.start()
    return configure


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("rule, issue", [
    ("common-name", {"name": "alice"}),
    ("email", {"name": "whoever", "names": "email:alice,DNS:x.example.org"})])
def test_external(tls_world, external_world, rule, issue, version):
    server = external_world(rule)
    identity = tls_world.authority.issue(**issue)
    for command in (b"AUTH EXTERNAL =", b"AUTH EXTERNAL " + b64(b"alice")):
        with connect(server, version, identity=identity) as client:
            assert mechanisms(client)[0] == "EXTERNAL"
            assert client.command(b"AUTH EXTERNAL " + b64(b"bob")) == INVALID
            assert client.command(command) == READY
            client.ok(b"QUIT")
    with connect(server, version, starttls=True, identity=identity) as client:
        client.send(b"AUTH EXTERNAL\r\n")
        assert client.line() == b"+ "
        assert client.command(b"") == READY
    server.wait_log(r"session user=alice address=\S+ method=EXTERNAL ")


@pytest.mark.parametrize("rule, issue", [
    ("none", {"name": "alice"}),
    ("common-name", {"name": "x", "subject": "/O=alice"}),
    ("common-name", {"name": "x", "subject": "/CN=alice/CN=bob"}),
    ("common-name", {"name": "x", "subject": "/CN=..\\/alice"}),
    ("email", {"name": "alice"}),
    ("email", {"name": "x", "names": "email:alice,email:bob"}),
    ("common-name", None)],
    ids=["no rule", "no name", "two names", "no user's name", "no email", "two emails", "no certificate"])
def test_a_certificate_that_names_nobody(tls_world, external_world, rule, issue):
    server = external_world(rule)
    identity = tls_world.authority.issue(**issue) if issue else None
    with connect(server, "1.3", identity=identity) as client:
        assert "EXTERNAL" not in mechanisms(client)
        client.error(b"AUTH EXTERNAL =")
        client.login()


def test_external_of_who_is_no_account(tls_world, external_world):
    server = external_world(alice="secret", dave="{PLAIN}x::::::nologin")
    for name in ("carol", "dave"):
        with connect(server, "1.3", identity=tls_world.authority.issue(name)) as client:
            assert client.command(b"AUTH EXTERNAL =") == INVALID
            assert f'login failed user="{name}"' in server.wait_log(
                rf'login failed user="{name}" address=\S+ method=EXTERNAL')[0]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_resumed_session_keeps_its_certificate(tls_world, external_world, version):
    """And its account is looked at anew."""
    server = external_world("common-name")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(tls_world.authority.certificate)
    made.load_cert_chain(*tls_world.authority.issue("alice"))
    made.minimum_version = made.maximum_version = version

    def come(session):
        client = pop3.Client(server.tls_address, greeting=False)
        client.socket = made.wrap_socket(client.socket, server_hostname="mail.example.org",
                                         session=session)
        client.line()
        assert client.socket.session_reused == (session is not None)
        reply = client.command(b"AUTH EXTERNAL =")
        client.ok(b"QUIT")
        return reply, client.socket.session

    reply, ticket = come(None)
    assert reply == READY
    for _ in range(6):  # whichever worker it meets
        assert come(ticket)[0] == READY
    tls_world.write_accounts({"alice": "{PLAIN}x::::::nologin", "carol": "secret"})
    restante.wait_until(lambda: come(ticket)[0] == INVALID, "the new accounts")

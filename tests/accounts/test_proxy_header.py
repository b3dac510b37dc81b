# SPDX-License-Identifier: MIT
"""The PROXY protocol: who is believed, what about, and what becomes of headers that are none."""

import os
import pathlib
import re
import signal
import socket
import ssl

import pytest

import authority
import pop3
import proxy_header
import restante

pytestmark = pytest.mark.sanitized

PROXIED = {"listen": "127.0.0.1:0", "from": "127.0.0.1"}
CLIENT = "198.51.100.7"
HEADERS = {
    "v1": (proxy_header.v1(CLIENT), f"{CLIENT}:40000"),
    "v1-ipv6": (proxy_header.v1("2001:db8::7"), "[2001:db8::7]:40000"),
    "v2": (proxy_header.v2(CLIENT), f"{CLIENT}:40000"),
    "v2-ipv6": (proxy_header.v2("2001:db8::7"), "[2001:db8::7]:40000"),
    "v2-tlvs": (proxy_header.v2(CLIENT, tlvs=proxy_header.tls_tlv() + proxy_header.tlv(
        proxy_header.UNIQUE_ID, b"x" * 128), checksum=True), f"{CLIENT}:40000"),
}
# Those after which nobody knows who the client is: the session is the proxy's own.
OWN_HEADERS = {
    "v1-unknown": b"PROXY UNKNOWN\r\n",
    "v1-unknown-long": b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n",
    "v2-local": proxy_header.v2_block(proxy_header.LOCAL, 0, b""),
    "v2-local-with-address": proxy_header.v2_block(proxy_header.LOCAL, proxy_header.TCP4, bytes(12)),
    "v2-unspecified": proxy_header.v2_block(proxy_header.PROXY, 0, b"whatever"),
    "v2-unix": proxy_header.v2_block(proxy_header.PROXY, proxy_header.UNIX, bytes(216)),
}
BAD_HEADERS = {
    "none": b"CAPA\r\n",
    "none-but-tls": b"\x16\x03\x01\x02\x00",
    "v1-lower-case": b"proxy TCP4 198.51.100.7 127.0.0.1 40000 110\r\n",
    "v1-no-port": b"PROXY TCP4 198.51.100.7 127.0.0.1 40000\r\n",
    "v1-two-spaces": b"PROXY TCP4  198.51.100.7 127.0.0.1 40000 110\r\n",
    "v1-wrong-family": b"PROXY TCP6 198.51.100.7 127.0.0.1 40000 110\r\n",
    "v1-long": b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    "v1-endless": b"PROXY TCP4 " + b"1" * 5000,
    "v1-bare-lf": b"PROXY TCP4 198.51.100.7 127.0.0.1 40000 110\n",
    "v1-nul": b"PROXY TCP4 198.51.100.7\0 127.0.0.1 40000 110\r\n",
    "v2-version-3": proxy_header.v2_block(0x31, proxy_header.TCP4, bytes(12)),
    "v2-command-2": proxy_header.v2_block(0x22, proxy_header.TCP4, bytes(12)),
    "v2-datagrams": proxy_header.v2_block(proxy_header.PROXY, 0x12, bytes(12)),
    "v2-short": proxy_header.v2_block(proxy_header.PROXY, proxy_header.TCP4, bytes(11)),
    "v2-long": proxy_header.v2_block(proxy_header.PROXY, proxy_header.TCP4, bytes(5000)),
    "v2-torn-tlv": proxy_header.v2(CLIENT, tlvs=b"\x04\x00"),
    "v2-tlv-too-long": proxy_header.v2(CLIENT, tlvs=b"\x04\x00\x09x"),
    "v2-checksum": proxy_header.v2(CLIENT, checksum=True)[:-1] + b"\0",
}


def proxied(world, proxy=(), **sections):
    world.configure(pop3={"plaintext-login": "always"} | sections.pop("pop3", {}),
                    proxy=PROXIED | dict(proxy), **sections)
    return world.start()


@pytest.fixture(scope="module")
def common():
    """One server for the tests of headers, which leave it as it was."""
    world = restante.World()
    try:
        yield proxied(world)
    finally:
        world.close()


@pytest.fixture
def server(common):
    common.forget_log()
    yield common
    print(common.log())


def connect(server, **options):
    return pop3.Client(server.proxy_address, greeting=False, **options)


def greeted(server, header, **options):
    client = connect(server, **options)
    client.send(header)
    client.greeting = client.line()
    assert client.greeting.startswith(b"+OK")
    return client


def is_closed(client):
    """Closed without a word, in whatever way."""
    try:
        return client.rest() == b""
    except ConnectionResetError:
        return client.buffer == b""


def sessions(server, count):
    """The fields of the log lines of that many sessions."""
    pattern = re.compile(r" session (user=.*)")
    restante.wait_until(lambda: len(pattern.findall(server.log())) >= count, f"{count} sessions logged")
    return [dict(part.split("=", 1) for part in line.split(" ")) for line in pattern.findall(server.log())]


@pytest.mark.parametrize("name", HEADERS)
def test_the_client_is_who_the_proxy_says(server, name):
    header, address = HEADERS[name]
    with greeted(server, header) as client:
        mine = "127.0.0.1:%d" % client.socket.getsockname()[1]
        client.login()
        client.quit()
    (session,) = sessions(server, 1)
    assert (session["address"], session["proxy"]) == (address, mine)


@pytest.mark.parametrize("name", OWN_HEADERS)
def test_without_a_client_it_is_the_proxys_own(server, name):
    with greeted(server, OWN_HEADERS[name]) as client:
        mine = "127.0.0.1:%d" % client.socket.getsockname()[1]
        client.login()
        client.quit()
    (session,) = sessions(server, 1)
    assert session["address"] == mine and "proxy" not in session


@pytest.mark.parametrize("name", HEADERS)
def test_cut_at_every_octet(server, name):
    """The header in two pieces, each piece as it comes: the second with what the client says, of which
    nothing may be lost."""
    header, address = HEADERS[name]
    for cut in range(1, len(header) + 1):
        with connect(server) as client:
            client.send(header[:cut])
            client.send(header[cut:] + b"CAPA\r\nQUIT\r\n")
            octets = client.rest()
        assert octets.startswith(b"+OK") and octets.count(b"\r\n.\r\n") == 1, (cut, octets)
        assert octets.endswith(b"+OK Goodbye\r\n"), (cut, octets)
    assert {session["address"] for session in sessions(server, len(header))} == {address}


@pytest.mark.parametrize("name", ["v1", "v2-tlvs"])
def test_octet_by_octet(server, name):
    header, address = HEADERS[name]
    with connect(server) as client:
        for octet in header + b"QUIT\r\n":
            client.send(bytes([octet]))
        assert client.line().startswith(b"+OK") and client.line() == b"+OK Goodbye"
    assert sessions(server, 1)[0]["address"] == address


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_bad_headers_end_the_connection(server, name):
    for cut in (len(BAD_HEADERS[name]), 3):
        with connect(server) as client:
            try:
                client.send(BAD_HEADERS[name][:cut])
                client.send(BAD_HEADERS[name][cut:])
            except (BrokenPipeError, ConnectionResetError):
                pass  # closed before it was all there
            assert is_closed(client)
    assert {session["end"] for session in sessions(server, 2)} == {"bad-proxy-header"}
    assert re.search(r"PROXY header of 127\.0\.0\.1:\d+: ", server.log())


@pytest.mark.parametrize("name", HEADERS)
def test_every_octet_changed(world, name):
    """Whatever one octet is changed to, the answer is a session, no word, or waiting for more."""
    header, _ = HEADERS[name]
    server = proxied(world, {"header-timeout": "1s"})
    clients = []
    for at in range(min(len(header), 60)):
        for change in (0x01, 0x20, 0x80):
            client = connect(server)
            client.send(header[:at] + bytes([header[at] ^ change]) + header[at + 1:])
            clients.append(client)
    for client in clients:
        try:
            octets = client._receive()
        except ConnectionResetError:
            octets = b""
        assert octets == b"" or octets.startswith(b"+OK Restante ready"), octets
        client.socket.close()


def test_who_is_not_listed_is_closed_at_once(world):
    """Also who sends a good header, or nothing."""
    server = proxied(world, {"from": "127.0.0.1, 192.0.2.0/24, 2001:db8::/32", "header-timeout": "1h"})
    for header in (proxy_header.v1("127.0.0.1"), b""):
        with connect(server, source="127.0.0.9") as client:
            try:
                client.send(header)
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert is_closed(client)
    for session in sessions(server, 2):
        assert session["address"].startswith("127.0.0.9:") and session["end"] == "not-a-proxy"
    greeted(server, HEADERS["v2"][0]).quit()


def test_an_ordinary_listener_takes_no_header(server):
    """Not even from a proxy: it is an unknown command there."""
    for header in (proxy_header.v1(CLIENT), proxy_header.v2(CLIENT)):
        with server.client() as client:
            client.send(header + b"\r\n")
            assert client.reply().startswith(b"-ERR")
    assert all(session["address"].startswith("127.0.0.1:") for session in sessions(server, 2))


def test_the_header_has_a_time_limit(world):
    """Whether nothing comes or a little at a time."""
    server = proxied(world, {"header-timeout": "300ms"})
    silent, slow = connect(server), connect(server)
    slow.send(b"PROXY")
    assert is_closed(silent) and is_closed(slow)
    assert {session["end"] for session in sessions(server, 2)} == {"proxy-header-timeout"}


def test_a_second_header_is_no_header(server):
    """What comes behind the first is the client's, who would like to be somebody else."""
    with connect(server) as client:
        client.send(HEADERS["v1"][0])
        assert client.line().startswith(b"+OK")
        client.lines(b"CAPA")
        client.send(proxy_header.v1("127.0.0.1") + b"QUIT\r\n")
        assert client.reply().startswith(b"-ERR")
        assert client.reply() == b"+OK Goodbye"
    assert sessions(server, 1)[0]["address"] == HEADERS["v1"][1]


def test_limits_count_the_client(world):
    server = proxied(world, limits={"connections-per-address": "2"})
    here = [greeted(server, proxy_header.v2(CLIENT, port)) for port in (1, 2)]
    with connect(server) as client:
        client.send(proxy_header.v2(CLIENT, 3))
        assert client.line().startswith(b"-ERR")
    for number in range(4):  # others come in, more of them than one address may have
        here.append(greeted(server, proxy_header.v2(f"198.51.100.{10 + number}")))
    here[0].quit()
    restante.wait_until(lambda: "end=quit" in server.log(), "the place given back")
    greeted(server, proxy_header.v1(CLIENT)).quit()


def test_headers_that_do_not_come_take_half_of_all_places(world):
    """For as long as they may take: a proxy that hangs keeps nobody else out."""
    server = proxied(world, {"header-timeout": "1h"}, server={"workers": "1"},
                     limits={"connections": "6"})
    waiting = [connect(server) for _ in range(3)]
    with connect(server) as one_more:
        assert is_closed(one_more)
    others = [server.client() for _ in range(3)]
    for client in waiting + others:
        client.socket.close()
    restante.wait_until(lambda: len(re.findall(" session user=", server.log())) == 7, "the places given back")
    here = [greeted(server, HEADERS["v1"][0]) for _ in range(6)]
    assert len(here) == 6


def test_failures_count_against_the_client(world):
    server = proxied(world, limits={"failures-per-address": "2"})
    with greeted(server, proxy_header.v1(CLIENT)) as client:
        for _ in range(2):
            client.ok(b"USER alice")
            client.send(b"PASS wrong\r\n")
            assert client.line().startswith(b"-ERR [AUTH]")
    with connect(server) as client:
        client.send(proxy_header.v1(CLIENT))
        assert is_closed(client)
    assert server.wait_log(rf"login failed .*address={re.escape(CLIENT)}:40000")
    with greeted(server, proxy_header.v1("198.51.100.8")) as client:
        client.login()


@pytest.mark.parametrize("client, header, allowed", [
    ("127.0.0.1", {}, True),
    (CLIENT, {}, False),
    ("::1", {}, True),
    (CLIENT, {"client-tls": "told"}, True),
    (CLIENT, {"client-tls": "always"}, True),
])
def test_plaintext_login(world, client, header, allowed):
    """loopback is the client and his proxy on this machine, or what the operator lets TLS at the proxy be."""
    server = proxied(world, header, pop3={"plaintext-login": "loopback"})
    tlvs = proxy_header.tls_tlv() if header else b""
    with greeted(server, proxy_header.v2(client, tlvs=tlvs)) as session:
        capabilities = session.lines(b"CAPA")
        assert (b"USER" in capabilities) == allowed
        assert (b"STLS" in capabilities) == (not header)
        assert session.command(b"USER alice").startswith(b"+OK" if allowed else b"-ERR")


@pytest.mark.parametrize("known, header", [
    ("unknown", proxy_header.v2(CLIENT, tlvs=proxy_header.tls_tlv())),
    ("told", proxy_header.v2(CLIENT, tlvs=proxy_header.tls_tlv(client=0))),
    ("told", proxy_header.v2(CLIENT)),
    ("told", proxy_header.v1(CLIENT)),
    ("always", OWN_HEADERS["v2-local"]),
])
def test_what_is_not_known_of_tls(world, known, header):
    """Nobody's word is taken for it but in the configuration's terms; a health check has no client."""
    server = proxied(world, {"client-tls": known}, pop3={"plaintext-login": "never"})
    with greeted(server, header) as client:
        assert client.command(b"USER alice").startswith(b"-ERR")


def test_an_unknown_client_is_not_on_this_machine(world):
    server = proxied(world, pop3={"plaintext-login": "loopback"})
    with greeted(server, OWN_HEADERS["v1-unknown"]) as client:
        assert client.command(b"USER alice").startswith(b"-ERR")
    with greeted(server, OWN_HEADERS["v2-local"]) as client:
        client.login()


@pytest.fixture
def tls_world(make_world):
    world = make_world()
    world.authority = authority.Authority(world.folder)
    certificate, key = world.authority.issue("mail.example.org")
    world.own(key)
    world.configure(pop3={"plaintext-login": "never"}, tls={"certificate": certificate, "key": key},
                    proxy=PROXIED | {"listen-tls": "127.0.0.1:0"})
    return world


class Handshake:
    """A TLS client whose octets go where the test wants them."""

    def __init__(self, world):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(world.authority.certificate)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="mail.example.org")

    def step(self, function):
        """The result, or None where more is needed from the server."""
        try:
            return function()
        except ssl.SSLWantReadError:
            return None

    def first(self):
        self.step(self.tls.do_handshake)
        return self.outgoing.read()

    def finish(self, client):
        """Goes on until the first line of the server is there."""
        line = b""
        while not line.endswith(b"\r\n"):
            octets = client.socket.recv(65536)
            assert octets, "closed in the handshake"
            self.incoming.write(octets)
            line += self.step(lambda: self.tls.read(4096)) or b""
            client.send(self.outgoing.read())
        return line


def test_the_header_comes_before_tls(tls_world):
    """And the handshake may come in one piece with it, cut anywhere."""
    server = tls_world.start()
    for name in ("v1", "v2"):
        header, _ = HEADERS[name]
        octets = header + Handshake(tls_world).first()
        for cut in [*range(1, len(header) + 8), len(octets) - 1, len(octets)]:
            handshake = Handshake(tls_world)
            octets = header + handshake.first()
            with pop3.Client(server.proxy_tls_address, greeting=False) as client:
                client.send(octets[:cut])
                client.send(octets[cut:])
                assert handshake.finish(client).startswith(b"+OK Restante ready")
                handshake.tls.write(b"USER alice\r\n")
                client.send(handshake.outgoing.read())
                handshake.incoming.write(client.socket.recv(4096))
                assert handshake.tls.read(4096).startswith(b"+OK")


def test_tls_in_place_of_the_header(tls_world):
    server = tls_world.start()
    with pop3.Client(server.proxy_tls_address, greeting=False) as client:
        client.send(Handshake(tls_world).first())
        assert is_closed(client)


def test_stls_behind_a_proxy(tls_world):
    server = tls_world.start()
    with greeted(server, HEADERS["v2"][0]) as client:
        client.ok(b"STLS")
        handshake = Handshake(tls_world)
        client.send(handshake.first())
        while not handshake.tls.version():
            handshake.incoming.write(client.socket.recv(65536))
            handshake.step(handshake.tls.do_handshake)
            client.send(handshake.outgoing.read())


def test_a_reload_moves_an_address(world):
    """From one list to another, while somebody is connected to it as it was."""
    server = proxied(world)
    with greeted(server, HEADERS["v1"][0]) as before:
        where = "%s:%d" % server.proxy_address
        world.configure(pop3={"listen": where, "plaintext-login": "always"})
        server.signal(signal.SIGHUP)
        restante.wait_until(lambda: _greets(server.proxy_address), "greeted without a header")
        before.login()
        before.quit()
        world.configure(pop3={"plaintext-login": "always"}, proxy=PROXIED | {"listen": where})
        server.signal(signal.SIGHUP)
        restante.wait_until(lambda: not _greets(server.proxy_address), "a header is needed again")
        restante.wait_until(lambda: _takes_a_header(server), "a header is taken again")


def _takes_a_header(server):
    """False too where the processes that are being drained have accepted the connection: to them it is a command."""
    try:
        greeted(server, HEADERS["v1"][0]).quit()
        return True
    except pop3.ProtocolError:
        return False


def _greets(address):
    """Is there a greeting without a header? QUIT tells, which is not how one begins."""
    with socket.create_connection(address) as connection:
        connection.settimeout(pop3.PATIENCE)
        try:
            connection.sendall(b"QUIT\r\n")
            return connection.recv(512).startswith(b"+OK")
        except ConnectionResetError:
            return False


def test_a_drained_worker_does_not_wait_for_headers(world):
    server = proxied(world, {"header-timeout": "1h"})
    with connect(server) as client:
        restante.wait_until(lambda: _is_accepted(server, client), "accepted")
        server.terminate()
        assert is_closed(client)
    assert server.wait() == 0


def _is_accepted(server, client):
    """A connection that no process holds has no inode."""
    port = "%04X" % client.socket.getsockname()[1]
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[2].endswith(":" + port) and fields[9] != "0":
            return True
    return False


def test_a_killed_worker_gives_the_places_back(world):
    server = proxied(world, {"header-timeout": "1h"}, server={"workers": "1"},
                     limits={"connections": "4"})
    clients = [connect(server) for _ in range(2)]
    for client in clients:
        restante.wait_until(lambda: _is_accepted(server, client), "accepted")
    victim = server.workers()[0].pid
    os.kill(victim, signal.SIGKILL)
    restante.wait_until(lambda: [p.pid for p in server.workers()] not in ([], [victim]), "a new worker")
    here = [restante.wait_until(lambda: _welcome(server), "welcome") for _ in range(4)]
    assert len(here) == 4


def _welcome(server):
    client = connect(server)
    try:
        client.send(HEADERS["v1"][0])
        return client if client.line().startswith(b"+OK") else None
    except (AssertionError, ConnectionError):
        client.socket.close()
        return None

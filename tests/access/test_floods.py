# SPDX-License-Identifier: MIT
"""Many strangers at once who mean no good: what the server holds in memory stays what it was, and another
person logs in as fast as before. Attackers are processes of their own, or Python would time itself."""

import base64
import multiprocessing
import os
import random
import secrets
import signal
import socket
import ssl
import statistics
import struct
import time

import pytest

import authority
import pop3
import restante
import scram
from scram import Scram, b64

pytestmark = [pytest.mark.alone, pytest.mark.timeout(300)]
MIB = 1 << 20
ELSEWHERE = "127.0.0.2"  # where the other person is
GROWTH = 4 * MIB         # of all processes together, at any time
LINE_OCTETS = 1 << 30


@pytest.fixture
def besieged(make_world):
    """The authority's server; alice has a verifier of SCRAM, bob's password is kept for CRAM-MD5."""
    world = make_world()
    world.authority = authority.Authority(world.folder)
    certificate, key = world.authority.issue("mail.example.org")
    world.own(key)
    world.write_accounts({"alice": scram.verifier("SCRAM-SHA-256", b"secret", 4096), "bob": "other"})
    world.put(b"Subject: x\n\ny\n")
    world.configure(pop3={"listen-tls": "127.0.0.1:0", "max-bad-commands": "0",
                          "mechanisms": "SCRAM-SHA-256, CRAM-MD5, PLAIN, LOGIN"},
                    tls={"certificate": certificate, "key": key},
                    limits={"connections-per-address": "1000"}, log={"level": "error"})
    server = world.start()
    server.context = ssl.create_default_context(cafile=world.authority.certificate)
    return server


def held(server):
    """Octets of memory that all processes hold; what they share is counted once."""
    total = 0
    for process in server.processes():
        if not restante.IS_ROOT:
            total += process.resident_octets
            continue
        with open(f"/proc/{process.pid}/smaps_rollup") as rollup:
            total += sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Pss:"))
    return total


def login_seconds(server):
    began = time.perf_counter()
    with pop3.Client(server.address, source=ELSEWHERE) as client:
        client.login(b"bob", b"other")
        client.quit()
    return time.perf_counter() - began


class Siege:
    """Runs attackers side by side; meanwhile another person logs in, and memory is looked at."""

    def __init__(self, server, *attackers):
        self.server = server
        self.attackers = attackers

    def run(self, share):
        """`share` of what each attacker has in mind."""
        fork = multiprocessing.get_context("fork")
        running = [fork.Process(target=self._attack, args=(attacker, share))
                   for attacker in self.attackers]
        seconds, most = [], 0
        try:
            for process in running:
                process.start()
            while any(process.is_alive() for process in running):
                seconds.append(login_seconds(self.server))
                most = max(most, held(self.server))
                time.sleep(0.02)
        finally:
            for process in running:
                process.kill()
                process.join()
        assert [process.exitcode for process in running] == [0] * len(running)
        return seconds, most

    def _attack(self, attacker, share):
        signal.alarm(200)
        os.nice(5)  # theirs is another machine
        try:
            attacker(self.server, share)
        except BaseException as error:
            print(f"{attacker}: {error!r}", flush=True)
            os._exit(1)
        os._exit(0)

    def assert_harmless(self):
        self.run(0.02)  # what is needed once is there
        quiet = statistics.median(login_seconds(self.server) for _ in range(60))
        before = held(self.server)
        seconds, most = self.run(1)
        after = held(self.server)
        stormy = statistics.median(seconds)
        print(f"login {quiet * 1000:.1f} ms, then {stormy * 1000:.1f} ms, longest {max(seconds):.2f} s"
              f" of {len(seconds)}; {before / MIB:.1f} MiB, at most {most / MIB:.1f},"
              f" then {after / MIB:.1f}")
        assert most - before < GROWTH and after - before < GROWTH
        assert len(seconds) >= 20
        assert stormy < 10 * quiet + 0.05 and max(seconds) < 3


def garbled():
    """One AUTH that comes to nothing; each ends in one -ERR."""
    first = b64(Scram("SCRAM-SHA-256", b"alice", b"wrong").first())
    noise = b64(os.urandom(random.randrange(1, 400)))
    return random.choice([
        b"AUTH CRAM-MD5\r\n*\r\n",
        b"AUTH CRAM-MD5\r\n" + noise + b"\r\n",
        b"AUTH SCRAM-SHA-256 " + first + b"\r\n*\r\n",
        b"AUTH SCRAM-SHA-256 " + first + b"\r\n" + noise + b"\r\n",
        b"AUTH SCRAM-SHA-256 " + noise + b"\r\n",
        b"AUTH PLAIN %%%%\r\n",
        b"AUTH PLAIN\r\n" + noise[:-1] + b"!\r\n",
        b"AUTH PLAIN " + b64(b"\0" + os.urandom(20)) + b"\r\n",
        b"AUTH LOGIN\r\n" + noise + b"\r\n*\r\n",
        b"AUTH " + secrets.token_hex(8).encode() + b"\r\n",
    ])


def pipelined(server, share):
    """Of 100 000, these come 200 at once."""
    left = int(20000 * share)
    while left > 0:
        with pop3.Client(server.address) as client:
            for _ in range(5):
                exchanges = [garbled() for _ in range(200)]
                client.send(b"".join(exchanges))
                failed = 0
                while failed < len(exchanges):
                    line = client.line(limit=None)
                    assert line.startswith((b"-ERR", b"+ ")), line
                    failed += line.startswith(b"-ERR")
            left -= 1000


def cut_off(server, share):
    """And these end with their connection, in the middle of the exchange."""
    for number in range(int(10000 * share)):
        client = pop3.Client(server.address)
        exchange = garbled()
        client.send(exchange[:random.randrange(5, len(exchange))])
        if number % 2:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()


def test_100_000_garbled_and_aborted_auths(besieged):
    Siege(besieged, *[pipelined] * 4, *[cut_off] * 2).assert_harmless()


class Handshake:
    """A client's handshake, whose flights are octets."""

    def __init__(self, server, name="mail.example.org"):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = server.context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.socket = socket.create_connection(server.tls_address)
        self.socket.settimeout(pop3.PATIENCE)

    def flight(self):
        """The next one; after the last the handshake is done."""
        while True:
            try:
                self.tls.do_handshake()
                self.done = True
            except ssl.SSLWantReadError:
                self.done = False
            octets = self.outgoing.read()
            if octets or self.done:
                return octets
            received = self.socket.recv(65536)
            assert received
            self.incoming.write(received)


    def cut(self, octets):
        """Half of those who go say so, and see that the server goes, too."""
        self.socket.sendall(octets)
        if len(octets) % 2:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.socket.shutdown(socket.SHUT_WR)
            while self.socket.recv(65536):
                pass
        self.socket.close()


def random_names(server, share):
    """Names that are octets of any kind, where the hello has one."""
    name = "x" * 60
    for _ in range(int(2500 * share)):
        handshake = Handshake(server, name)
        hello = handshake.flight()
        assert name.encode() in hello
        handshake.socket.sendall(hello.replace(name.encode(), os.urandom(60)))
        handshake.socket.recv(65536)
        handshake.socket.close()


def cut_hellos(server, share):
    """The client's first flight, cut after each octet."""
    size = int(len(Handshake(server).flight()) * share)
    for octets in range(size):
        handshake = Handshake(server)
        handshake.cut(handshake.flight()[:octets])


def cut_ends(server, share):
    """And the second, which ends the handshake."""
    octets, size = 0, 1
    while octets < size * share:
        handshake = Handshake(server)
        handshake.socket.sendall(handshake.flight())
        last = handshake.flight()
        assert handshake.done
        size = len(last)
        handshake.cut(last[:octets])
        octets += 1


def test_handshakes_with_random_names_and_cut_ones(besieged):
    Siege(besieged, random_names, random_names, cut_hellos, cut_ends).assert_harmless()


def pour(client, share):
    """A line that does not end; the server may close, or else answers it with -ERR when it does."""
    octets = b"x" * MIB
    for _ in range(int(LINE_OCTETS * share) // MIB):
        client.send(octets)
    assert client.command(b"").startswith(b"-ERR")
    client.ok(b"CAPA")
    client.body()
    client.quit()


def as_a_command(server, share):
    pour(server.client(), share)


def in_an_exchange(server, share):
    client = server.client()
    client.send(b"AUTH PLAIN\r\n")
    assert client.line() == b"+ "
    pour(client, share)


def as_an_initial_response(server, share):
    client = server.client()
    client.send(b"AUTH PLAIN ")
    pour(client, share)


def under_tls(server, share):
    client = pop3.Client(server.tls_address, greeting=False)
    client.socket = server.context.wrap_socket(client.socket, server_hostname="mail.example.org")
    client.line()
    pour(client, share)


def logged_in(server, share):
    client = server.client()
    client.login()
    pour(client, share)


def test_a_gigabyte_without_a_line_end_in_each_state(besieged):
    Siege(besieged, as_a_command, in_an_exchange, as_an_initial_response, under_tls,
          logged_in).assert_harmless()

# SPDX-License-Identifier: MIT
"""After the answer to AUTH no process has the password, its base64, or what was computed from it."""

import base64
import secrets
import ssl

import pytest

import memory
import pop3
import restante
import scram
from scram import Scram, Speaker, b64

pytestmark = pytest.mark.skipif(not restante.IS_ROOT,
                                reason="needs root: reads the memory of other processes")
READY = b"+OK Mailbox locked and ready"


def forms(user, password):
    """As it is, with its ends cut, and as PLAIN and LOGIN send it."""
    return [password, password[:-1], password[1:], password[4:20], b64(password)[:20],
            b64(b"\0" + user + b"\0" + password)[8:40]]


def assert_forgotten(server, user, password, more=()):
    for process in server.processes():
        assert memory.find(process.pid, *forms(user, password), *more) == [], \
            f"the password is in {process.command}"
    assert password.decode() not in server.log()


def plain(client, user, password):
    return client.command(b"AUTH PLAIN " + b64(b"\0" + user + b"\0" + password))


def plain_after_challenge(client, user, password):
    client.send(b"AUTH PLAIN\r\n")
    assert client.line() == b"+ "
    return client.command(b64(b"\0" + user + b"\0" + password))


def login(client, user, password):
    speaker = Speaker(client)
    speaker.command_line(b"AUTH LOGIN")
    speaker.command_line(b64(user))
    return speaker.command_line(b64(password))


def octet_by_octet(client, user, password):
    for octet in b"AUTH PLAIN " + b64(b"\0" + user + b"\0" + password) + b"\r\n":
        client.send(bytes([octet]))
    return client.reply()


def user_pass(client, user, password):
    client.ok(b"USER " + user)
    return client.command(b"PASS " + password)


SENT = [plain, plain_after_challenge, login, octet_by_octet]


def secured(client):
    """By what the first start made; TLS itself has tests of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client.socket = context.wrap_socket(client.socket)
    return client


def implicit_tls(server):
    client = secured(pop3.Client(server.tls_address, greeting=False))
    client.line()
    return client


def stls(server):
    client = server.client()
    client.ok(b"STLS")
    return secured(client)


def assert_all_is_forgotten(world, send, size, connect):
    password = secrets.token_hex(size // 2).encode()
    added = world.run("user", "add", "-c", world.configuration_file, "bob", input=password + b"\n")
    assert added.returncode == 0, added.stderr
    server = world.start()
    for _ in range(2):  # the second time the worker's cache answers
        with connect(server) as client:
            assert send(client, b"bob", password[:-1] + b"!").startswith(b"-ERR [AUTH]")
            assert_forgotten(server, b"bob", password)
            assert send(client, b"bob", password) == READY
            assert_forgotten(server, b"bob", password)
            client.quit()
        assert_forgotten(server, b"bob", password)


@pytest.mark.parametrize("size", [48, 500])
@pytest.mark.parametrize("send", SENT)
def test_what_was_sent_is_forgotten(either_world, send, size):
    """Long ones travel through the room that is lent."""
    assert_all_is_forgotten(either_world, send, size, lambda server: server.client())


@pytest.mark.parametrize("connect", [stls, implicit_tls])
@pytest.mark.parametrize("send, size", [(user_pass, 48), (user_pass, 240), (plain, 48), (plain, 500),
                                        (login, 48), (octet_by_octet, 48)])
def test_under_tls_too(world, send, size, connect):
    """There it stood in OpenSSL's buffers as well."""
    world.configure(pop3={"listen-tls": "127.0.0.1:0"})
    assert_all_is_forgotten(world, send, size, connect)


@pytest.mark.parametrize("name", ["SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "APOP"])
def test_what_is_kept_as_it_is_stays_in_its_file(either_world, name):
    """auth reads a {PLAIN} password for one answer only, and forgets the keys that it made of it."""
    world = either_world
    password = secrets.token_hex(24).encode()
    world.write_accounts({"bob": password.decode()})
    server = world.start()
    for right in (False, True):
        with server.client() as client:
            given, more = password if right else b"wrong", []
            if name == "APOP":
                reply = client.command(scram.apop(b"bob", given, client.greeting))
            elif name == "CRAM-MD5":
                line = Speaker(client).command_line(b"AUTH CRAM-MD5")
                reply = client.command(b64(scram.cram_md5(b"bob", given,
                                                          base64.b64decode(line[2:]))))
            else:
                exchange = Scram(name, b"bob", given)
                reply = scram.authenticate(Speaker(client), exchange)
                more = scram.keys(name, password, exchange.salt, exchange.iterations)
            assert reply.startswith(b"+OK") == right
            assert_forgotten(server, b"bob", password, more)
            client.socket.close()


def test_while_an_exchange_hangs_there_is_no_password(world):
    """Between two messages auth holds the keys, never the password that they are made of."""
    password = secrets.token_hex(24).encode()
    world.write_accounts({"bob": password.decode()})
    server = world.start()
    with server.client() as client:
        exchange = Scram("SCRAM-SHA-256", b"bob", password)
        line = Speaker(client).command_line(b"AUTH SCRAM-SHA-256 " + b64(exchange.first()))
        exchange.final(base64.b64decode(line[2:]))
        stored, *_ = scram.keys("SCRAM-SHA-256", password, exchange.salt, exchange.iterations)
        assert_forgotten(server, b"bob", password)
        # The scan sees what is there.
        assert any(memory.find(process.pid, stored) for process in server.processes())
    restante.wait_until(lambda: not any(memory.find(process.pid, stored)
                                        for process in server.processes()), "gone with the session")


def test_a_cancelled_exchange_is_forgotten(world):
    password = secrets.token_hex(24).encode()
    server = world.start()
    with server.client() as client:
        speaker = Speaker(client)
        speaker.command_line(b"AUTH LOGIN " + b64(password))  # in the wrong field, as people do
        client.error(b"*")
        restante.wait_until(lambda: not any(memory.find(process.pid, password)
                                            for process in server.processes()), "forgotten")

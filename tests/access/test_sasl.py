# SPDX-License-Identifier: MIT
"""AUTH and APOP over a socket (RFC 5034, 4422, 4616, 5802, 7677, 2195, 1939 section 7): what is offered can
succeed, what is wrong fails, and nothing else happens."""

import base64
import re
import secrets
import time

import pytest

import pop3
import restante
import scram
from scram import Scram, Speaker, b64

SCRAMS = ["SCRAM-SHA-256", "SCRAM-SHA-1"]
INVALID = b"-ERR [AUTH] Invalid credentials"
READY = b"+OK Mailbox locked and ready"
PLAIN = b"AUTH PLAIN " + b64(b"\0alice\0secret")


def mechanisms(client):
    """What CAPA says, which is what AUTH alone says."""
    listed = [line[5:].decode().split() for line in client.lines(b"CAPA") if line.startswith(b"SASL ")]
    listed = listed[0] if listed else []
    reply = client.command(b"AUTH")
    assert reply.startswith(b"+OK") == bool(listed)
    if listed:
        assert client.body().decode().split() == listed
    return listed


def log_in(client, name, user=b"alice", password=b"secret", **options):
    """By a mechanism; gives the last reply."""
    speaker = Speaker(client)
    if name.startswith("SCRAM"):
        how = {key: options.pop(key) for key in ("initial", "empty") if key in options}
        return scram.authenticate(speaker, Scram(name, user, password, **options), **how)
    if name == "PLAIN":
        return client.command(b"AUTH PLAIN " + b64(b"\0" + user + b"\0" + password))
    line = speaker.command_line(b"AUTH " + name.encode())
    if name == "LOGIN":
        assert base64.b64decode(line[2:]) == b"Username:"
        line = speaker.command_line(b64(user))
        assert base64.b64decode(line[2:]) == b"Password:"
        return speaker.command_line(b64(password))
    assert name == "CRAM-MD5"
    return speaker.command_line(b64(scram.cram_md5(user, password, base64.b64decode(line[2:]))))


@pytest.mark.sanitized
@pytest.mark.parametrize("name", [*SCRAMS, "CRAM-MD5", "PLAIN", "LOGIN"])
def test_each_mechanism(either_world, name):
    either_world.put(b"Subject: x\n\nx\n")
    server = either_world.start()
    with server.client() as client:
        assert name in mechanisms(client)
        for user, password in ((b"alice", b"wrong"), (b"nobody", b"secret"), (b"alice", b"")):
            assert log_in(client, name, user, password) == INVALID
        assert log_in(client, name) == READY
        assert client.ok(b"STAT").startswith(b"+OK 1 ")
        assert b"SASL " + " ".join([*SCRAMS, "CRAM-MD5", "PLAIN", "LOGIN"]).encode() \
            in client.lines(b"CAPA")
        client.error(b"AUTH")
        client.error(PLAIN)
        client.quit()
    server.wait_log(rf"session user=alice address=\S+ method={name} .*failed-logins=3 .*end=quit")
    assert re.search(rf'login failed user="(alice|nobody)" address=127\.0\.0\.1:\d+ method={name} '
                     r"reason=(bad_credentials|no_such_user)", server.log())


@pytest.mark.parametrize("name", SCRAMS)
@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("empty", [b"", b"="])
def test_scram_from_its_own_verifier(world, name, initial, empty):
    world.write_accounts({"alice": scram.verifier(name, b"secret", 5000)})
    with world.start().client() as client:
        assert mechanisms(client) == [name, "PLAIN", "LOGIN"]
        assert log_in(client, name, password=b"Secret") == INVALID
        assert log_in(client, name, initial=initial, empty=empty) == READY


def test_scram_of_what_the_command_made(world):
    password = secrets.token_hex(24).encode()
    assert world.run("user", "add", "-c", world.configuration_file, "bob",
                     input=password + b"\n").returncode == 0
    world.run("user", "remove", "-c", world.configuration_file, "alice")
    with world.start().client() as client:
        exchange = Scram("SCRAM-SHA-256", b"Bob", password)
        assert scram.authenticate(Speaker(client), exchange) == READY
        assert exchange.iterations == 100000


def test_names_with_commas_and_equals_signs(world):
    world.write_accounts({"a,b=c,=2C": "secret"})
    world.maildrop("a,b=c,=2C")
    with world.start().client() as client:
        assert log_in(client, "SCRAM-SHA-256", b"a,b=c,=2C") == READY


@pytest.mark.parametrize("accounts, listed, apop", [
    ({"alice": "{PLAIN}x"}, [*SCRAMS, "CRAM-MD5", "PLAIN", "LOGIN"], True),
    ({"alice": "{PLAIN}x", "bob": "scram"}, ["SCRAM-SHA-256", "PLAIN", "LOGIN"], False),
    ({"alice": "crypt", "bob": "scram"}, ["PLAIN", "LOGIN"], False),
    ({"alice": "crypt"}, ["PLAIN", "LOGIN"], False),
    # who may not log in does not count
    ({"alice": "{PLAIN}x", "bob": "locked"}, [*SCRAMS, "CRAM-MD5", "PLAIN", "LOGIN"], True),
    ({"bob": "locked"}, [], False),
], ids=["plain", "plain and scram", "crypt and scram", "crypt", "locked", "nobody"])
def test_what_every_account_can_use_is_offered(world, accounts, listed, apop):
    known = {"crypt": "{CRYPT}$6$l73L39vigdUv/uUL$6ihnprI.iI8FwZgqz2fHgqNs8pL.jtzF/JVbX1S954lMKn2i8em44X"
                      ".guBtdxq9i6bGP/rzYasOdbrVZOTwF/0",
             "scram": scram.verifier("SCRAM-SHA-256", b"x"), "locked": "{PLAIN}x::::::nologin"}
    world.write_accounts({name: known.get(kind, kind) for name, kind in accounts.items()})
    with world.start().client() as client:
        assert mechanisms(client) == listed
        assert (b"<" in client.greeting) == apop
        if not apop:
            client.error(b"APOP alice " + b"0" * 32)
        client.error(b"AUTH GSSAPI")
        client.error(b"AUTH EXTERNAL")


def test_a_change_of_the_accounts_changes_the_offer(world):
    server = world.start()
    with server.client() as client:
        assert "CRAM-MD5" in mechanisms(client)
    world.write_accounts({"alice": scram.verifier("SCRAM-SHA-1", b"secret")})
    server.wait_log("accounts read again")
    with server.client() as client:
        assert mechanisms(client) == ["SCRAM-SHA-1", "PLAIN", "LOGIN"]


def test_the_operator_chooses(world):
    world.configure(pop3={"mechanisms": "PLAIN, SCRAM-SHA-256, cram-md5"})
    world.write_accounts({"alice": "secret", "bob": scram.verifier("SCRAM-SHA-1", b"x")})
    with world.start().client() as client:
        assert mechanisms(client) == ["SCRAM-SHA-256", "CRAM-MD5", "PLAIN"]
        assert log_in(client, "SCRAM-SHA-256", b"bob", b"x") == INVALID
        assert log_in(client, "SCRAM-SHA-256") == READY
    world.configure(pop3={"mechanisms": "PLAIN, GSSAPI"})
    result = world.run("check-config", "-c", world.configuration_file)
    assert result.returncode == 2 and b"mechanisms = PLAIN, GSSAPI" in result.stderr


def test_without_tls_no_password_where_none_may_be(world):
    world.configure(pop3={"plaintext-login": "never"})
    with world.start().client() as client:
        assert mechanisms(client) == [*SCRAMS, "CRAM-MD5"]
        client.error(PLAIN)
        client.error(b"AUTH LOGIN")
        assert log_in(client, "SCRAM-SHA-256") == READY


def test_apop(world):
    server = world.start()
    timestamps = set()
    for user, password, reply in ((b"alice", b"wrong", INVALID), (b"nobody", b"secret", INVALID),
                                  (b"alice", b"secret", READY)):
        with server.client() as client:
            timestamps.add(re.search(rb"<[0-9a-f]{32}@[^>]+>", client.greeting)[0])
            assert client.command(scram.apop(user, password, client.greeting)) == reply
    assert len(timestamps) == 3
    server.wait_log(r"session user=alice address=\S+ method=APOP ")
    assert re.search(r'login failed user="alice" address=\S+ method=APOP reason=bad_credentials',
                     server.log())


def test_apop_of_another_connection_is_worth_nothing(world):
    server = world.start()
    with server.client() as first, server.client() as second:
        assert second.command(scram.apop(b"alice", b"secret", first.greeting)) == INVALID


@pytest.mark.parametrize("message", [
    b"", b"\0", b"\0alice", b"alice\0secret", b"bob\0alice\0secret", b"\0alice\0secret\0",
    b"\0al\nice\0secret", b"\0alice\0secret\r", b"\0alice\0secret\n", b"\0\0secret",
    b"\0" + b"a" * 256 + b"\0x", b"\0alice\0" + b"x" * 5000, b"\0../alice\0secret"])
def test_plain_refuses(world, message):
    with world.start().client() as client:
        assert client.command(b"AUTH PLAIN " + (b64(message) or b"=")) == INVALID
        client.send(b"AUTH PLAIN\r\n")
        assert client.line() == b"+ "
        assert client.command(b64(message)) == INVALID
        assert client.command(PLAIN) == READY


def test_plain_takes_what_it_may(world):
    password = " p\xe4ss w\u00f6rd ".encode() + b"\xff"
    world.accounts_file.write_bytes(b"alice:{PLAIN}" + password + b"\n")
    server = world.start()
    for message in (b"\0alice\0", b"alice\0alice\0", b"\0ALICE\0"):
        with server.client() as client:
            assert client.command(b"AUTH PLAIN " + b64(message + password)) == READY
            client.quit()


@pytest.mark.parametrize("name", [*SCRAMS, "PLAIN"])
def test_nobody_acts_as_somebody_else(world, name):
    world.write_accounts({"alice": "secret", "bob": "secret"})
    with world.start().client() as client:
        if name == "PLAIN":
            assert client.command(b"AUTH PLAIN " + b64(b"bob\0alice\0secret")) == INVALID
        else:
            assert log_in(client, name, identity=b"bob") == INVALID
            assert log_in(client, name, identity=b"alice") == READY


@pytest.mark.parametrize("name", SCRAMS)
@pytest.mark.parametrize("flag, binding", [(b"p=tls-exporter", b"x" * 32), (b"p=tls-unique", b"x" * 12),
                                           (b"p=tls-unique", b""), (b"m=x", b"")])
def test_nothing_is_bound_without_plus(world, name, flag, binding):
    with world.start().client() as client:
        assert log_in(client, name, flag=flag, binding=binding) == INVALID
        assert log_in(client, name, flag=b"y") == READY  # true: there is no channel here


@pytest.mark.parametrize("name", [*SCRAMS, "CRAM-MD5", "LOGIN", "PLAIN"])
def test_a_star_cancels(world, name):
    server = world.start()
    with server.client() as client:
        speaker = Speaker(client)
        for _ in range(3):
            line = speaker.command_line(b"AUTH " + name.encode())
            if name in SCRAMS:
                line = speaker.command_line(b64(Scram(name, b"alice", b"secret").first()))
            assert line.startswith(b"+ ")
            assert client.command(b"*").startswith(b"-ERR")
        assert log_in(client, name) == READY
        client.quit()
    assert "failed-logins=0" in server.wait_log(r"session user=alice.*")[0]


def dialogue(client, name):
    """The octets of each turn of a login, as they would be sent."""
    exchange = Scram(name, b"alice", b"secret")
    yield b"AUTH " + name.encode() + b" " + b64(exchange.first()) + b"\r\n"
    yield b64(exchange.final(base64.b64decode(client.line(limit=None)[2:]))) + b"\r\n"
    assert exchange.is_signed(base64.b64decode(client.line(limit=None)[2:]))
    yield b"\r\nNOOP\r\n"


def test_every_split(world):
    """Cut in two at every octet, the rest after the first part has been read."""
    server = world.start()
    cut = 0
    turns = 0
    while turns == 0 or cut < turns:
        with server.client() as client:
            turns = 0
            for octets in dialogue(client, "SCRAM-SHA-256"):
                at = min(max(cut - turns, 0), len(octets))
                client.send(octets[:at])
                if 0 < at < len(octets):
                    time.sleep(0.001)
                client.send(octets[at:])
                turns += len(octets)
            assert client.reply() == READY
            assert client.reply() == b"+OK"
            client.quit()
        cut += 1


def test_octet_by_octet(world):
    with world.start().client() as client:
        for octets in dialogue(client, "SCRAM-SHA-1"):
            for octet in octets:
                client.send(bytes([octet]))
        assert client.reply() == READY


def test_commands_behind_auth_wait_for_it(world):
    with world.start().client() as client:
        client.send(b"AUTH PLAIN\r\n" + b64(b"\0alice\0secret") + b"\r\nSTAT\r\nQUIT\r\n")
        assert client.line() == b"+ "
        assert client.reply() == READY
        assert client.reply() == b"+OK 0 0"
        assert client.reply() == b"+OK Goodbye"


@pytest.mark.parametrize("size", [500, 4096, 12200])
@pytest.mark.parametrize("name", [b"SCRAM-SHA-256", b"PLAIN", b"LOGIN", b"CRAM-MD5"])
def test_long_tokens_are_taken_and_refused(world, name, size):
    """Lines of up to 16 KiB are no error of syntax, also as initial response; nothing that is offered needs
    so much."""
    token = b64(b"x" * size)
    with world.start().client() as client:
        client.send(b"AUTH " + name + b"\r\n")
        assert client.line().startswith(b"+ ")
        assert client.command(token) == INVALID
        assert client.command(b"AUTH " + name + b" " + token) == INVALID
        assert client.command(PLAIN) == READY


def test_too_long_tokens(world):
    with world.start().client() as client:
        client.send(b"AUTH PLAIN\r\n")
        assert client.line() == b"+ "
        assert client.command(b"x" * 20000) == b"-ERR Line too long"
        assert client.command(b"AUTH PLAIN " + b"x" * 20000) == b"-ERR Line too long"
        assert client.command(PLAIN) == READY


@pytest.mark.parametrize("line", [b"!", b"YQ", b"YQ===", b"Y Q=", b"YQ==x", b"\xff\xff\xff\xff"])
def test_bad_base64(world, line):
    with world.start().client() as client:
        client.send(b"AUTH PLAIN\r\n")
        assert client.line() == b"+ "
        client.error(line)
        assert client.command(PLAIN) == READY


def test_unknown_user_goes_the_same_way(world):
    """The same count of turns, a salt that stays, of the same size, and the file's iterations."""
    world.write_accounts({"alice": scram.verifier("SCRAM-SHA-256", b"secret", 7000),
                          "bob": scram.verifier("SCRAM-SHA-256", b"secret", 7000),
                          "carol": scram.verifier("SCRAM-SHA-256", b"secret", 5000),
                          "dave": scram.verifier("SCRAM-SHA-256", b"secret") + "::::::nologin"})
    seen = {}
    with world.start().client() as client:
        for user in (b"alice", b"nobody", b"NoBody", b"dave", b"other", b"nobody", b"dave"):
            exchange = Scram("SCRAM-SHA-256", user, b"wrong")
            assert scram.authenticate(Speaker(client), exchange) == INVALID
            facts = (exchange.salt, exchange.iterations)
            assert seen.setdefault(user.lower(), facts) == facts
    assert {iterations for _, iterations in seen.values()} == {7000}
    assert {len(salt) for salt, _ in seen.values()} == {16}
    assert len({salt for salt, _ in seen.values()}) == 4


def test_salt_of_a_kept_password_stays(world):
    seen = set()
    server = world.start()
    for _ in range(3):
        with server.client() as client:
            exchange = Scram("SCRAM-SHA-256", b"alice", b"secret")
            assert scram.authenticate(Speaker(client), exchange) == READY
            seen.add((exchange.salt, exchange.iterations))
            client.quit()
    assert len(seen) == 1 and seen.pop()[1] == 4096


def test_a_change_in_the_middle_of_an_exchange_counts(world):
    """Proved is the verifier that was kept when it began; it is let in only if it is still kept."""
    server = world.start()
    with server.client() as client:
        exchange = Scram("SCRAM-SHA-256", b"alice", b"secret")
        speaker = Speaker(client)
        line = speaker.command_line(b"AUTH SCRAM-SHA-256 " + b64(exchange.first()))
        final = exchange.final(base64.b64decode(line[2:]))
        world.write_accounts({"alice": "changed"})
        server.wait_log("accounts read again")
        line = speaker.command_line(b64(final))
        if line.startswith(b"+ "):
            line = speaker.command_line(b"")
        assert line == INVALID
        assert log_in(client, "SCRAM-SHA-256", password=b"changed") == READY


def test_auth_that_restarts_ends_the_exchange(world):
    server = world.start()
    with server.client() as client:
        speaker = Speaker(client)
        exchange = Scram("SCRAM-SHA-256", b"alice", b"secret")
        line = speaker.command_line(b"AUTH SCRAM-SHA-256 " + b64(exchange.first()))
        final = exchange.final(base64.b64decode(line[2:]))
        [auth] = [process for process in server.children() if "auth" in process.command]
        restante.os.kill(auth.pid, 9)
        restante.wait_until(lambda: any("auth" in process.command and process.pid != auth.pid
                                        for process in server.children()), "another auth")
        reply = speaker.command_line(b64(final))
        assert reply.startswith(b"-ERR [SYS/TEMP]")
        restante.wait_until(lambda: log_in(client, "SCRAM-SHA-256") == READY, "it works again")


def test_failures_are_counted_and_held_back(world):
    world.configure(limits={"failure-delay": "300ms", "failures-per-address": "3"})
    server = world.start()
    with server.client() as client:
        for name in ("SCRAM-SHA-256", "CRAM-MD5", "LOGIN"):
            began = time.monotonic()
            assert log_in(client, name, password=b"wrong") == INVALID
            assert 0.29 < time.monotonic() - began < 5
    with pop3.Client(server.address, greeting=False) as client:
        client.expect_close()


@pytest.mark.parametrize("name", ["SCRAM-SHA-256", "CRAM-MD5", "PLAIN"])
def test_garbled_exchanges_leave_nothing(world, name):
    """A hundred wrong messages and a hundred exchanges left hanging: memory stays flat."""
    server = world.start()

    def garble(rounds):
        for _ in range(rounds):
            with server.client() as client:
                for message in (b"", b"n,,", secrets.token_bytes(40), b"n,,n=alice,r=" + b"x" * 900,
                                b"\0" * 700, b"n,,n=nobody,r=x"):
                    client.send(b"AUTH " + name.encode() + b"\r\n")
                    assert client.line().startswith(b"+ ")
                    client.send(b64(message) + b"\r\n")
                    if client.line(limit=None).startswith(b"+ "):
                        client.send(b64(secrets.token_bytes(30)) + b"\r\n")
                        assert client.line() == INVALID
                client.send(b"AUTH " + name.encode() + b"\r\n")
                assert client.line().startswith(b"+ ")
                client.send(b64(b"n,,n=alice,r=x") + b"\r\n")
                client.line(limit=None)  # and gone in the middle

    garble(20)
    before = {process.pid: process.resident_octets for process in server.children()}
    garble(100)
    for process in server.children():
        assert process.resident_octets - before[process.pid] < 512 * 1024, process.command
    with server.client() as client:
        assert log_in(client, name) == READY


def test_the_cache_serves_plain_and_login(world):
    """The second time nobody is asked: auth is stopped, and the login succeeds all the same."""
    world.configure(server={"workers": "1"})
    server = world.start()
    with server.client() as client:
        assert log_in(client, "PLAIN") == READY
        client.quit()
    [auth] = [process for process in server.children() if "auth" in process.command]
    restante.os.kill(auth.pid, restante.signal.SIGSTOP)
    try:
        for name in ("PLAIN", "LOGIN"):
            with server.client() as client:
                assert log_in(client, name) == READY
                client.quit()
    finally:
        restante.os.kill(auth.pid, restante.signal.SIGCONT)

# SPDX-License-Identifier: MIT
"""Names and passwords beyond ASCII: RFC 6856 section 2.2, SASLprep (RFC 4013)."""

import unicodedata

import pytest

import memory
import restante
import scram
from scram import Scram, Speaker, b64

NAME, PASSWORD = "jos\u00e9", "\u00e5ngstr\u00f6m \u03c0\u0430\u0440\u043e\u043b\u044c-2147"
NFD, NFC = (lambda text: unicodedata.normalize("NFD", text).encode()), (lambda text: text.encode())
# The same to a person: composed, decomposed, with a soft hyphen and a no-break space.
FORMS = {"composed": NFC, "decomposed": NFD,
         "mapped": lambda text: text.replace(" ", "\u00a0").replace("-", "\u00ad-").encode()}
READY = b"+OK Mailbox locked and ready"
WRONG = b"-ERR [AUTH]"
NOT_UTF8 = {"latin1": b"caf\xe9", "overlong": b"\xc0\xaf", "surrogate": b"\xed\xa0\x80", "cut": b"\xc3"}
PROHIBITED = {"control": b"a\x07b", "C1 control": b"\xc2\x85", "private use": b"\xee\x80\x80",
              "tag": b"\xf3\xa0\x80\x81", "mixed directions": b"\xd8\xa71", "nothing": b"\xc2\xad"}


def user_pass(client, user, password):
    client.ok(b"USER " + user)
    return client.command(b"PASS " + password)


def plain(client, user, password):
    return client.command(b"AUTH PLAIN " + b64(b"\0" + user + b"\0" + password))


def plain_for_oneself(client, user, password):
    return client.command(b"AUTH PLAIN " + b64(NFC(NAME) + b"\0" + user + b"\0" + password))


def login(client, user, password):
    speaker = Speaker(client)
    speaker.command_line(b"AUTH LOGIN")
    speaker.command_line(b64(user))
    return speaker.command_line(b64(password))


def scram_sha_256(client, user, password):
    """A client prepares the password (RFC 5802 section 2.2); the name is the server's to prepare, too."""
    prepared = unicodedata.normalize("NFKC", password.decode().replace("\u00ad", "")).encode()
    return scram.authenticate(Speaker(client), Scram("SCRAM-SHA-256", user, prepared))


WAYS = [user_pass, plain, plain_for_oneself, login, scram_sha_256]


def configure(world, utf8="yes"):
    world.configure(pop3={"utf8": utf8, "mechanisms": "PLAIN, LOGIN, SCRAM-SHA-256, APOP"})


def add(world, name, password, *options):
    return world.run("user", "add", "-c", world.configuration_file, *options, name, input=password + b"\n")


def attempt(server, way, name, password):
    with server.client() as client:
        reply = way(client, name, password)
        if reply == READY:
            client.quit()
        return reply


# What a scheme makes of a password is libsodium's or libcrypto's: one is enough for the sanitizers.
@pytest.mark.parametrize("scheme", [pytest.param("scram-sha-256", marks=pytest.mark.sanitized), "argon2id"])
@pytest.mark.parametrize("kept", FORMS)
def test_every_form_is_the_same_person(world, kept, scheme):
    configure(world)
    added = add(world, FORMS[kept](NAME).decode(), FORMS[kept](PASSWORD), "--scheme", scheme)
    assert added.returncode == 0, added.stderr
    lines = world.accounts_file.read_bytes().splitlines()
    assert lines[-1].startswith(NFC(NAME) + b":{")  # kept prepared
    assert add(world, NFD(NAME).decode(), b"x").returncode == 64  # is there already
    server = world.start()
    for form in FORMS.values():
        for way in WAYS:
            if way is scram_sha_256 and scheme != "scram-sha-256":
                continue
            assert attempt(server, way, form(NAME), form(PASSWORD)) == READY
    for way in WAYS[:3]:
        assert attempt(server, way, NFC(NAME), NFC(PASSWORD) + b"x").startswith(WRONG)
    check = world.run("user", "check", "-c", world.configuration_file, NFD(NAME).decode(),
                      input=NFD(PASSWORD) + b"\n")
    assert check.returncode == 0, check.stderr
    changed = world.run("user", "passwd", "-c", world.configuration_file, NFD(NAME).decode(), input=NFD("n\u00e9") + b"\n")
    assert changed.returncode == 0, changed.stderr
    assert attempt(server, user_pass, NFD(NAME), NFC("n\u00e9")) == READY
    assert world.run("user", "remove", "-c", world.configuration_file, NFD(NAME).decode()).returncode == 0


def test_apop_is_of_the_prepared_password(world):
    """RFC 6856 section 2.2; one that the file has unprepared is still known as it is."""
    configure(world)
    world.write_accounts({NAME: NFD(PASSWORD).decode()})
    server = world.start()
    for password in (NFC(PASSWORD), NFD(PASSWORD)):
        for name in (NFC(NAME), NFD(NAME)):
            with server.client() as client:
                assert client.command(scram.apop(name, password, client.greeting)) == READY
                client.quit()
    with server.client() as client:
        assert client.command(scram.apop(NFC(NAME), NFC(PASSWORD) + b"x", client.greeting)).startswith(WRONG)


@pytest.mark.sanitized
def test_what_was_kept_unprepared_still_counts(world):
    """Accounts of before: a line of a decomposed name, a verifier of decomposed octets."""
    configure(world)
    decomposed = NFD(NAME).decode()
    world.write_accounts({decomposed: scram.verifier("SCRAM-SHA-256", NFD(PASSWORD))})
    world.put(b"Subject: x\n\nx\n", user=decomposed)
    server = world.start()
    for name in (NFC(NAME), NFD(NAME)):
        with server.client() as client:
            assert user_pass(client, name, NFD(PASSWORD)) == READY
            assert client.ok(b"STAT").startswith(b"+OK 1 ")  # where it always was
            client.quit()
    assert attempt(server, user_pass, NFC(NAME), NFC(PASSWORD)).startswith(WRONG)


def test_two_lines_for_one_person_are_a_mistake(world):
    configure(world)
    world.write_accounts({NFC(NAME).decode(): "one", NFD(NAME).decode(): "two"})
    checked = world.run("check-config", "-c", world.configuration_file)
    assert b"the name is on line 1 already" in checked.stdout + checked.stderr
    server = world.start()
    assert not attempt(server, user_pass, NFD(NAME), b"two").startswith(b"+OK")


@pytest.mark.sanitized
@pytest.mark.parametrize("way", [user_pass, plain])
def test_what_cannot_be_prepared_is_refused(world, way):
    bad = NOT_UTF8 | PROHIBITED
    configure(world)
    world.write_accounts({"alice": "secret",
                          **{f"p{i}": scram.verifier("SCRAM-SHA-256", octets) for i, octets in enumerate(bad.values())}})
    server = world.start()
    for i, octets in enumerate(bad.values()):
        if b"\x07" in octets and way is user_pass:
            continue
        assert attempt(server, way, b"p%d" % i, octets).startswith(WRONG), octets
        assert attempt(server, way, octets, b"secret").startswith(WRONG), octets
    assert attempt(server, way, b"alice", b"secret") == READY


def test_without_utf8_octets_are_octets(world):
    """Nothing is announced then, and a password of another charset is nobody's business."""
    configure(world, utf8="no")
    world.write_accounts({"bob": scram.verifier("SCRAM-SHA-256", b"caf\xe9"), NAME: scram.verifier("SCRAM-SHA-256", NFC(PASSWORD))})
    server = world.start()
    with server.client() as client:
        assert not any(line.startswith(b"UTF8") for line in client.lines(b"CAPA"))
    assert attempt(server, user_pass, b"bob", b"caf\xe9") == READY
    assert attempt(server, user_pass, NFD(NAME), NFD(PASSWORD)) == READY


def test_it_is_announced(world):
    configure(world)
    server = world.start()
    with server.client() as client:
        assert b"UTF8 USER" in client.lines(b"CAPA")
        client.login()
        assert b"UTF8 USER" in client.lines(b"CAPA")
        client.quit()


@pytest.mark.parametrize("password", [*NOT_UTF8.values(), *PROHIBITED.values(), "\U0001f600".encode()], ids=repr)
def test_what_cannot_be_prepared_is_not_kept(world, password):
    """The last one is newer than Unicode 3.2: a query may have it, a stored string must not."""
    configure(world)
    before = world.accounts_file.read_bytes()
    added = add(world, "bob", password)
    assert added.returncode == 64 and b"the password cannot be kept" in added.stderr, added.stderr
    assert world.accounts_file.read_bytes() == before


@pytest.mark.parametrize("name", ["a\uff0fb", "\u2024x", "a\u00ad/b", "\u00ad", "\U0001f600"])
def test_what_a_name_becomes_is_checked(world, name):
    """A fullwidth solidus, a leader that is a dot."""
    configure(world)
    assert add(world, name, b"secret").returncode in (64, 67)
    server = world.start()
    assert attempt(server, user_pass, name.encode(), b"secret").startswith(WRONG)


@pytest.mark.skipif(not restante.IS_ROOT, reason="needs root: reads the memory of other processes")
@pytest.mark.parametrize("way", WAYS)
def test_no_form_of_the_password_stays(world, way):
    configure(world)
    world.write_accounts({NAME: scram.verifier("SCRAM-SHA-256", NFC(PASSWORD))})
    server = world.start()
    forms = [form(PASSWORD) for form in FORMS.values()]
    needles = [part for octets in forms for part in (octets[:-1], octets[8:24])]
    needles.append(PASSWORD.encode("utf-32-le")[16:48])  # code points, as they are while it is prepared
    for password in forms:
        with server.client() as client:
            assert way(client, NFD(NAME), password) == READY
            for process in server.processes():
                assert memory.find(process.pid, *needles) == [], process.command
            client.quit()

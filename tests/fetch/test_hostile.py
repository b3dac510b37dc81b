# SPDX-License-Identifier: MIT
"""restante fetch against servers that mean harm: mail stays whole and single, and the run ends and says why."""

import base64
import hashlib
import os
import re
import subprocess
import threading
import time
import unicodedata
from types import SimpleNamespace

import pytest

import restante
from authority import Authority
from hostile_pop3 import (Flood, Hostile, capped, challenge, cut, late, listing, rows_without_end, same_again,
                          scram_without_proof, without)
from retriever import Home

EX_UNAVAILABLE, EX_TEMPFAIL, EX_PROTOCOL, EX_NOPERM = 69, 75, 76, 77
MEMORY = 96 << 20
SANITIZED = b"__asan_init" in open(restante.BINARY, "rb").read()
SECRETS = (b"secret", base64.b64encode(b"\0alice\0secret"), base64.b64encode(b"secret"))


def body(number, size=40):
    return b"Subject: %d\r\n\r\n.dot\r\n" % number + b"x" * size + b"\r\n"


def messages(count):
    return [(b"m%d" % number, body(number)) for number in range(1, count + 1)]


def stored(*numbers):
    return sorted(body(number).replace(b"\r\n", b"\n") for number in numbers)


class Person(Home):
    """Runs fetch and sees each time what must hold whatever the server does."""

    def take(self, server, *arguments, tls="never", timeout="10s"):
        command = [restante.BINARY, "fetch", "--host", "127.0.0.1", "--port", server.port, "--user", "alice",
                   "--tls", tls, "--password-file", self.password, "--maildir", self.maildir,
                   "--timeout", timeout, "-v", *arguments]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")} | {"HOME": str(self.folder)}
        process = subprocess.Popen([str(word) for word in command], env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        peak = [0]
        watcher = threading.Thread(target=self._watch, args=(process, peak))
        watcher.start()
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            watcher.join()
        result = SimpleNamespace(returncode=process.returncode, out=out, err=err, peak=peak[0])
        self._judge(result, server, tls)
        return result

    @staticmethod
    def _watch(process, peak):
        while process.returncode is None:
            try:
                with open(f"/proc/{process.pid}/status", "rb") as status:
                    peak[0] = max(peak[0], *(int(kib) << 10 for kib in re.findall(rb"VmHWM:\s+(\d+)", status.read())),
                                  0)
            except OSError:
                return
            time.sleep(0.005)

    @staticmethod
    def _judge(result, server, tls):
        assert result.returncode in (0, EX_UNAVAILABLE, EX_TEMPFAIL, EX_PROTOCOL, EX_NOPERM), result.err
        assert not restante.REPORT.search(result.err.decode(errors="replace")), result.err
        assert not re.search(rb"[^\n\t -\x7e]", re.sub(rb"[\xc2-\xf4][\x80-\xbf]+", b"", result.out + result.err))
        assert not any(secret in result.err for secret in SECRETS)
        if result.returncode != 0:
            assert result.err.strip(), "it fails without a word"
        if not SANITIZED:
            assert result.peak < MEMORY, result.peak
        if tls != "never":
            assert not any(secret in line for line in server.clear for secret in SECRETS)


@pytest.fixture
def person(tmp_path):
    return Person(tmp_path)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue("localhost", names="IP:127.0.0.1,DNS:localhost")


ODD_LISTINGS = {
    "sizes": {b"LIST": listing([b"1 0", b"2 4294967296", b"3 18446744073709551615"])},
    "more than STAT": {b"STAT": b"+OK 1 10\r\n"},
    "fewer than STAT": {b"STAT": b"+OK 7 100000\r\n"},
    "no CAPA": without(b"CAPA"),
    "no UIDL": without(b"UIDL"),
    "no TOP": without(b"TOP"),
    "only what 1939 must": without(b"CAPA") | without(b"UIDL") | without(b"TOP"),
}


@pytest.mark.parametrize("name", ODD_LISTINGS)
@pytest.mark.sanitized
def test_odd_listings_bring_each_message_once(person, name):
    with Hostile(messages(3), ODD_LISTINGS[name]) as server:
        for _ in range(2):
            result = person.take(server, "--keep")
            assert result.returncode == 0, result.err
            assert person.mail() == stored(1, 2, 3)
        assert person.take(server).returncode == 0
        assert not server.messages and person.mail() == stored(1, 2, 3)


ODD_IDS = {
    "longer than 70": [b"i" * 71, b"i" * 400, b"i" * 401],
    "with spaces": [b"a b", b"a  b", b"a b "],
    "of control octets": [b"\x1b[2J", b"\x01", b"\x7f\x07"],
    "of 8 bits": [b"\xff\xfe", b"\xe9", "é".encode()],
    "all the same": [b"same"] * 3,
    "that are paths": [b"../../../etc/passwd", b"/", b".."],
}


@pytest.mark.parametrize("name", ODD_IDS)
@pytest.mark.sanitized
def test_odd_ids_bring_each_message_once(person, name):
    with Hostile([(unique, body(number)) for number, unique in enumerate(ODD_IDS[name], 1)]) as server:
        for _ in range(2):
            result = person.take(server, "--keep")
            assert result.returncode == 0, result.err
            assert person.mail() == stored(1, 2, 3)
        assert person.take(server).returncode == 0
        assert not server.messages and person.mail() == stored(1, 2, 3)


def test_empty_ids_lose_and_double_nothing(person):
    with Hostile([(b"", body(number)) for number in (1, 2, 3)]) as server:
        for _ in range(2):
            result = person.take(server)
            if result.returncode != 0:
                assert len(server.messages) == 3
        kept = [octets.replace(b"\r\n", b"\n") for _, octets in server.messages.values()]
        assert sorted(set(person.mail()) | set(kept)) == stored(1, 2, 3)
        assert len(person.mail()) == len(set(person.mail()))


def test_numbers_that_change_between_sessions(person):
    with Hostile(messages(4)) as server:
        assert person.take(server, "--keep").returncode == 0
        turned = list(server.messages.values())[::-1] + [(b"m9", body(9))]
        server.messages = dict(enumerate(turned, 1))
        assert person.take(server, "--keep=newest:2").returncode == 0
        assert person.mail() == stored(1, 2, 3, 4, 9)
        assert len(server.messages) == 2


def test_a_listing_that_shows_the_newest_only(person):
    with Hostile(messages(6)) as server:
        everything = dict(server.messages)
        assert person.take(server, "--keep").returncode == 0
        server.messages = dict(enumerate(list(everything.values())[-2:], 1))
        assert person.take(server, "--keep").returncode == 0
        server.messages = everything
        assert person.take(server, "--keep").returncode == 0
        assert person.mail() == stored(1, 2, 3, 4, 5, 6)
        assert server.count(b"RETR") + server.count(b"TOP") <= 6 + 4 * 2


@pytest.mark.parametrize("size", [40, 41])
def test_an_id_that_names_another_message_later(person, size):
    with Hostile(messages(1)) as server:
        assert person.take(server).returncode == 0
        server.messages = {1: (b"m1", body(2, size))}
        assert person.take(server).returncode == 0
        assert len(person.mail()) == 2 and not server.messages


@pytest.mark.parametrize("octets", [0, 3, 5, 6, 20, 50, 58, -5, -4, -3, -2, -1])
@pytest.mark.sanitized
def test_cut_in_a_message(person, octets):
    whole = len(Hostile.stuffed(body(2)))
    with Hostile(messages(3), cut(2, octets % whole)) as server:
        result = person.take(server)
        assert result.returncode == EX_TEMPFAIL, result.err
        assert stored(2)[0] not in person.mail() and len(person.mail()) == len(set(person.mail()))
        assert (b"m2", body(2)) in server.messages.values()
        server.answers.clear()
        assert person.take(server).returncode == 0
        assert person.mail() == stored(1, 2, 3) and not server.messages


@pytest.mark.parametrize("end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r"])
@pytest.mark.sanitized
def test_only_crlf_dot_crlf_ends_a_message(person, end):
    octets = b"Subject: smuggled\r\n\r\nbefore" + end + b"+OK\r\nSubject: none\r\n\r\nafter\r\n"
    with Hostile([(b"a", octets)]) as server:
        assert person.take(server, "--keep").returncode == 0
    assert len(person.mail()) == 1 and b"before" in person.mail()[0] and b"after" in person.mail()[0]


@pytest.mark.parametrize("command", [b"CAPA", b"PASS", b"STAT", b"LIST", b"UIDL", b"RETR", b"DELE", b"QUIT"])
def test_an_answer_that_is_too_late(person, command):
    answers = {command: lambda server, *_: late(server, 30, None)}
    with Hostile(messages(2), answers) as server:
        began = time.monotonic()
        result = person.take(server, timeout="500ms")
        assert result.returncode == EX_TEMPFAIL, result.err
        assert time.monotonic() - began < 20
        server.closing.set()
    with Hostile(messages(2)) as server:
        assert person.take(server).returncode == 0
        assert person.mail() == stored(1, 2) and not server.messages


@pytest.mark.parametrize("done", [False, True])
def test_it_hangs_up_at_quit(person, done):
    def quit_(server, *_):
        if done:
            server._quit(b"")
    with Hostile(messages(3), {b"QUIT": quit_}) as server:
        result = person.take(server)
        assert result.returncode == EX_TEMPFAIL, result.err
        server.answers.clear()
        assert person.take(server).returncode == 0
        assert person.mail() == stored(1, 2, 3) and not server.messages
        assert server.count(b"RETR") == 3


def test_quit_that_could_not_delete_is_not_success(person):
    with Hostile(messages(2), {b"QUIT": b"-ERR some deleted messages not removed\r\n"}) as server:
        result = person.take(server)
        assert result.returncode != 0 and len(person.mail()) == 2
        server.answers.clear()
        assert person.take(server).returncode == 0 and not server.messages
        assert person.mail() == stored(1, 2)


def test_one_message_is_refused(person):
    with Hostile(messages(3), {b"RETR 2": b"-ERR no such message \x1b[31m\r\n"}) as server:
        result = person.take(server)
        assert result.returncode != 0, result.err
        assert person.mail() == stored(1, 3)
        assert [unique for unique, _ in server.messages.values()] == [b"m2"]


@pytest.mark.parametrize("answer", [b"-ERR [SYS/TEMP] that is all for today\r\n", b"-ERR too many downloads\r\n", None])
def test_three_messages_a_session(person, answer):
    with Hostile(messages(8), capped(3, answer)) as server:
        for _ in range(4):
            result = person.take(server)
            assert len(person.mail()) == len(set(person.mail()))
            assert sorted(person.mail() + [octets.replace(b"\r\n", b"\n") for _, octets in server.messages.values()
                                           if octets.replace(b"\r\n", b"\n") not in person.mail()]) == stored(*range(1, 9))
            if result.returncode == 0:
                break
        assert result.returncode == 0 and person.mail() == stored(*range(1, 9)) and not server.messages


@pytest.mark.sanitized
def test_only_the_first_command_of_a_segment_is_heard(person):
    with Hostile(messages(5), forgetful=True) as server:
        for _ in range(3):
            result = person.take(server, timeout="1s")
            if result.returncode == 0:
                break
        assert result.returncode == 0, result.err
        assert person.mail() == stored(*range(1, 6)) and not server.messages
        sessions = server.sessions
        server.messages = {1: (b"m7", body(7))}
        assert person.take(server, timeout="1s").returncode == 0
        assert server.sessions <= sessions + 2  # it is remembered
        assert person.mail() == stored(1, 2, 3, 4, 5, 7)


REFUSALS = {b"[IN-USE] locked": EX_TEMPFAIL, b"[LOGIN-DELAY] wait": EX_TEMPFAIL, b"[SYS/TEMP] later": EX_TEMPFAIL,
            b"[SYS/PERM] never": EX_UNAVAILABLE, b"[AUTH] no": EX_NOPERM, b"no": EX_NOPERM}


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refused_login(person, text):
    with Hostile(messages(1), {b"PASS": b"-ERR " + text + b"\r\n"}) as server:
        result = person.take(server)
        assert result.returncode == REFUSALS[text], result.err
        assert server.count(b"PASS") == 1 and len(server.messages) == 1


INJECTED = {"a reply": b"+OK injected\r\n", "half a line": b"+", "a space": b" ", "an end": b".\r\n"}


@pytest.mark.parametrize("name", INJECTED)
@pytest.mark.sanitized
def test_octets_behind_the_reply_to_stls(person, authority, certificate, name):
    answers = {b"STLS": b"+OK\r\n" + INJECTED[name]}
    with Hostile(messages(1), answers, certificate, capabilities=(b"STLS", b"USER", b"UIDL")) as server:
        result = person.take(server, "--ca-file", authority.certificate, tls="stls")
        assert result.returncode in (EX_UNAVAILABLE, EX_PROTOCOL), result.err
        assert not any(server.count(word) for word in (b"USER", b"PASS", b"AUTH", b"APOP"))


@pytest.mark.parametrize("answers", [without(b"STLS"), without(b"CAPA") | without(b"STLS"), {b"STLS": None},
                                     {b"STLS": b"+OK\r\n"}], ids=["refused", "no CAPA", "closed", "then no TLS"])
def test_stls_is_the_persons_word(person, authority, answers):
    with Hostile(messages(1), answers) as server:
        result = person.take(server, "--ca-file", authority.certificate, tls="stls", timeout="2s")
        assert result.returncode != 0
        assert not any(server.count(word) for word in (b"USER", b"PASS", b"AUTH", b"APOP"))


@pytest.mark.parametrize("implicit", [True, False])
def test_mail_comes_over_tls(person, authority, certificate, implicit):
    """What the tests above refuse works where the server is honest."""
    with Hostile(messages(2), None, certificate, implicit, capabilities=(b"STLS", b"USER", b"UIDL")) as server:
        result = person.take(server, "--ca-file", authority.certificate, tls="implicit" if implicit else "stls")
        assert result.returncode == 0, result.err
        assert person.mail() == stored(1, 2) and not server.messages


@pytest.mark.parametrize("answer", [b"+OK\r\n", b"-ERR not today\r\n"], ids=["accepted", "refused"])
@pytest.mark.parametrize("secured", [True, False], ids=["STLS", "in the clear"])
def test_utf8_is_said_where_it_is_announced(person, authority, certificate, answer, secured):
    """RFC 6856 section 2.1: after STLS, before the login, once."""
    capabilities = (b"STLS", b"USER", b"UIDL", b"UTF8")
    with Hostile(messages(2), {b"UTF8": answer}, certificate, capabilities=capabilities) as server:
        trust = ["--ca-file", authority.certificate] if secured else []
        result = person.take(server, "-v", *trust, tls="stls" if secured else "never")
        assert result.returncode == 0, result.err
        assert b"UTF8" not in (server.clear if secured else [])
        words = [line.split(b" ")[0] for line in server.commands]
        order = [b"CAPA", b"STLS", b"CAPA"] if secured else [b"CAPA"]
        assert words[:len(order) + 3] == [*order, b"UTF8", b"USER", b"PASS"]
        assert server.count(b"UTF8") == server.count(b"PASS") and not server.messages
        assert (b"refuses it: not today" in result.err) == answer.startswith(b"-")


BEYOND = "jos\u00e9", "p\u00e4ss"


@pytest.mark.parametrize("auth", ["USER", "APOP", "PLAIN"])
@pytest.mark.parametrize("announced", [b"UTF8 USER", b"UTF8"])
def test_letters_beyond_ascii_need_utf8_user(person, announced, auth):
    """RFC 6856 section 2.2; and they go out prepared. AUTH is SASL's matter: it has always had UTF-8."""
    def taken(server, *_):
        return b"+OK\r\n"

    answers = {"greeting": b"+OK <1.2@hostile>\r\n", b"UTF8": b"+OK\r\n", b"APOP": taken, b"AUTH": taken}
    capabilities = (b"USER", b"UIDL", announced, b"SASL PLAIN")
    with Hostile(messages(1), answers, capabilities=capabilities) as server:
        decomposed = [unicodedata.normalize("NFD", text) for text in BEYOND]
        person.password.write_text(decomposed[1])
        result = person.take(server, "--user", decomposed[0], "--auth", auth)
        sent = b"\n".join(server.commands)
        if auth == "PLAIN" or announced == b"UTF8 USER":
            assert result.returncode == 0, result.err
            name, password = (text.encode() for text in BEYOND)
            digest = hashlib.md5(b"<1.2@hostile>" + password).hexdigest().encode()
            assert {"USER": b"USER " + name + b"\nPASS " + password, "APOP": b"APOP " + name + b" " + digest,
                    "PLAIN": base64.b64encode(b"\0" + name + b"\0" + password)}[auth] in sent
        else:
            assert result.returncode == EX_UNAVAILABLE and b"auth = PLAIN" in result.err, result.err
            assert not any(server.count(word) for word in (b"USER", b"PASS", b"APOP", b"AUTH"))


LONG = b"x" * 65536
FLOODS = {
    "greeting": {"greeting": Flood(b"+OK ", same_again(LONG))},
    "greetings": {"greeting": Flood(b"", same_again(b"+OK hello\r\n" * 5000))},
    "capabilities": {b"CAPA": Flood(b"+OK\r\n", same_again(b"X-MORE\r\n" * 8000))},
    "one capability": {b"CAPA": Flood(b"+OK\r\nX", same_again(LONG))},
    "list": {b"STAT": b"+OK 100000000 1\r\n", b"LIST": Flood(b"+OK\r\n", rows_without_end(b"%d 1\r\n"))},
    "ids": {b"STAT": b"+OK 100000000 1\r\n", b"UIDL": Flood(b"+OK\r\n", rows_without_end(b"%d a\r\n"))},
    "one id": {b"UIDL": Flood(b"+OK\r\n1 ", same_again(LONG))},
    "an error": {b"PASS": Flood(b"-ERR ", same_again(LONG))},
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_in_bounded_memory(person, name):
    # The iterators are made once for a process: each name is one test.
    with Hostile(messages(1), FLOODS[name]) as server:
        result = person.take(server)
        assert result.returncode != 0
        assert server.flooded < 512 << 20 and len(server.messages) == 1
        assert not person.maildir.exists() or not person.mail()


def test_a_message_without_end_ends_at_the_size_limit(person):
    endless = Flood(b"+OK\r\nSubject: more\r\n\r\n", same_again(b"more and more\r\n" * 4000))
    with Hostile(messages(3), {b"RETR 2": lambda *_: endless}) as server:
        result = person.take(server, "--max-size", "1M")
        assert result.returncode == EX_UNAVAILABLE, result.err
        assert server.flooded < 64 << 20 and b"max-size" in result.err
        assert person.mail() == stored(1, 3)
        assert list(server.messages.values()) == [(b"m2", body(2))]


ESCAPES = b"\x1b]0;evil\x07\x9b31m\rover\x00\x08"
TALKERS = {
    "greeting": {"greeting": b"-ERR " + ESCAPES + b"\r\n"},
    "login": {b"PASS": b"-ERR " + ESCAPES + b"\r\n"},
    "capability": {b"CAPA": b"+OK\r\n" + ESCAPES + b"\r\nUIDL\r\n.\r\n"},
    "RETR": {b"RETR 1": b"-ERR " + ESCAPES + b"\r\n"},
    "DELE": {b"DELE": b"-ERR " + ESCAPES + b"\r\n"},
    "QUIT": {b"QUIT": b"-ERR " + ESCAPES + b"\r\n"},
}


@pytest.mark.parametrize("name", TALKERS)
@pytest.mark.parametrize("how", [(), ("--json",)], ids=["text", "json"])
def test_escapes_do_not_reach_the_terminal(person, name, how):
    with Hostile(messages(1), TALKERS[name]) as server:
        result = person.take(server, *how)
        assert (result.returncode == 0) == (name == "capability"), result.err
        assert b"evil" in result.err + result.out  # it is shown, only not raw


@pytest.mark.sanitized
def test_a_server_that_does_not_know_the_password(person, authority, certificate):
    with Hostile(messages(1), scram_without_proof(), certificate, True,
                 capabilities=(b"SASL SCRAM-SHA-256", b"UIDL")) as server:
        result = person.take(server, "--auth", "SCRAM-SHA-256", "--ca-file", authority.certificate, tls="implicit")
        assert result.returncode in (EX_UNAVAILABLE, EX_NOPERM, EX_PROTOCOL), result.err
        assert not server.count(b"STAT") and not server.count(b"RETR") and len(server.messages) == 1


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "SCRAM-SHA-256", "PLAIN", "LOGIN"])
@pytest.mark.sanitized
def test_a_challenge_of_16000_octets(person, mechanism):
    answers = challenge(base64.b64encode(b"r=" + b"c" * 11998), b"-ERR no\r\n")
    with Hostile(messages(1), answers, capabilities=(b"SASL " + mechanism.encode(), b"UIDL")) as server:
        result = person.take(server, "--auth", mechanism)
        assert result.returncode in (EX_UNAVAILABLE, EX_NOPERM, EX_PROTOCOL), result.err
        assert len(server.messages) == 1

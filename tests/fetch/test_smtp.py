# SPDX-License-Identifier: MIT
"""restante fetch --smtp: into a server of a script, and into a real Postfix."""

import pathlib
import re
import shutil
import tempfile

import pytest

import maildir
import restante
from authority import Authority
from letters import LETTERS
from postfix_server import Postfix, need_postfix
from retriever import Home
from scripted import Scripted
from smtp_server import SmtpServer

OCTETS = b"Subject: %d\r\nFrom: f\r\n\r\nFrom here\r\n.dot\r\n"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue("127.0.0.1", names="IP:127.0.0.1,DNS:localhost")


def messages(count, octets=OCTETS):
    return [(b"m%d" % number, octets % number) for number in range(1, count + 1)]


def fetch(home, pop3, smtp, *arguments):
    return home.fetch(pop3.port, "--rcpt", "alice@example.org", *arguments, target=("--smtp", smtp.url))


def login(home, user="alice"):
    return ("--smtp-user", user, "--smtp-password-file", home.password)


@pytest.mark.sanitized
def test_each_message_goes_on_and_is_deleted(home):
    with SmtpServer() as smtp, Scripted(messages(3)) as pop3:
        result = fetch(home, pop3, smtp)
        assert result.returncode == 0, result.stderr
        assert not pop3.messages and smtp.mail == [OCTETS % number for number in (1, 2, 3)]
        assert smtp.sessions == 1 and smtp.commands.count(b"RCPT TO:<alice@example.org>\r\n") == 3
        assert b"MAIL FROM:<>\r\n" in smtp.commands
        name = smtp.commands[0].split()[1]
        assert name == b"[127.0.0.1]" or b"." in name


def test_the_sender_that_is_given(home):
    with SmtpServer() as smtp, Scripted(messages(1)) as pop3:
        assert fetch(home, pop3, smtp, "--smtp-from", "me@example.org").returncode == 0
        assert b"MAIL FROM:<me@example.org>\r\n" in smtp.commands


@pytest.mark.sanitized
@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("mechanisms", ["PLAIN LOGIN", "LOGIN", "SCRAM-SHA-256 PLAIN"])
def test_tls_and_login(home, authority, certificate, implicit, mechanisms):
    """A server with SCRAM that has no keys for the user is asked with PLAIN."""
    with SmtpServer(certificate=certificate, implicit=implicit, users={"alice": "secret"},
                    mechanisms=mechanisms) as smtp, Scripted(messages(2)) as pop3:
        result = fetch(home, pop3, smtp, "--smtp-tls", "--smtp-ca-file", authority.certificate, *login(home))
        assert result.returncode == 0, result.stderr
        assert len(smtp.mail) == 2 and smtp.secured == [True, True]
        assert smtp.logins == [("LOGIN" if mechanisms == "LOGIN" else "PLAIN", "alice", True)]


def test_a_password_of_a_command(home):
    with SmtpServer(users={"alice": "s3 cret"}) as smtp, Scripted(messages(1)) as pop3:
        result = fetch(home, pop3, smtp, "--smtp-user", "alice", "--smtp-password-command", "echo 's3 cret'")
        assert result.returncode == 0, result.stderr
        assert smtp.logins == [("PLAIN", "alice", False)]  # to this machine
        pop3.messages.update(dict(enumerate(messages(2), 1)))
        result = fetch(home, pop3, smtp, "--smtp-user", "alice", "--smtp-password-command", "echo x; exit 1")
        assert result.returncode == 78 and b"the command that prints it failed" in result.stderr


@pytest.mark.sanitized
def test_a_login_that_is_refused_ends_the_run(home):
    with SmtpServer(users={"alice": "other"}) as smtp, Scripted(messages(3)) as pop3:
        result = fetch(home, pop3, smtp, *login(home))
        assert result.returncode == 77 and b"the login as alice" in result.stderr, result.stderr
        assert len(smtp.logins) == 1 and set(pop3.messages) == {1, 2, 3}


def test_no_password_without_tls(home, authority, certificate):
    with Scripted(messages(1)) as pop3:
        for smtp, words in ((SmtpServer(users={"alice": "secret"}), b"does not offer STARTTLS"),
                            (SmtpServer(certificate=certificate, users={"alice": "secret"},
                                        starttls=b"454 4.7.0 not now\r\n"), b"does not start TLS")):
            with smtp:
                result = fetch(home, pop3, smtp, "--smtp-tls", "--smtp-ca-file", authority.certificate, *login(home))
                assert result.returncode in (69, 75) and words in result.stderr, result.stderr
                assert smtp.logins == [] and not any(line.startswith(b"MAIL") for line in smtp.commands)
        assert set(pop3.messages) == {1}


def test_somebody_between(home, authority, certificate):
    """Octets behind the reply to STARTTLS are no answer of the server's."""
    with SmtpServer(certificate=certificate, starttls=b"220 go\r\n250 AUTH PLAIN\r\n") as smtp, \
            Scripted(messages(1)) as pop3:
        result = fetch(home, pop3, smtp, "--smtp-tls", "--smtp-ca-file", authority.certificate)
        assert result.returncode == 69 and b"speaks before TLS does" in result.stderr, result.stderr
        assert set(pop3.messages) == {1}


def test_a_certificate_of_nobody(home, certificate):
    with SmtpServer(certificate=certificate) as smtp, Scripted(messages(1)) as pop3:
        result = fetch(home, pop3, smtp, "--smtp-tls")
        assert result.returncode == 69 and smtp.mail == [], result.stderr
        result = fetch(home, pop3, smtp, "--smtp-tls", "--smtp-fingerprint", "00" * 32)
        assert result.returncode == 69 and smtp.mail == [], result.stderr


@pytest.mark.parametrize("answers,status,outcome", [
    ({"rcpt": b"550 5.1.1 nobody\r\n"}, 69, "refused"),
    ({"rcpt": b"450 4.2.0 later\r\n"}, 75, "deferred"),
    ({"mail": b"452 4.3.1 full\r\n"}, 75, "deferred"),
    ({"end": b"554 5.6.0 \x1b[2J ugly\r\n"}, 69, "refused"),
    ({"end": b"451 4.3.0 later\r\n"}, 75, "deferred"),
])
def test_what_is_refused_stays_there(home, answers, status, outcome):
    with SmtpServer(**answers) as smtp, Scripted(messages(2)) as pop3:
        result = fetch(home, pop3, smtp, "--json")
        assert result.returncode == status, result.stderr
        assert {event["outcome"] for event in home.events(result) if event["event"] == "message"} == {outcome}
        assert set(pop3.messages) == {1, 2} and smtp.mail == [] and b"\x1b" not in result.stderr


def test_a_server_that_is_dead_or_dies(home):
    with Scripted(messages(2)) as pop3:
        smtp = SmtpServer()
        smtp.close()
        assert fetch(home, pop3, smtp).returncode == 75
        with SmtpServer(end=None) as smtp:
            assert fetch(home, pop3, smtp).returncode == 75
        with SmtpServer(greeting=b"554 go away\r\n") as smtp:
            assert fetch(home, pop3, smtp).returncode == 75
        assert set(pop3.messages) == {1, 2}
        with SmtpServer() as smtp:
            assert fetch(home, pop3, smtp).returncode == 0
            assert not pop3.messages and len(smtp.mail) == 2


def test_eight_bits_where_there_are_seven(home):
    letters = [(b"a", b"S: x\r\n\r\nh\xc3\xa9\r\n"), (b"b", b"S: y\r\n\r\nh\r\n")]
    with SmtpServer(extensions=()) as smtp, Scripted(letters) as pop3:
        result = fetch(home, pop3, smtp)
        assert result.returncode == 69 and b"it has no 8BITMIME" in result.stderr, result.stderr
        assert smtp.mail == [b"S: y\r\n\r\nh\r\n"] and set(pop3.messages) == {1}


@pytest.mark.sanitized
def test_a_message_that_goes_round(home):
    circle = b"".join(b"RECEIVED: by h%d\r\n\t; d\r\n" % n for n in range(101)) + b"Subject: %d\r\n\r\nReceived: x\r\n"
    long_way = b"Received: by h\r\n" * 100 + b"Subject: %d\r\n\r\n" + b"Received: x\r\n" * 10
    with SmtpServer() as smtp, Scripted([(b"a", circle % 1), (b"b", long_way % 2)]) as pop3:
        result = fetch(home, pop3, smtp)
        assert result.returncode == 69 and b"goes round in a circle" in result.stderr, result.stderr
        assert smtp.mail == [long_way % 2] and set(pop3.messages) == {1}


@pytest.mark.parametrize("lines,words", [
    ("smtp = mail.example.org\nrcpt = a@b", b"write smtp://HOST, smtps://HOST"),
    ("smtp = smtp://u:p@mail.example.org\nrcpt = a@b", b"write smtp://HOST, smtps://HOST"),
    ("smtp = smtps://[::1\nrcpt = a@b", b"write smtp://HOST, smtps://HOST"),
    ("smtp = smtps://h:0\nrcpt = a@b", b"write smtp://HOST, smtps://HOST"),
    ("smtp = smtps://h", b"write rcpt = ADDRESS too"),
    ("smtp = smtps://h\nrcpt = a@b\nmaildir = x", b"mail can go to one place"),
    ("smtp = smtps://h\nrcpt = a@b\nsmtp-user = u", b"write smtp-password-command or smtp-password-file"),
    ("smtp = smtps://h\nrcpt = a@b\nsmtp-password-file = u", b"write smtp-user = NAME too"),
    ("smtp = smtps://h\nrcpt = a@b\nsmtp-user = u\nsmtp-password-file = u\nsmtp-password-command = x",
     b"a password has one source"),
    ("smtp = smtps://h\nrcpt = a@b\nsmtp-tls = no", b"smtps:// is TLS"),
    ("smtp = smtp://h\nrcpt = a@b\nsmtp-tls = no\nsmtp-user = u\nsmtp-password-file = u", b"crosses no network"),
    ("maildir = x\nsmtp-user = u", b"write smtp = URL too"),
])
def test_mistakes(home, lines, words):
    path = home.folder / "fetch.conf"
    path.write_text(f"[work]\nhost = pop.example.org\nuser = alice\n{lines}\n")
    result = home.run("-c", path)
    assert result.returncode == 78 and words in result.stderr and b"fetch.conf:" in result.stderr, result.stderr


@pytest.fixture
def postfix(authority):
    need_postfix()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="restante-postfix-"))
    folder.chmod(0o755)
    certificate, key = authority.issue("127.0.0.1", names="IP:127.0.0.1")
    mail = folder / "mail"
    mail.mkdir()
    shutil.chown(mail, 8, 8)
    server = Postfix(folder, f"""
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = example.org
virtual_mailbox_base = {mail}
virtual_mailbox_maps = inline:{{ {{ alice@example.org = alice/ }} }}
virtual_uid_maps = static:8
virtual_gid_maps = static:8
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
""")
    server.start()
    yield server
    print(server.log())
    server.stop()
    shutil.rmtree(folder)


def test_into_postfix(home, postfix, authority):
    letters = [maildir.on_the_wire(octets) for octets in LETTERS.values()]
    drop = postfix.folder / "mail/alice/new"
    with Scripted([(b"l%d" % number, octets) for number, octets in enumerate(letters)]) as pop3:
        target = ("--smtp", f"smtp://127.0.0.1:{postfix.port}")
        result = home.fetch(pop3.port, "--rcpt", "alice@example.org", "--smtp-tls", "--smtp-ca-file",
                            authority.certificate, target=target)
        assert result.returncode == 0, result.stderr.decode() + postfix.log()
        assert not pop3.messages
        restante.wait_until(lambda: drop.exists() and len(list(drop.iterdir())) == len(letters),
                            "all letters delivered:\n" + postfix.log())
    added = re.compile(rb"((Return-Path|X-Original-To|Delivered-To|Received): [^\n]*\n([ \t][^\n]*\n)*){4}")
    come = sorted(added.sub(b"", path.read_bytes(), count=1) for path in drop.iterdir())
    assert come == sorted((text if text.endswith(b"\n") else text + b"\n") for text in LETTERS.values())
    with Scripted(messages(1)) as pop3:
        result = home.fetch(pop3.port, "--rcpt", "nobody@example.org", target=target)
        assert result.returncode == 69 and b"5.1.1" in result.stderr and set(pop3.messages) == {1}, result.stderr

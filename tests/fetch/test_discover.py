# SPDX-License-Identifier: MIT
"""`restante fetch --discover`: SRV records (RFC 6186), autoconfig documents, usual names, and what hostile ones say."""

import configparser
import subprocess

import pytest

import restante
from authority import Authority
from internet import Internet
from retriever import Home

pytestmark = pytest.mark.skipif(not restante.IS_ROOT, reason="needs root: makes a network of its own")

GREETS = "+OK ready"
DOCUMENT = "/.well-known/autoconfig/mail/config-v1.1.xml"


def document(server):
    return f"""<?xml version="1.0"?>
<clientConfig version="1.1"><emailProvider id="example.org"><domain>example.org</domain>
<incomingServer type="imap"><hostname>imap.example.org</hostname><port>993</port><socketType>SSL</socketType>
<username>%EMAILADDRESS%</username><authentication>password-cleartext</authentication></incomingServer>
<incomingServer type="pop3">{server}</incomingServer>
</emailProvider></clientConfig>"""


def pop3(host="pop.example.org", port=995, socket_type="SSL", user="%EMAILLOCALPART%", more=""):
    return (f"<hostname>{host}</hostname><port>{port}</port><socketType>{socket_type}</socketType>\n"
            f"<username>{user}</username><authentication>password-cleartext</authentication>{more}")


class Desk:
    def __init__(self, folder):
        self.home = Home(folder)
        self.authority = Authority(folder)
        self.folder = folder
        self.internet = None

    def live(self, **plan):
        self.internet = Internet(self.folder, self.authority, **plan)

    def run(self, address, *arguments, ca=True):
        trust = ("--ca-file", self.authority.certificate) if ca else ()
        result = subprocess.run(
            [*self.internet.inside, *self.home.command("--discover", address, "-v", *trust, *arguments)],
            env=self.home.environment(), capture_output=True, text=True, timeout=120, check=False)
        assert not restante.REPORT.search(result.stderr), result.stderr
        return result

    def finds(self, address="alice@example.org", **arguments):
        """The section; it is one that restante fetch takes."""
        result = self.run(address, **arguments)
        assert result.returncode == 0, result.stderr
        file = configparser.RawConfigParser()
        file.read_string(result.stdout)
        section, = file.sections()
        assert section == address.rpartition("@")[2]
        return dict(file[section]), result


@pytest.fixture
def desk(tmp_path):
    one = Desk(tmp_path)
    yield one
    if one.internet:
        one.internet.close()


@pytest.mark.sanitized
def test_srv_records(desk):
    """Lower priorities first, those that do not answer are passed over; implicit TLS before STLS."""
    desk.live(hosts={"a.example.org": {"pop3s": GREETS}, "b.example.org": {"pop3s": GREETS},
                     "bad.example.org": {"pop3s": GREETS, "certificate": "other.example.org"}},
              records={"_pop3s._tcp.example.org": [[20, 0, 995, "a.example.org"], [10, 0, 995, "b.example.org"],
                                                   [5, 0, 995, "none.example.org"], [6, 1, 995, "bad.example.org"]],
                       "_pop3._tcp.example.org": [[0, 0, 110, "a.example.org"]]})
    section, result = desk.finds()
    assert section == {"host": "b.example.org", "port": "995", "tls": "implicit", "user": "alice@example.org",
                       "ca-file": str(desk.authority.certificate)}
    assert "SRV record _pop3s._tcp.example.org" in result.stdout and "nothing proves" not in result.stdout
    assert "none.example.org:995" in result.stderr and "bad.example.org:995" in result.stderr
    assert "certificate" in result.stderr
    assert not any(line.startswith("https") for line in desk.internet.asked())


def test_weights_divide_what_has_one_priority(desk):
    light = [f"light-{number}.example.org" for number in range(7)]
    heavy = [1, 65535, 995, "heavy.example.org"]
    desk.live(hosts={name: {"pop3s": GREETS} for name in [*light, heavy[3]]},
              records={"_pop3s._tcp.example.org": [*([1, 0, 995, name] for name in light[:4]), heavy,
                                                   *([1, 0, 995, name] for name in light[4:])]})
    assert {desk.finds()[0]["host"] for _ in range(3)} == {heavy[3]}


def test_srv_with_stls_in_another_domain(desk):
    """Which only DNS vouches for: the person is told (RFC 6186 section 6)."""
    desk.live(hosts={"pop.provider.net": {"pop3": GREETS}},
              records={"_pop3._tcp.example.org": [[0, 0, 110, "pop.provider.net"]]})
    section, result = desk.finds()
    assert (section["host"], section["port"], section["tls"]) == ("pop.provider.net", "110", "stls")
    assert "pop.provider.net is not within example.org, and nothing proves" in result.stdout


def test_a_domain_without_pop3(desk):
    """A target of "." is no, and nothing else is asked; one of two is no for that service only."""
    desk.live(hosts={"pop.example.org": {"pop3s": GREETS, "pop3": GREETS}},
              records={"_pop3s._tcp.example.org": [[0, 0, 0, "."]], "_pop3._tcp.example.org": [[0, 0, 0, "."]],
                       "_pop3s._tcp.half.example.org": [[0, 0, 0, "."]],
                       "_pop3._tcp.half.example.org": [[0, 0, 110, "pop.example.org"]]})
    result = desk.run("alice@example.org")
    assert result.returncode == 69 and "says that it has no POP3" in result.stderr and result.stdout == ""
    assert not any("pop.example.org" in line for line in desk.internet.asked())
    assert desk.finds("alice@half.example.org")[0]["tls"] == "stls"


@pytest.mark.sanitized
def test_the_document_of_the_domain(desk):
    desk.live(hosts={"example.org": {"https": {DOCUMENT: [200, document(pop3())]}}, "pop.example.org": {"pop3s": GREETS}})
    section, result = desk.finds("alice+x@example.org")
    assert (section["host"], section["user"]) == ("pop.example.org", "alice+x")
    assert f"# From https://example.org{DOCUMENT}" in result.stdout
    assert f"https example.org {DOCUMENT}?emailaddress=alice%2Bx%40example.org" in desk.internet.asked()


def test_mozillas_database_is_told_the_domain_only(desk):
    desk.live(hosts={"autoconfig.thunderbird.net": {"https": {"/v1.1/example.org": [200, document(
                  pop3("pop.provider.net", 110, "STARTTLS", "%EMAILADDRESS%"))]}},
                     "pop.provider.net": {"pop3": GREETS}})
    section, result = desk.finds()
    assert (section["host"], section["tls"], section["user"]) == ("pop.provider.net", "stls", "alice@example.org")
    web = [line for line in desk.internet.asked() if line.startswith("https")]
    assert web == ["https autoconfig.thunderbird.net /v1.1/example.org"] and "is not within" in result.stdout


@pytest.mark.parametrize("host,port", [("pop.example.org", "995"), ("mail.example.org", "995"),
                                       ("pop3.example.org", "110")])
def test_usual_names(desk, host, port):
    """A web server without a document does not hide them."""
    desk.live(hosts={host: {"pop3s" if port == "995" else "pop3": GREETS}, "autoconfig.example.org": {"https": {}}})
    section, result = desk.finds()
    assert (section["host"], section["port"]) == (host, port) and "a usual name" in result.stdout
    assert "config-v1.1.xml: status 404" in result.stderr


def test_names_beyond_ascii(desk):
    desk.live(hosts={"pop.xn--bcher-kva.example": {"pop3s": GREETS}})
    result = desk.run("anna@B\u00fccher.example")
    assert result.returncode == 0, result.stderr
    assert "host = pop.xn--bcher-kva.example\n" in result.stdout and "user = anna@B\u00fccher.example\n" in result.stdout


def test_nothing_is_taken_without_a_good_certificate(desk):
    desk.live(hosts={"example.org": {"https": {DOCUMENT: [200, document(pop3())]}}, "pop.example.org": {"pop3s": GREETS}})
    result = desk.run("alice@example.org", ca=False)
    assert result.returncode == 75 and result.stdout == "" and "no POP3 server of example.org" in result.stderr


def test_servers_that_are_none(desk):
    desk.live(hosts={"pop.example.org": {"pop3s": "-ERR not today", "pop3": GREETS, "stls": "-ERR no"},
                     "mail.example.org": {"pop3s": "x" * 100000, "pop3": "220 mail.example.org ESMTP\x1b[2J"}})
    result = desk.run("alice@example.org")
    assert result.returncode == 75 and "-ERR not today" in result.stderr and "\x1b" not in result.stderr


BOMB = ('<?xml version="1.0"?><!DOCTYPE c [<!ENTITY a "aaaaaaaaaa">' +
        "".join(f'<!ENTITY {new} "{"&" + old + ";" * 1}{("&" + old + ";") * 9}">' for old, new in zip("abcdefgh", "bcdefghi"))
        + ']>' + document(pop3("&i;.example.org")).partition("?>")[2])


@pytest.mark.sanitized
@pytest.mark.parametrize("status,body,words", [
    (200, BOMB, "the document has a DTD"),
    (200, '<!DOCTYPE c SYSTEM "file:///etc/passwd">' + document(pop3()).partition("?>")[2], "the document has a DTD"),
    (200, document(pop3())[:-30], "no such document"),
    (200, "<html><body>Not found</body></html>", "no such document"),
    (200, "\x00\x01\x02", "no such document"),
    (200, "", "no such document"),
    (200, "<clientConfig>" + "<a>" * 1000 + "</a>" * 1000 + "</clientConfig>", "nested too deeply"),
    (200, document(pop3("x" * 2000 + ".example.org")), "too long"),
    (200, "<clientConfig>@@@</clientConfig>", "example.org/.well-known"),
    (302, "http://evil.example.org/c.xml", "example.org/.well-known"),
    (200, document(pop3(port=0)), "names no POP3 server"),
    (200, document(pop3(port="995\nuser = x")), "names no POP3 server"),
    (200, document(pop3("-evil.example.org")), "names no POP3 server"),
    (200, document(pop3("pop.example.org\n[x]")), "names no POP3 server"),
    (200, document(pop3(user="a\npassword-command = touch /tmp/x")), "names no POP3 server"),
    (200, document(pop3(socket_type="plain")), "names no POP3 server"),
    (200, document(pop3().replace("<hostname>", "<name>").replace("</hostname>", "</name>")), "names no POP3 server"),
], ids=lambda value: value[:20] if isinstance(value, str) else None)
def test_hostile_documents(desk, status, body, words):
    desk.live(hosts={"example.org": {"https": {DOCUMENT: [status, body]}}})
    result = desk.run("alice@example.org")
    assert result.returncode == 75 and result.stdout == "" and words in result.stderr, result.stderr


@pytest.mark.sanitized
@pytest.mark.parametrize("word,words", [("junk", "no answer"), ("loop", "makes no sense"),
                                        ("blank", "names no host"), ("failure", "no answer"), ("silent", "no answer")])
def test_hostile_answers_of_dns(desk, word, words):
    desk.live(hosts={"pop.example.org": {"pop3s": GREETS}}, records={"_pop3s._tcp.example.org": word})
    section, result = desk.finds()
    assert section["host"] == "pop.example.org" and words in result.stderr, result.stderr


def test_more_records_than_anybody_needs(desk):
    desk.live(hosts={"pop.example.org": {"pop3s": GREETS}}, records={"_pop3s._tcp.example.org": "many"})
    section, result = desk.finds()
    assert section["host"] == "pop.example.org" and result.stderr.count("(the SRV record") == 8


@pytest.mark.parametrize("address", ["", "alice", "@example.org", "alice@", "alice@localhost", "alice@exa mple.org",
                                     "a\nb@example.org", "alice@-x.org", "alice@" + "x." * 200 + "org"])
def test_what_is_no_address(desk, address):
    desk.internet = None
    result = desk.home.run("--discover", address)
    assert result.returncode == 64 and result.stderr != b""

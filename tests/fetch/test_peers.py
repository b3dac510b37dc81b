# SPDX-License-Identifier: MIT
"""restante fetch against Debian's own POP3 servers."""

import pytest

import peers
from letters import LETTERS, letter
from retriever import Home

MESSAGES = [
    LETTERS["plain"], LETTERS["dots"], LETTERS["from"], LETTERS["8-bit"], LETTERS["empty"], LETTERS["spaces"],
    LETTERS["folded"],
    letter("CR LF", b"one\n.two\n\nthree\n").replace(b"\n", b"\r\n"),
    letter("very long lines", b"x" * 70000 + b"\n." + b"y" * 9000 + b"\n"),
    letter("no final newline", b".\nthe end"),
    letter("last line is a dot", b"x\n."),
    letter("blank end", b"x\n\n\n"),
    letter("2 MB", (b"." + b"0123456789" * 7 + b"\n") * 29000),
]


def content(messages):
    """As they are told apart here: without regard to how lines end, and whether the last one does."""
    lines = (message.replace(b"\r\n", b"\n") for message in messages)
    return sorted(text if text.endswith(b"\n") else text + b"\n" for text in lines)


def kept(peer):
    return content(map(peer.as_kept, MESSAGES))


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture(scope="module")
def dovecot():
    server = peers.Dovecot()
    yield server
    server.close()


@pytest.fixture(scope="module")
def popa3d():
    server = peers.Popa3d()
    yield server
    server.close()


@pytest.fixture(scope="module")
def courier():
    server = peers.Courier()
    yield server
    server.close()


@pytest.fixture(params=["dovecot", "popa3d", "courier"])
def peer(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def filled(peer):
    peer.put("alice", MESSAGES)
    return peer


def test_all_mail_comes_down_and_is_deleted_there(filled, home):
    result = home.fetch(filled.port)
    assert result.returncode == 0, result.stderr
    assert content(home.mail()) == kept(filled)
    assert filled.holds("alice") == []


def test_what_is_kept_comes_down_once(filled, home):
    before = filled.holds("alice")
    for _ in range(2):
        result = home.fetch(filled.port, "--keep")
        assert result.returncode == 0, result.stderr
        assert content(home.mail()) == kept(filled)
    assert content(filled.holds("alice")) == content(before) == kept(filled)


def unquoted(mbox):
    """The messages of an mboxrd."""
    messages = []
    for line in mbox.read_bytes().splitlines(keepends=True):
        if line.startswith(b"From "):
            messages.append([])
        else:
            messages[-1].append(line[1:] if line.lstrip(b">").startswith(b"From ") else line)
    return [b"".join(lines).removesuffix(b"\n") for lines in messages]


def test_into_an_mbox(filled, home):
    """Over TLS where the peer has it."""
    mbox = home.folder / "mbox"
    secure = hasattr(filled, "authority")
    result = home.fetch(filled.port, *(("--ca-file", filled.authority) if secure else ()),
                        tls="stls" if secure else "never", target=("--mbox", mbox))
    assert result.returncode == 0, result.stderr
    assert content(unquoted(mbox)) == kept(filled)
    assert filled.holds("alice") == []


@pytest.fixture
def tls_peer(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("tls", ["implicit", "stls"])
def test_over_tls(dovecot, home, tls):
    dovecot.put("alice", MESSAGES)
    port = dovecot.tls_port if tls == "implicit" else dovecot.port
    untrusted = home.fetch(port, tls=tls)
    assert untrusted.returncode == 69 and home.mail() == []
    result = home.fetch(port, "--ca-file", dovecot.authority, tls=tls)
    assert result.returncode == 0, result.stderr
    assert content(home.mail()) == content(MESSAGES)
    assert dovecot.holds("alice") == []


@pytest.mark.parametrize("tls_peer,auth,name", [
    ("dovecot", "auto", "SCRAM-SHA-256"), *(("dovecot", name, name) for name in peers.Dovecot.mechanisms),
    ("courier", "auto", "PLAIN"), *(("courier", name, name) for name in peers.Courier.mechanisms)
], indirect=["tls_peer"])
def test_each_mechanism(tls_peer, home, auth, name):
    """APOP within TLS from the first octet: what the greeting said is forgotten when TLS begins."""
    tls_peer.put("alice", MESSAGES[:2])
    arguments = ("--auth", auth, "--ca-file", tls_peer.authority, "-v", "--dry-run")
    port, tls = (tls_peer.tls_port, "implicit") if auth == "APOP" else (tls_peer.port, "stls")
    if tls_peer.name == "Dovecot" or auth == "auto":  # Courier takes five seconds to say no
        home.set_password("wrong")
        assert home.fetch(port, *arguments, tls=tls).returncode == 77
        home.set_password("secret")
    result = home.fetch(port, *arguments, tls=tls)
    assert result.returncode == 0, result.stderr
    assert b"logged in by " + name.encode() + b" " in result.stderr
    assert result.stdout.count(b"would be fetched") == 2


def test_on_into_an_lmtp_server(dovecot, home):
    dovecot.put("alice", MESSAGES)
    dovecot.put("bob@example.com", [])
    result = home.fetch(dovecot.port, target=("--lmtp", f"127.0.0.1:{dovecot.lmtp_port}", "--rcpt", "bob@example.com"))
    assert result.returncode == 0, result.stderr
    # The server puts trace fields in front.
    delivered = [message[message.index(b"From: Sender"):] for message in dovecot.holds("bob@example.com")]
    assert content(delivered) == content(MESSAGES)
    assert dovecot.holds("alice") == []

# SPDX-License-Identifier: MIT
"""restante fetch --imap into a server that takes the tokens of a provider of OAuth 2.0."""

import json
import re

import pytest

import provider
import restante
from authority import Authority
from letters import letter
from retriever import Home
from scripted import Scripted
from scripted_imap import ScriptedImap

USER = "bob@example.org"
LETTERS = [re.sub(rb"\r?\n", b"\r\n", letter(f"number {number}", b"body\n")) for number in range(3)]


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def issues():
    with provider.Provider() as made:
        yield made


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue("localhost", names="DNS:localhost,IP:127.0.0.1")


@pytest.fixture
def pop3():
    with Scripted([(b"id-%d" % number, octets) for number, octets in enumerate(LETTERS)]) as server:
        yield server


def server_of(certificate, capabilities=b"AUTH=OAUTHBEARER AUTH=XOAUTH2 SASL-IR", answers=None):
    return ScriptedImap(answers, b"LITERAL+ " + capabilities, certificate=certificate)


def configure(home, issues, authority, pop3_port, imap_port, **more):
    secret = home.folder / "client-secret"
    secret.write_text(provider.SECRET + "\n")
    secret.chmod(0o600)
    options = {"imap": f"imaps://{USER}@localhost:{imap_port}/INBOX", "imap-oauth": "custom",
               "imap-ca-file": authority.certificate, "oauth-client-id": provider.CLIENT,
               "oauth-client-secret-file": secret, "oauth-scope": "mail", "oauth-token-url": f"{issues.base}/token",
               "oauth-authorize-url": f"{issues.base}/authorize", "maildir": None}
    options = home.section(pop3_port, "work", **options | {key.replace("_", "-"): value for key, value in more.items()})
    home.configure({"work": {key: value for key, value in options.items() if value is not None}})


def url_of(process):
    for line in process.stderr:
        if line.startswith(b"http"):
            return line.decode().strip()
    raise AssertionError(process.wait(60))


def authorize(home, issues):
    process = home.start("--authorize", "work")
    assert issues.browse(issues.visit(url_of(process))) == 200
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    issues.padding += 1  # so that the next token is another one, within the same second too


def tokens(home):
    path, = (home.folder / ".local/state/restante/tokens").glob("*.json")
    return path, json.loads(path.read_text())


def kinds(issues):
    return [form["grant_type"] for form in issues.forms]


def taken(server):
    return sorted(re.sub(rb"\AX-Restante-Id: .*\r\n", b"", octets) for _, _, octets in server.folder)


def is_untouched(pop3):
    return not any(line.startswith(b"DELE") for line in pop3.commands)


@pytest.mark.sanitized
@pytest.mark.parametrize("capabilities, auth", [
    (b"AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER SASL-IR", "auto"), (b"AUTH=OAUTHBEARER", "auto"),
    (b"AUTH=PLAIN AUTH=XOAUTH2", "auto"), (b"AUTH=OAUTHBEARER AUTH=XOAUTH2 SASL-IR", "xoauth2")])
def test_from_nothing_to_mail(home, issues, authority, certificate, pop3, capabilities, auth):
    issues.padding = 5650  # a token of 8 KiB
    with server_of(certificate, capabilities) as server:
        configure(home, issues, authority, pop3.port, server.port, imap_auth=auth)
        result = home.run("work")
        assert result.returncode == 78 and b"restante fetch --authorize work" in result.stderr, result.stderr
        assert is_untouched(pop3) and server.folder == []
        authorize(home, issues)
        result = home.run("-v", "work")
        assert result.returncode == 0, result.stderr
        assert taken(server) == sorted(LETTERS) and not is_untouched(pop3)
    token = tokens(home)[1]["access_token"].encode()
    assert len(token) > 8000 and token not in result.stderr and token[:40] not in result.stderr
    of_old = b"user=%s\x01auth=Bearer %s\x01\x01" % (USER.encode(), token)
    of_standard = b"n,a=%s,\x01host=localhost\x01port=%d\x01auth=Bearer %s\x01\x01" % (USER.encode(), server.port, token)
    assert server.logins == [of_standard if b"OAUTHBEARER" in capabilities and auth == "auto" else of_old]
    assert kinds(issues) == ["authorization_code"] and server.sessions == 2


@pytest.mark.sanitized
def test_a_signal_ends_the_waiting_for_a_token(home, issues, authority, certificate, pop3):
    """Half a minute is the provider's time to answer; nobody waits for it who wants an end."""
    with server_of(certificate) as server:
        configure(home, issues, authority, pop3.port, server.port)
        authorize(home, issues)
        path, kept = tokens(home)
        path.write_text(json.dumps(kept | {"expires": 1, "obtained": 0}))
        issues.fault = "hang"
        process = home.start("work")
        restante.wait_until(lambda: len(issues.forms) == 2, "the question")
        process.terminate()
        _, said = process.communicate(timeout=20)
        assert process.returncode == 75 and b"interrupted" in said, said
        assert is_untouched(pop3) and server.folder == [] and not restante.REPORT.search(said.decode())
        issues.fault = None
        result = home.run("work")
        assert result.returncode == 0 and taken(server) == sorted(LETTERS), result.stderr


@pytest.mark.sanitized
@pytest.mark.parametrize("mechanism", ["oauthbearer", "xoauth2"])
def test_a_token_that_is_refused(home, issues, authority, certificate, pop3, mechanism):
    """Another one is asked for, though it has not expired; the second refusal is said."""
    with server_of(certificate) as server:
        configure(home, issues, authority, pop3.port, server.port, imap_auth=mechanism)
        authorize(home, issues)
        first = tokens(home)[1]["access_token"]
        server.takes = lambda token: token != first
        result = home.run("work")
        assert result.returncode == 0, result.stderr
        assert taken(server) == sorted(LETTERS)
        assert kinds(issues) == ["authorization_code", "refresh_token"] and len(server.logins) == 2
        server.takes = lambda token: False
        pop3.messages[9] = (b"id-9", LETTERS[0])
        result = home.run("work")
        assert result.returncode == 77, result.stderr
        assert b"not a fresh one either" in result.stderr and b"--authorize work" in result.stderr
        assert b"401" in result.stderr and b"not this one" in result.stderr
        assert len(issues.forms) == 3 and len(server.logins) == 4 and len(server.folder) == 3
    assert tokens(home)[1]["access_token"].encode() not in result.stderr


def test_what_may_pass_costs_no_token(home, issues, authority, certificate, pop3):
    with server_of(certificate, answers={"AUTHENTICATE": b" NO [UNAVAILABLE] later\r\n"}) as server:
        configure(home, issues, authority, pop3.port, server.port)
        authorize(home, issues)
        result = home.run("work")
    assert result.returncode == 75 and b"[UNAVAILABLE] later" in result.stderr, result.stderr
    assert kinds(issues) == ["authorization_code"] and server.sessions == 1 and is_untouched(pop3)


def test_what_has_expired_is_not_sent(home, issues, authority, certificate, pop3):
    with server_of(certificate) as server:
        configure(home, issues, authority, pop3.port, server.port)
        authorize(home, issues)
        path, kept = tokens(home)
        path.write_text(json.dumps(kept | {"expires": 1, "obtained": 0}))
        server.takes = lambda token: token != kept["access_token"]
        result = home.run("work")
    assert result.returncode == 0, result.stderr
    assert len(server.logins) == 1 and taken(server) == sorted(LETTERS)


def test_a_server_that_takes_no_tokens(home, issues, authority, certificate, pop3):
    with server_of(certificate, b"AUTH=PLAIN SASL-IR") as server:
        configure(home, issues, authority, pop3.port, server.port)
        authorize(home, issues)
        result = home.run("work")
    assert result.returncode == 69 and b"takes no tokens (its mechanisms: PLAIN)" in result.stderr, result.stderr
    assert not {b"LOGIN", b"AUTHENTICATE"} & {verb for verb, _ in server.commands} and is_untouched(pop3)


def test_each_provider_has_its_client(home, issues, authority):
    """POP3 by one provider, IMAP by another: both are authorized, and nothing of one is told to the other."""
    configure(home, issues, authority, 995, 993, tls="implicit", password_file=None, oauth="custom",
              oauth_issuer=issues.base, imap_oauth="google", imap_oauth_client_id="google-client")
    process = home.start("--authorize", "work")
    try:
        assert issues.browse(issues.visit(url_of(process))) == 200
        url = url_of(process)
    finally:
        process.terminate()
        process.communicate(timeout=60)
    place, _, query = url.partition("?")
    assert place == "https://accounts.google.com/o/oauth2/v2/auth"
    asked = provider.pieces(query)
    assert (asked["client_id"], asked["scope"]) == ("google-client", "https://mail.google.com/")
    assert kinds(issues) == ["authorization_code"] and issues.forms[0]["code"] not in url


@pytest.mark.parametrize("wrong, option, words", [
    ({"imap": "imap://u@h/INBOX", "imap_clear": "yes", "imap_ca_file": None}, "imap-clear", "TLS only"),
    ({"imap_auth": "plain"}, "imap-auth", "write auto, oauthbearer or xoauth2"),
    ({"imap_password_command": "echo x"}, "imap-oauth", "the IMAP password has one source"),
    ({"oauth_client_id": None}, "imap-oauth", "write oauth-client-id"),
    ({"oauth": "google", "tls": "implicit", "password_file": None}, "imap-oauth", "imap-auth = xoauth2"),
    ({"oauth": "google", "tls": "implicit", "password_file": None, "imap_oauth": "microsoft"}, "imap-oauth",
     "write imap-oauth-client-id = ID too"),
    ({"imap_oauth_client_id": "x", "oauth_flow": "client"}, "imap-oauth-client-id", "imap-oauth-client-secret-file"),
    ({"imap_oauth": None, "imap_password_command": "echo x", "imap_oauth_scope": "s"}, "imap-oauth-scope",
     "write imap-oauth = PROVIDER"),
    ({"imap_oauth": "nobody"}, "imap-oauth", "google, microsoft, yahoo, aol or custom")])
def test_mistakes(home, issues, authority, wrong, option, words):
    configure(home, issues, authority, 995, 993, **wrong)
    result = home.run("work")
    assert result.returncode == 78, (result.returncode, result.stderr)
    said = result.stderr.decode()
    line = int(re.search(r"fetch\.conf:(\d+): ", said)[1])
    lines = (home.folder / ".config/restante/fetch.conf").read_text().splitlines()
    assert words in said and lines[line - 1].startswith(option + " = "), said

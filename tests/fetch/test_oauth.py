# SPDX-License-Identifier: MIT
"""OAuth 2.0 at a provider, and mail from a server of ours that takes its tokens only."""

import json
import os
import re
import signal
import stat
import subprocess
import threading
import time

import pytest
from cryptography.hazmat.primitives import serialization

import authority
import issuer
import maildir
import provider
import restante
from retriever import Home

SERVICE_KEY = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
LETTER = b"From: a@example.org\nSubject: x\n\nbody\n"


@pytest.fixture
def issues():
    with provider.Provider() as made:
        yield made


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


class Client:
    """A person's home with an account at the provider."""

    def __init__(self, home, issues, port=1, ca_file=None):
        self.home, self.provider = home, issues
        self.secret = home.folder / "client-secret"
        self.secret.write_text(provider.SECRET + "\n")
        self.secret.chmod(0o600)
        self.options = {"host": "127.0.0.1", "port": port, "user": "alice", "oauth": "custom",
                        "oauth-client-id": provider.CLIENT, "oauth-client-secret-file": self.secret,
                        "oauth-scope": "mail", "oauth-authorize-url": f"{issues.base}/authorize",
                        "oauth-token-url": f"{issues.base}/token", "oauth-device-url": f"{issues.base}/device",
                        "maildir": home.maildir, "keep": "yes"} | ({"ca-file": ca_file} if ca_file else {})
        self.configure()

    def configure(self, **more):
        self.options |= {key.replace("_", "-"): value for key, value in more.items()}
        self.home.configure({"work": {key: value for key, value in self.options.items() if value is not None}})

    def kept(self):
        """The file of the tokens."""
        files = list((self.home.folder / ".local/state/restante/tokens").glob("*.json"))
        return files[0] if files else None

    def keep(self):
        """As if the person had authorized us."""
        process = self.start()
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said

    def start(self):
        """Authorizes by code, as a person with a browser does."""
        process = self.home.start("--authorize", "work")
        url = self.wait_for_url(process)
        assert self.provider.browse(self.provider.visit(url)) == 200
        return process

    @staticmethod
    def wait_for_url(process):
        for line in process.stderr:
            if line.startswith(b"http"):
                return line.decode().strip()
        raise AssertionError(process.wait(60))

    def token(self, **options):
        result = subprocess.run([restante.BINARY, "token", "work"], env=self.home.environment(), capture_output=True,
                                timeout=60, **options)
        assert not restante.REPORT.search(result.stderr.decode(errors="replace")), result.stderr
        return result

    def expire(self):
        """What is kept has expired."""
        kept = json.loads(self.kept().read_text())
        self.kept().write_text(json.dumps(kept | {"expires": int(time.time()) - 1, "obtained": int(time.time()) - 3600}))
        return kept

    def assert_secrets_stay(self, *outputs):
        kept = self.kept().read_text() if self.kept() else ""
        hidden = re.findall(r'"(?:access|refresh)_token":"([^"]+)"', kept) + [provider.SECRET]
        hidden += [value for form in self.provider.forms for key, value in form.items()
                   if key in ("refresh_token", "code", "code_verifier", "device_code", "assertion")]
        for output in outputs:
            for secret in hidden:
                assert secret.encode() not in output and secret.encode()[:20] not in output, secret


@pytest.fixture
def client(home, issues):
    return Client(home, issues)


@pytest.fixture
def serve(world, home, issues):
    """A server that takes the provider's tokens, and a client of both."""
    world.authority = authority.Authority(world.folder)
    certificate, key = world.authority.issue("localhost", names="IP:127.0.0.1")
    world.own(key)
    (world.folder / "keys").mkdir()  # what changes beside the accounts file makes the processes of sources begin anew
    keys = world.folder / "keys/keys.json"
    issuer.write_keys(keys, issues.key)
    world.put(LETTER)
    world.configure(pop3={"listen-tls": "127.0.0.1:0"}, tls={"certificate": certificate, "key": key},
                    oauth={"jwks-file": keys, "issuer": issuer.NAME, "audience": issuer.AUDIENCE},
                    limits={"failure-delay": "10ms", "failure-delay-max": "10ms", "failures-per-address": 0})
    server = world.start()
    return server, Client(home, issues, server.tls_address[1], world.authority.certificate)


@pytest.mark.sanitized
def test_from_nothing_to_mail(serve, home, issues):
    server, client = serve
    issues.padding = 5650  # a token of 8 KiB
    result = home.run("work")
    assert result.returncode == 78 and b"restante fetch --authorize work" in result.stderr, result.stderr
    process = client.start()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    mode = stat.S_IMODE(client.kept().stat().st_mode), stat.S_IMODE(client.kept().parent.stat().st_mode)
    assert mode == (0o600, 0o700)
    assert len(json.loads(client.kept().read_text())["access_token"]) > 8000
    first = home.run("-v", "work")
    assert first.returncode == 0, first.stderr
    assert list(maildir.files(home.maildir).values()) == [LETTER]
    server.wait_log(r"session user=alice address=\S+ method=OAUTHBEARER .*end=quit")
    assert home.run("work").returncode == 0
    assert [form["grant_type"] for form in issues.forms] == ["authorization_code"]  # and nothing was refreshed
    client.expire()
    assert home.run("work").returncode == 0
    assert [form["grant_type"] for form in issues.forms] == ["authorization_code", "refresh_token"]
    client.assert_secrets_stay(said, first.stderr, first.stdout)


def test_a_token_that_the_server_refuses(serve, home, issues):
    """It is refreshed once, though it has not expired; the second refusal is said."""
    server, client = serve
    issues.spoilt = True
    client.keep()
    result = home.run("-v", "work")
    assert result.returncode == 0 and b"another one is asked for" in result.stderr, result.stderr
    assert [form["grant_type"] for form in issues.forms] == ["authorization_code", "refresh_token"]
    issuer.write_keys(server.world.folder / "keys/keys.json", issuer.Key("other"))
    result = home.run("work")
    assert result.returncode == 77 and b"with a fresh token too" in result.stderr, result.stderr
    assert b"--authorize work" in result.stderr
    assert len(issues.forms) == 3
    client.assert_secrets_stay(result.stderr)


@pytest.mark.sanitized
def test_the_redirection(client, issues):
    """Browsers that ask for something else, or bring another's state, change nothing."""
    process = client.home.start("--authorize", "work")
    url = client.wait_for_url(process)
    right = issues.visit(url)
    base = right.partition("?")[0]
    assert base.startswith("http://127.0.0.1:")
    assert issues.browse(base + "favicon.ico") == 404
    assert issues.browse(issues.visit(url, state="x" * 43)) == 404
    assert issues.browse(issues.visit(url, state="")) == 404
    assert issues.browse(base + "?code=x") == 404
    assert process.poll() is None and issues.forms == []
    assert issues.browse(right) == 200
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0 and b"is authorized now" in said
    assert issues.forms[0]["redirect_uri"] == base and len(issues.forms[0]["code_verifier"]) == 43
    client.assert_secrets_stay(said)


@pytest.mark.parametrize("answer, text", [({"error": "access_denied\33[31m"}, b"access_denied\\x1b[31m"),
                                          ({"iss": "https://evil.example"}, b"another provider's")])
def test_a_redirection_that_refuses(client, issues, answer, text):
    client.configure(oauth_issuer="https://id.example")
    process = client.home.start("--authorize", "work")
    url = client.wait_for_url(process)
    assert issues.browse(issues.visit(url, **answer)) == 200
    _, said = process.communicate(timeout=60)
    assert process.returncode == 77 and text in said, said
    assert issues.forms == [] and client.kept() is None


@pytest.mark.parametrize("what", ["address", "code"])
def test_no_browser_here(client, issues, what):
    """The address of the page that could not be reached is pasted, or the code alone."""
    process = subprocess.Popen(client.home.command("--authorize", "work"), env=client.home.environment(),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    address = issues.visit(client.wait_for_url(process))
    text = address if what == "address" else provider.pieces(address.partition("?")[2])["code"]
    _, said = process.communicate(f"  {text} \r\n".encode(), timeout=60)
    assert process.returncode == 0, said
    assert client.kept()
    client.assert_secrets_stay(said)


@pytest.mark.sanitized
def test_a_device(client, issues):
    client.configure(oauth_flow="device")
    issues.device_answers = ["authorization_pending", "slow_down"]
    began = time.monotonic()
    result = client.home.run("--authorize", "work")
    assert result.returncode == 0, result.stderr
    assert b"WDJB-MJHT" in result.stderr and f"{issues.base}/type".encode() in result.stderr
    assert time.monotonic() - began >= 1 + 1 + 6  # slow_down adds five seconds
    assert len(issues.forms) == 3
    client.assert_secrets_stay(result.stderr)
    for answer, status in (("expired_token", 75), ("access_denied", 77)):
        issues.device_answers = [answer]
        result = client.home.run("--authorize", "work")
        assert result.returncode == status, result.stderr


def test_client_credentials(client, issues):
    client.configure(oauth_flow="client")
    tokens = {client.token().stdout for _ in range(2)}
    assert len(tokens) == 1 and len(issues.forms) == 1
    assert issues.forms[0]["grant_type"] == "client_credentials" and issues.forms[0]["scope"] == "mail"


@pytest.mark.sanitized
def test_a_service_account(client, issues):
    issues.service_key = issuer.Key("service", "RS256").private
    text = issues.service_key.private_bytes(*SERVICE_KEY).decode()
    path = client.home.folder / "service.json"
    path.write_text(json.dumps({"type": "service_account", "client_email": "robot@example.org", "private_key": text,
                                "private_key_id": "k1", "token_uri": f"{issues.base}/token"}))
    client.configure(oauth_flow="service", oauth_service_account=path, oauth_client_id=None, oauth_token_url=None,
                     oauth_client_secret_file=None)
    path.chmod(0o644)
    result = client.token()
    assert result.returncode == 78 and b"chmod 600" in result.stderr
    path.chmod(0o600)
    result = client.token()
    assert result.returncode == 0 and result.stdout.count(b".") == 2, result.stderr
    assert (issues.assertion["iss"], issues.assertion["sub"], issues.assertion["scope"]) == (
        "robot@example.org", "alice", "mail")
    path.write_text('{"private_key": "x"}')
    client.expire()
    result = client.token()
    assert result.returncode == 78 and b"no key of a service account" in result.stderr


@pytest.mark.sanitized
def test_many_at_once_make_one_refresh(client, issues):
    client.keep()
    client.expire()
    issues.rotates, issues.delay_s = True, 0.5
    processes = [subprocess.Popen([restante.BINARY, "token", "work"], env=client.home.environment(),
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(6)]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert {process.returncode for process in processes} == {0}, outputs
    assert len({token for token, _ in outputs}) == 1
    assert [form["grant_type"] for form in issues.forms].count("refresh_token") == 1
    client.expire()  # the one that rotated is what is kept
    assert client.token().returncode == 0


@pytest.mark.sanitized
def test_a_kill_between_answer_and_store(client, issues):
    """The provider has given new tokens, and nobody keeps them: the old one is tried again, and if it is worthless that is
    said, with the reason."""
    client.keep()
    client.expire()
    asked = threading.Event()
    issues.delay_s, issues.on_refresh = 1, asked.set
    for rotates in (False, True):
        asked.clear()
        issues.rotates = rotates
        process = subprocess.Popen([restante.BINARY, "token", "work"], env=client.home.environment(),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert asked.wait(20)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        if not rotates:
            result = client.token()
            assert result.returncode == 0, result.stderr
            client.expire()
    restante.wait_until(lambda: len(issues.refresh_tokens) == 1 and json.loads(client.kept().read_text())["refresh_token"]
                        not in issues.refresh_tokens, "the provider's answer")
    result = client.token()
    assert result.returncode == 77 and b"cut off" in result.stderr and b"--authorize work" in result.stderr
    assert b"\33" not in result.stderr
    client.assert_secrets_stay(result.stderr)
    client.keep()
    assert client.token().returncode == 0


def test_faults(client, issues):
    """What was kept stays, and works again when the provider does."""
    client.keep()
    for fault, status in (((500, b""), 75), ((503, b"{}"), 75), ((429, b"slow"), 75), ("cut", 75), ("junk", 76),
                          ("huge", 75), ((200, b"{}"), 76), ((404, b"<html>"), 76),
                          ((400, b'{"error":"invalid_grant"}'), 77), ((401, b'{"error":"invalid_client"}'), 78),
                          ((200, b'{"access_token":"a b"}'), 76),
                          ((200, b'{"access_token":"a","token_type":"mac"}'), 76)):
        before = client.expire()
        issues.fault = fault
        result = client.token()
        assert result.returncode == status and result.stdout == b"", (fault, result.stderr)
        assert (b"--authorize work" in result.stderr) == (status == 77)
        client.assert_secrets_stay(result.stderr)
        assert json.loads(client.kept().read_text())["refresh_token"] == before["refresh_token"]
    issues.fault = None
    assert client.token().returncode == 0


@pytest.mark.sanitized
def test_a_provider_under_its_own_authority(home, tmp_path):
    (tmp_path / "other").mkdir()
    trusted, other = authority.Authority(tmp_path), authority.Authority(tmp_path / "other")
    certificate = trusted.issue("localhost")
    with provider.Provider(certificate=certificate) as issues:
        client = Client(home, issues)
        client.configure(oauth_flow="client")
        result = client.token()
        assert result.returncode == 69 and b"certificate" in result.stderr and issues.forms == [], result.stderr
        client.configure(oauth_ca_file=other.certificate)
        assert client.token().returncode == 69 and issues.forms == []
        client.configure(oauth_ca_file=trusted.certificate)
        result = client.token()
        assert result.returncode == 0 and result.stdout.count(b".") == 2, result.stderr
        empty = tmp_path / "empty.pem"
        empty.write_text("none\n")
        client.configure(oauth_ca_file=empty)
        client.expire()
        result = client.token()
        assert result.returncode == 78 and f"{empty}: no certificates can be read".encode() in result.stderr, result.stderr


def test_a_signal_ends_the_waiting(serve, home, issues):
    _, client = serve
    client.keep()
    client.expire()
    asked = threading.Event()
    issues.on_refresh, issues.delay_s = asked.set, 30
    process = home.start("work")
    assert asked.wait(20)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 75 and b"interrupted" in said, said
    assert not restante.REPORT.search(said.decode())


def test_a_store_that_cannot_be_used(client, issues):
    client.keep()
    client.kept().chmod(0o644)
    result = client.token()
    assert result.returncode == 78 and b"chmod 600" in result.stderr, result.stderr
    client.kept().chmod(0o600)
    client.kept().write_text("{}")
    result = client.token()
    assert result.returncode == 65 and b"authorize again" in result.stderr, result.stderr
    client.keep()
    assert client.token().returncode == 0


def test_the_keyring(client, issues):
    """secret-tool's own manner: a label, attributes, the secret through pipes."""
    tool = client.home.folder / "bin/secret-tool"
    tool.parent.mkdir()
    ring = client.home.folder / "ring"
    tool.write_text(f"""#!/bin/sh
echo "$*" >>{ring}.arguments
case $1 in
store) cat >{ring} ;;
lookup) [ -f {ring} ] && cat {ring} ;;
esac
""")
    tool.chmod(0o755)
    client.configure(oauth_keyring="yes")
    path = f"{tool.parent}:{os.environ['PATH']}"
    environment = client.home.environment
    client.home.environment = lambda **more: environment(**({"PATH": path} | more))
    process = client.start()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert client.kept() is None
    token = client.token()
    assert token.returncode == 0, token.stderr
    kept = json.loads(ring.read_text())
    assert kept["access_token"] == token.stdout.decode().strip()
    arguments = (ring.parent / "ring.arguments").read_text()
    assert "service restante-oauth grant alice-" in arguments
    assert kept["access_token"] not in arguments and kept["refresh_token"] not in arguments


@pytest.mark.parametrize("options, text", [
    ({"oauth": "nobody"}, b"write google, microsoft, yahoo, aol or custom"),
    ({"oauth": "google", "oauth-client-id": None}, b"write oauth-client-id"),
    ({"oauth": "google", "oauth-flow": "device", "oauth-device-url": None}, b"no device flow"),
    ({"oauth-token-url": "http://id.example.org/token"}, b"under TLS, or to this machine"),
    ({"oauth-token-url": None}, b"write oauth-token-url"),
    ({"oauth-authorize-url": None}, b"write oauth-authorize-url"),
    ({"oauth-scope": None}, b"write oauth-scope"),
    ({"oauth-flow": "service"}, b"write oauth-service-account"),
    ({"oauth-flow": "sideways"}, b"write code, device, client or service"),
    ({"oauth-tenant": "../x"}, b"oauth-tenant is"),
    ({"auth": "PLAIN"}, b"write auto, oauthbearer or xoauth2"),
    ({"tls": "never"}, b"under TLS only"),
    ({"password-command": "echo"}, b"a password has one source"),
    ({"oauth-ca-file": "/nowhere/ca.pem"}, b"the file of oauth-ca-file cannot be read; write the path"),
    ({"oauth": None, "oauth-ca-file": "/dev/null"}, b"oauth-ca-file is for asking a provider for tokens; write oauth"),
])
def test_mistakes_in_the_configuration(client, options, text):
    client.options |= {"oauth": "custom"} | options
    client.configure()
    result = client.home.run("work")
    assert result.returncode == 78 and text in result.stderr and b"fetch.conf:" in result.stderr, result.stderr


def test_presets(client):
    """Nothing else is needed than the provider, the client and the user."""
    for name, host in (("google", "pop.gmail.com"), ("microsoft", "outlook.office365.com")):
        client.home.configure({"work": {"user": "me@example.org", "oauth": name, "oauth-client-id": "x"}})
        process = client.home.start("--authorize", "work")
        url = client.wait_for_url(process)
        process.terminate()
        process.communicate(timeout=60)
        assert url.startswith({"google": "https://accounts.google.com/", "microsoft":
                               "https://login.microsoftonline.com/common/oauth2/v2.0/authorize?"}[name])
        question = provider.pieces(url.partition("?")[2])
        assert question["login_hint"] == "me@example.org" and question["client_id"] == "x"
        assert ("access_type" in question) == (name == "google")
        assert "POP.AccessAsUser.All" in question["scope"] or question["scope"] == "https://mail.google.com/"
        result = client.home.run("work")
        assert result.returncode == 78 and b"nobody has authorized this account yet" in result.stderr, host

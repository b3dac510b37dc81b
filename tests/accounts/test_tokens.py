# SPDX-License-Identifier: MIT
"""Access tokens: OAUTHBEARER (RFC 7628) and XOAUTH2, with JWTs and a file of keys, and with introspection (RFC 7662)."""

import base64
import json
import time

import pytest

import authority
import clients
import issuer
import maildir
import pop3
import restante
import retriever

LETTER = b"From: a@example.org\nSubject: x\n\nbody\n"
READY = b"+OK Mailbox locked and ready"
REFUSED = b"-ERR [AUTH] Invalid credentials"
DISCOVERY = "https://id.example.org/.well-known/openid-configuration"


def message(token, user="alice", mechanism="OAUTHBEARER", more=""):
    if mechanism == "XOAUTH2":
        return f"user={user}\1auth=Bearer {token}\1\1".encode()
    return f"n,{'a=' + user if user else ''},\1{more}auth=Bearer {token}\1\1".encode()


def say(client, octets, mechanism="OAUTHBEARER"):
    """The reply, or, if the token is refused, what the challenge says; then the exchange waits."""
    client.send(b"AUTH " + mechanism.encode() + b"\r\n")
    assert client.line() == b"+ "
    client.send(base64.b64encode(octets) + b"\r\n")
    line = client.line(limit=4096)
    return json.loads(base64.b64decode(line[2:])) if line.startswith(b"+ ") else line


def finish(client, mechanism="OAUTHBEARER"):
    return client.command(b"AQ==" if mechanism == "OAUTHBEARER" else b"")


def try_token(server, token, user="alice", mechanism="OAUTHBEARER"):
    """READY, another -ERR, or the status of the refusal, which -ERR follows."""
    with server.client() as client:
        said = say(client, message(token, user, mechanism), mechanism)
        if isinstance(said, dict):
            assert finish(client, mechanism) == REFUSED
            return said["status"]
        if said == READY:
            client.quit()
        return said


@pytest.fixture
def keys():
    return issuer.Key("one"), issuer.Key("two", "RS256")


@pytest.fixture
def configure(world, keys):
    """Writes the configuration of a server that knows both keys, with these settings in [oauth]."""
    folder = world.folder / "keys"  # what changes beside the accounts file makes the processes of sources begin anew
    folder.mkdir()
    world.keys = folder / "keys.json"
    issuer.write_keys(world.keys, *keys)
    world.put(LETTER)

    def configure(sections=None, **settings):
        usual = {"jwks-file": world.keys, "issuer": issuer.NAME, "audience": issuer.AUDIENCE}
        settings = {key.replace("_", "-"): value for key, value in settings.items()}
        limits = {"failure-delay": "10ms", "failure-delay-max": "10ms", "failures-per-address": 0}
        world.configure(oauth=usual | settings, limits=limits, **(sections or {}))
    return configure


@pytest.fixture
def start(world, configure):
    def start(sections=None, **settings):
        configure(sections, **settings)
        return world.start()
    return start


@pytest.fixture
def provider():
    with issuer.Introspection() as made:
        yield made


@pytest.fixture
def ask(world, start, provider):
    """A server that asks `provider`."""
    secret = world.folder / "client-secret"
    secret.write_text(provider.secret + "\n")
    world.own(secret)

    def ask(sections=None, **settings):
        usual = {"jwks_file": None, "issuer": None, "introspection_url": provider.url, "client_id": provider.client,
                 "client_secret_file": secret}
        return start(sections, **(usual | settings))
    return ask


@pytest.mark.sanitized
@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_a_signed_token(start, keys, mechanism):
    server = start()
    for key in keys:
        assert try_token(server, issuer.jwt(key), mechanism=mechanism) == READY
    with server.client() as client:
        assert say(client, message(issuer.jwt(keys[0]), mechanism=mechanism), mechanism) == READY
        assert client.ok(b"STAT").startswith(b"+OK 1 ")
        client.quit()
    server.wait_log(rf"session user=alice address=\S+ method={mechanism} .*end=quit")


@pytest.mark.sanitized
def test_the_refusal_says_why(start, keys):
    server = start(scope="mail.read", discovery_url=DISCOVERY)
    with server.client() as client:
        assert say(client, message("garbage")) == {
            "status": "invalid_token", "scope": "mail.read", "openid-configuration": DISCOVERY}
        assert finish(client) == REFUSED
        assert say(client, message(issuer.jwt(keys[0])))["status"] == "insufficient_scope"
        assert finish(client) == REFUSED
        assert say(client, b"n,,\1auth=\1\1")["status"] == "invalid_token"
        assert client.command(b"*").startswith(b"-ERR")  # RFC 7628 section 3.2.3: or it is cancelled
        assert say(client, b"\1")["status"] == "invalid_request"
        assert finish(client) == REFUSED
        assert say(client, message("garbage", mechanism="XOAUTH2"), "XOAUTH2") == {
            "status": "401", "schemes": "bearer", "scope": "mail.read"}
        assert finish(client, "XOAUTH2") == REFUSED
        token = issuer.jwt(keys[0], issuer.claims(scope="openid mail.read"))
        assert say(client, message(token)) == READY


@pytest.mark.sanitized
def test_tokens_that_let_nobody_in(start, keys):
    server = start()
    key, rsa = keys
    now = int(time.time())
    stranger = issuer.Key("one")
    public = json.dumps(rsa.public()).encode()
    wrong = {
        "expired": issuer.jwt(key, issuer.claims(exp=now - 120)),
        "eternal": issuer.jwt(key, issuer.claims(exp=None)),
        "not yet": issuer.jwt(key, issuer.claims(nbf=now + 120)),
        "audience": issuer.jwt(key, issuer.claims(aud="calendar")),
        "no audience": issuer.jwt(key, issuer.claims(aud=None)),
        "issuer": issuer.jwt(key, issuer.claims(iss=issuer.NAME + "/")),
        "no issuer": issuer.jwt(key, issuer.claims(iss=None)),
        "none": issuer.jwt(key, sign=lambda _: b"", alg="none"),
        "none signed": issuer.jwt(key, alg="none"),
        "hs256": issuer.jwt(rsa, sign=issuer.hs256(public), alg="HS256"),
        "algorithm": issuer.jwt(rsa, alg="ES256"),
        "stranger": issuer.jwt(stranger),
        "path": issuer.jwt(stranger, kid="../../../../dev/null"),
        "other path": issuer.jwt(key, kid="/etc/passwd"),
        "other key": issuer.jwt(key, kid="two"),
        "own key": issuer.jwt(stranger, jwk=stranger.public(), kid="new"),
        "own url": issuer.jwt(stranger, jku="http://127.0.0.1/keys", kid="new"),
        "critical": issuer.jwt(key, crit=["b64"], b64=True),
        "type": issuer.jwt(key, typ="id+jwt"),
        "nobody": issuer.jwt(key, issuer.claims(email=None)),
        "unverified": issuer.jwt(key, issuer.claims(email_verified=False)),
        "cut": issuer.jwt(key)[:-2],
        "garbage": "x" * 8192,
        "dots": ".." + "x" * 100,
    }
    with server.client() as client:
        for what, token in wrong.items():
            said = say(client, message(token, user=""))
            assert isinstance(said, dict) and said["status"] == "invalid_token", what
            assert finish(client) == REFUSED, what
        assert say(client, message(issuer.jwt(key), user="")) == READY
    server.wait_log(r'token refused user="" address=\S+ reason="the token has expired"')
    assert issuer.jwt(key).rpartition(".")[2] not in server.log()


def test_whose_token_it_is(start, keys, world):
    world.write_accounts({"alice": "secret", "bob": "secret"})
    server = start()
    token = issuer.jwt(keys[0])
    assert try_token(server, token, "bob") == "invalid_token"
    assert try_token(server, token, "ALICE") == READY
    assert try_token(server, token, "") == READY
    assert try_token(server, issuer.jwt(keys[0], issuer.claims(email="carol")), "carol") == REFUSED
    assert try_token(server, issuer.jwt(keys[0], issuer.claims(email="../alice")), "") == "invalid_token"
    server.wait_log(r'login failed user="carol" .* method=OAUTHBEARER')


def test_another_claim(start, keys):
    server = start(user_claim="preferred_username")
    claims = issuer.claims(preferred_username="alice", email="bob@example.org", email_verified=False)
    assert try_token(server, issuer.jwt(keys[0], claims)) == READY
    assert try_token(server, issuer.jwt(keys[0])) == "invalid_token"


def test_anybody(start, keys, world):
    world.maildrop("carol")
    server = start(users="any")
    assert try_token(server, issuer.jwt(keys[0], issuer.claims(email="carol")), "carol") == READY
    assert try_token(server, issuer.jwt(keys[0]), "carol") == "invalid_token"


def test_a_locked_account(start, keys, world):
    world.write_accounts({"alice": "{CRYPT}!"})
    server = start(users="any")
    assert try_token(server, issuer.jwt(keys[0])) == REFUSED


@pytest.mark.sanitized
def test_keys_change(start, keys, world):
    server = start()
    old, new = keys[0], issuer.Key("three")
    assert try_token(server, issuer.jwt(new)) == "invalid_token"
    issuer.write_keys(world.keys, old, new)
    assert try_token(server, issuer.jwt(new)) == READY
    assert try_token(server, issuer.jwt(old)) == READY
    issuer.write_keys(world.keys, new)
    assert try_token(server, issuer.jwt(old)) == "invalid_token"
    world.keys.write_text('{"keys": [')
    assert try_token(server, issuer.jwt(new)) == READY
    world.keys.unlink()
    assert try_token(server, issuer.jwt(new)) == READY


def test_algorithms(start, keys):
    server = start(algorithms="RS256")
    assert try_token(server, issuer.jwt(keys[1])) == READY
    assert try_token(server, issuer.jwt(keys[0])) == "invalid_token"


@pytest.mark.sanitized
def test_a_token_of_8_kib(start, keys):
    server = start()
    claims = issuer.claims(x="")
    while len(issuer.jwt(keys[0], claims)) < 8189:
        claims["x"] += "x"
    token = issuer.jwt(keys[0], claims)
    assert len(token) <= 8192
    for mechanism in ("OAUTHBEARER", "XOAUTH2"):
        assert try_token(server, token, mechanism=mechanism) == READY
    assert try_token(server, token + "x" * (8193 - len(token))) == "invalid_token"


def test_where_it_was_meant_for(start, keys):
    server = start(hosts="pop.example.org:995, localhost")
    with server.client() as client:
        for more in ("host=imap.example.org\1", "host=pop.example.org\1port=110\1", "port=995\1"):
            assert say(client, message(issuer.jwt(keys[0]), more=more))["status"] == "invalid_request"
            assert finish(client) == REFUSED
        more = "host=POP.example.org\1port=995\1unknown=x\1"
        assert say(client, message(issuer.jwt(keys[0]), more=more)) == READY


def offered(client):
    return [word for line in client.lines(b"CAPA") if line.startswith(b"SASL ") for word in line.split()[1:]]


def test_where_it_is_offered(world, start, keys):
    world.authority = authority.Authority(world.folder)
    certificate, key = world.authority.issue("localhost")
    world.own(key)
    tls = {"certificate": certificate, "key": key}
    server = start({"pop3": {"listen-tls": "127.0.0.1:0", "plaintext-login": "never"}, "tls": tls})
    with server.client() as client:
        assert not {b"OAUTHBEARER", b"XOAUTH2"} & set(offered(client))
        assert client.command(b"AUTH OAUTHBEARER").startswith(b"-ERR")
    reader = clients.Reader(world, server, clients.TLS, world.authority.certificate)
    bearer = ("--oauth2-bearer", issuer.jwt(keys[0]))
    result = reader.curl("1", "-v", *bearer, password="")
    assert result.returncode == 0, result.stderr
    assert result.stdout == maildir.on_the_wire(LETTER)
    assert b"> AUTH OAUTHBEARER" in result.stderr
    wrong = ("--oauth2-bearer", issuer.jwt(issuer.Key("one")))
    assert reader.curl("1", *wrong, password="").returncode == 67


def test_not_offered_without_oauth(world):
    server = world.start()
    with server.client() as client:
        assert not {b"OAUTHBEARER", b"XOAUTH2"} & set(offered(client))
        assert client.command(b"AUTH XOAUTH2").startswith(b"-ERR")


@pytest.mark.parametrize("auth", ["oauthbearer", "xoauth2"])
def test_mpop(world, start, keys, auth):
    world.authority = authority.Authority(world.folder)
    certificate, key = world.authority.issue("localhost")
    world.own(key)
    server = start({"pop3": {"listen-tls": "127.0.0.1:0"}, "tls": {"certificate": certificate, "key": key}})
    reader = clients.Reader(world, server, clients.TLS, world.authority.certificate)
    result = reader.mpop(issuer.jwt(keys[0]), auth=auth)
    assert result.returncode == 0, result.stderr + result.stdout
    assert reader.received() == [LETTER]
    server.wait_log(rf"session user=alice address=\S+ method={auth.upper()} .*end=quit")


@pytest.mark.parametrize("auth", ["oauthbearer", "xoauth2"])
def test_both_our_ends(world, start, keys, tmp_path, auth):
    """The retriever, with a token that is as long as tokens may be."""
    world.authority = authority.Authority(world.folder)
    certificate, key = world.authority.issue("localhost", names="IP:127.0.0.1")
    world.own(key)
    server = start({"pop3": {"listen-tls": "127.0.0.1:0"}, "tls": {"certificate": certificate, "key": key}})
    home = retriever.Home(tmp_path)
    claims = issuer.claims(x="x" * 5800)
    token = tmp_path / "token"
    token.write_text(issuer.jwt(keys[0], claims) + "\n")
    assert 8000 < len(token.read_text()) <= 8193
    options = {"tls": "implicit", "password": ("--token-command", f"cat {token}")}
    more = ("--auth", auth, "--ca-file", world.authority.certificate, "--keep=yes")
    result = home.fetch(server.tls_address[1], *more, **options)
    assert result.returncode == 0, result.stderr
    assert list(maildir.files(home.maildir).values()) == [LETTER]
    token.write_text("garbage\n")
    result = home.fetch(server.tls_address[1], *more, **options)
    status = b"invalid_token" if auth == "oauthbearer" else b"401"
    assert result.returncode == 77 and b'the token is "' + status + b'" to the server' in result.stderr, result.stderr


# Introspection.

@pytest.mark.sanitized
def test_introspection(ask, provider):
    server = ask()
    now = int(time.time())
    assert try_token(server, provider.issue()) == READY
    assert try_token(server, provider.issue(), mechanism="XOAUTH2") == READY
    assert try_token(server, provider.issue(8192)) == READY
    wrong = {
        "unknown": "garbage",
        "expired": provider.issue(exp=now - 120),
        "not yet": provider.issue(nbf=now + 120),
        "audience": provider.issue(aud="calendar"),
        "no audience": provider.issue(aud=None),
        "somebody else": provider.issue(email="bob"),
        "nobody": provider.issue(email=None),
    }
    for what, token in wrong.items():
        assert try_token(server, token) == "invalid_token", what
    inactive = provider.issue()
    provider.tokens[inactive]["active"] = False
    assert try_token(server, inactive) == "invalid_token"
    assert set(wrong.values()) | {inactive} <= set(provider.asked)


@pytest.mark.sanitized
@pytest.mark.parametrize("said", ["error", "redirect", "flood", "text", "hang", {"active": 1}, {"active": "true"}, []])
def test_a_provider_that_makes_no_sense(ask, provider, said):
    server = ask(introspection_timeout="1s")
    token = provider.issue()
    provider.tokens[token] = said
    assert try_token(server, token).startswith(b"-ERR [SYS/TEMP]")
    server.wait_log(r"source oauth: ")
    assert try_token(server, provider.issue()) == READY


def test_a_provider_that_is_away_or_does_not_know_us(ask, provider):
    server = ask()
    provider.secret = "another"
    assert try_token(server, provider.issue()).startswith(b"-ERR [SYS/TEMP]")
    server.wait_log(r"the server answers with status 401")
    provider.server.shutdown()
    provider.server.server_close()
    assert try_token(server, "x").startswith(b"-ERR [SYS/TEMP]")


@pytest.mark.sanitized
def test_a_provider_that_hangs_stalls_nobody_else(ask, provider):
    """More logins by token than there are processes wait; who has a password, or a token that is remembered, does not."""
    server = ask({"accounts": {"source-processes": "2"}}, introspection_timeout="8s")
    known = provider.issue()
    assert try_token(server, known) == READY
    hanging = provider.issue()
    provider.tokens[hanging] = "hang"
    waiting = [server.client() for _ in range(6)]
    for client in waiting:
        client.send(b"AUTH OAUTHBEARER\r\n")
        assert client.line() == b"+ "
        client.send(base64.b64encode(message(hanging)) + b"\r\n")
    restante.wait_until(lambda: provider.asked.count(hanging) == 2, "both processes wait for the provider")
    with server.login() as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")
        client.quit()
    assert try_token(server, known) == READY
    assert provider.asked.count(known) == 1
    for client in waiting:
        with client:
            assert client.line().startswith(b"-ERR [SYS/TEMP]")
    provider.released.set()
    restante.wait_until(lambda: try_token(server, provider.issue()) == READY, "the source answers again")


@pytest.mark.sanitized
def test_a_token_that_was_taken_back(ask, provider):
    """It lets in for the time of the cache at most."""
    server = ask(cache_time="2s")
    token = provider.issue()
    started = time.monotonic()
    assert try_token(server, token) == READY
    del provider.tokens[token]
    said = try_token(server, token)
    assert said == READY or time.monotonic() - started > 2
    restante.wait_until(lambda: try_token(server, token) == "invalid_token", "the cache forgets")
    assert time.monotonic() - started > 1.5
    assert try_token(server, token) == "invalid_token"


def test_a_cache_of_no_time(ask, provider):
    server = ask(cache_time="0s")
    token = provider.issue()
    assert try_token(server, token) == READY
    del provider.tokens[token]
    assert try_token(server, token) == "invalid_token"


def test_a_remembered_token_is_still_one_persons(ask, provider, world):
    world.write_accounts({"alice": "secret", "bob": "secret"})
    server = ask()
    token = provider.issue()
    assert try_token(server, token) == READY
    assert try_token(server, token, "bob") == "invalid_token"
    assert try_token(server, token, "") == READY
    world.write_accounts({"bob": "secret"})
    server.signal(1)
    restante.wait_until(lambda: try_token(server, token) == REFUSED, "the account is gone")


def test_a_remembered_token_expires(ask, provider):
    server = ask(clock_skew="0s")
    token = provider.issue(exp=int(time.time()) + 3)
    restante.wait_until(lambda: try_token(server, token) == "invalid_token", "it has expired")


def test_a_provider_under_tls(world, ask, provider, tmp_path):
    """With a certificate of an authority of one's own; and not without."""
    import ssl
    made = authority.Authority(tmp_path)
    certificate, key = made.issue("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    provider.server.socket = context.wrap_socket(provider.server.socket, server_side=True)
    trusted = world.folder / "provider.pem"
    trusted.write_bytes(made.certificate.read_bytes())
    trusted.chmod(0o644)
    url = f"https://localhost:{provider.port}/introspect"
    server = ask(introspection_url=url, ca_file=trusted)
    assert try_token(server, provider.issue()) == READY
    server.stop()
    server = ask(introspection_url=url)
    assert try_token(server, provider.issue()).startswith(b"-ERR [SYS/TEMP]")


@pytest.mark.parametrize("settings, words", [
    ({"jwks_file": "/nowhere/keys.json"}, "/nowhere/keys.json"),
    ({"issuer": None}, "issuer is missing in section [oauth]"),
    ({"audience": None}, "audience is missing in section [oauth]"),
    ({"introspection_url": "https://id.example.org/"}, "write one of them"),
    ({"jwks_file": None}, "write jwks-file"),
    ({"jwks_file": None, "introspection_url": "http://id.example.org/"}, "https://"),
    ({"jwks_file": None, "introspection_url": "ftp://id.example.org/"}, "https://"),
    ({"jwks_file": None, "introspection_url": "https://id.example.org/", "client_id": "x"}, "client-secret-file"),
    ({"algorithms": "HS256"}, "RS256"),
    ({"algorithms": "none"}, "RS256"),
    ({"users": "all"}, "listed or any"),
    ({"user_claim": "e mail"}, "user-claim"),
    ({"discovery_url": "http://id.example.org/"}, "https"),
    ({"scope": "a b"}, "scope"),
])
def test_mistakes(world, configure, settings, words):
    configure(**settings)
    checked = world.run("check-config", "-c", world.configuration_file)
    text = (checked.stdout + checked.stderr).decode()
    assert checked.returncode == 2 and words in text and "restante.conf" in text, text

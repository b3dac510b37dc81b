# SPDX-License-Identifier: MIT
"""Several secrets an account, and rules: what is made lets in until it is revoked, a rule that refuses looks like
a wrong password to the client, and no answer for one connection is given to another."""

import base64
import datetime
import itertools
import re
import ssl

import pytest

import authority
import peers
import pop3
import scram
from scram import Scram, Speaker, b64

INVALID = b"-ERR [AUTH] Invalid credentials"
READY = b"+OK Mailbox locked and ready"
MECHANISMS = ["USER", "PLAIN", "LOGIN", "SCRAM-SHA-256", "CRAM-MD5", "APOP"]
EVERY = ", ".join(MECHANISMS[1:])
SECRET = re.compile(r"([0-9a-hjkmnp-tv-z]{4}-){6}[0-9a-hjkmnp-tv-z]{4}\n")


class Listener(Speaker):
    """Remembers what the server said."""

    def __init__(self, client):
        super().__init__(client)
        self.heard = []

    def command_line(self, line):
        self.heard.append(super().command_line(line))
        return self.heard[-1]


def try_to_log_in(client, mechanism, user, password):
    """All that the server says to it."""
    listener = Listener(client)
    if mechanism == "USER":
        listener.command_line(b"USER " + user)
        listener.command_line(b"PASS " + password)
    elif mechanism == "PLAIN":
        listener.command_line(b"AUTH PLAIN " + b64(b"\0" + user + b"\0" + password))
    elif mechanism == "LOGIN":
        listener.command_line(b"AUTH LOGIN")
        listener.command_line(b64(user))
        listener.command_line(b64(password))
    elif mechanism == "APOP":
        listener.command_line(scram.apop(user, password, client.greeting))
    elif mechanism == "CRAM-MD5":
        challenge = base64.b64decode(listener.command_line(b"AUTH CRAM-MD5")[2:])
        listener.command_line(b64(scram.cram_md5(user, password, challenge)))
    else:
        scram.authenticate(listener, Scram(mechanism, user, password))
    return listener.heard


def logs_in(server, user, password, mechanism="USER", **options):
    with server.client(**options) as client:
        said = try_to_log_in(client, mechanism, user.encode(), password.encode())[-1]
        assert said in (READY, INVALID), said
        if said == READY:
            client.quit()
        return said == READY


def user(world, *words, **options):
    return world.run("user", *words[:1], "-c", world.configuration_file, *words[1:], **options)


def app_password(world, what, *words, **options):
    return world.run("user", "app-password", what, "-c", world.configuration_file, *words, **options)


def make(world, *words):
    """The secret that `app-password add` has made."""
    result = app_password(world, "add", *words)
    assert (result.returncode, result.stderr) == (0, b""), result
    assert SECRET.fullmatch(result.stdout.decode())
    return result.stdout.decode().strip()


def rules(world, *words):
    result = user(world, "rules", *words)
    assert result.returncode == 0, result
    return result.stdout.decode()


def write(world, text):
    """The accounts file as it stands here."""
    world.write_accounts({"x": "x"})
    world.accounts_file.write_text(text)


@pytest.mark.sanitized
@pytest.mark.parametrize("main", ["main", "hash", "made"])
def test_made_once_and_good_until_revoked(either_world, main):
    world = either_world
    if main == "hash":
        write(world, "alice:{CRYPT}$6$l73L39vigdUv/uUL$6ihnprI.iI8FwZgqz2fHgqNs8pL.jtzF/JVbX1S954lMKn2i8em44X"
                     ".guBtdxq9i6bGP/rzYasOdbrVZOTwF/0:1:1::/h::x=y\n")
    elif main == "made":
        assert user(world, "passwd", "alice", input=b"secret\n").returncode == 0
    world.configure(pop3={"mechanisms": EVERY})
    world.put(b"Subject: x\n\nx\n")
    server = world.start()
    before = world.accounts_file.read_text()
    phone, tablet = make(world, "alice", "phone"), make(world, "Alice", "tablet")
    assert phone != tablet
    kept = world.accounts_file.read_text()
    assert phone not in kept and tablet not in kept and kept.startswith(before.rstrip("\n"))
    for mechanism in ("USER", "PLAIN", "LOGIN", "SCRAM-SHA-256"):
        for password in (phone, tablet):
            assert logs_in(server, "alice", password, mechanism)
            assert not logs_in(server, "alice", password.upper(), mechanism)
            assert not logs_in(server, "bob", password, mechanism)
    if main != "hash":
        assert logs_in(server, "alice", "secret") and logs_in(server, "alice", "secret", "SCRAM-SHA-256")
    assert app_password(world, "revoke", "alice", "phone").returncode == 0
    for mechanism in ("USER", "SCRAM-SHA-256"):
        assert not logs_in(server, "alice", phone, mechanism)
        assert logs_in(server, "alice", tablet, mechanism)
    assert app_password(world, "revoke", "alice", "tablet").returncode == 0
    assert not logs_in(server, "alice", tablet)
    assert world.accounts_file.read_text().rstrip(":\n") == before.rstrip("\n")


def test_a_text_for_apop_and_cram_md5(world):
    assert user(world, "passwd", "alice", input=b"secret\n").returncode == 0
    printer = make(world, "--scheme", "plain", "alice", "printer")
    phone = make(world, "alice", "phone")
    world.configure(pop3={"mechanisms": "CRAM-MD5, APOP, SCRAM-SHA-256, SCRAM-SHA-1"})
    server = world.start()
    for mechanism in ("APOP", "CRAM-MD5", "SCRAM-SHA-256", "SCRAM-SHA-1", "USER"):
        assert logs_in(server, "alice", printer, mechanism)
        assert not logs_in(server, "alice", printer + "x", mechanism)
    for mechanism in ("APOP", "CRAM-MD5", "SCRAM-SHA-1"):
        assert not logs_in(server, "alice", phone, mechanism)
    assert logs_in(server, "alice", phone, "SCRAM-SHA-256")


def test_a_new_password_keeps_the_app_passwords(world):
    world.configure(pop3={"mechanisms": EVERY})
    server = world.start()
    phone = make(world, "alice", "phone")
    for scheme in ("scram-sha-256", "argon2id", "scram-sha-256"):
        assert user(world, "passwd", "--scheme", scheme, "alice", input=b"another\n").returncode == 0
        for mechanism in ("USER", "SCRAM-SHA-256"):
            assert logs_in(server, "alice", phone, mechanism)
        assert logs_in(server, "alice", "another")
    assert logs_in(server, "alice", "another", "SCRAM-SHA-256")


def test_what_is_offered_works_for_every_secret(world):
    """Who may not come in by it needs no mechanism for it."""
    write(world, "alice:{CRYPT}$6$l73L39vigdUv/uUL$6ihnprI.iI8FwZgqz2fHgqNs8pL.jtzF/JVbX1S954lMKn2i8em44X"
                 ".guBtdxq9i6bGP/rzYasOdbrVZOTwF/0\n")
    server = world.start()

    def offered():
        with server.client() as client:
            lines = [line for line in client.lines(b"CAPA") if line.startswith(b"SASL ")]
            return lines[0].decode().split()[1:]

    assert offered() == ["PLAIN", "LOGIN"]
    make(world, "alice", "phone")
    assert offered() == ["PLAIN", "LOGIN"]
    rules(world, "alice", "--main-password", "no")
    assert offered() == ["SCRAM-SHA-256", "PLAIN", "LOGIN"]


# What the line has, where the client is and what it says; all the same fails, as a wrong password does.
REFUSALS = {
    "network": ("alice:{PLAIN}main::::::allow_nets=127.0.0.2,::1", "main", "network"),
    "tls": ("alice:{PLAIN}main::::::restante_tls=required", "main", "tls"),
    "main-password": ("alice:{PLAIN}main::::::restante_main_password=no", "main", "main-password"),
    "app-network": ("alice:{PLAIN}main::::::restante_app_password=a;allow_nets=127.0.0.2;{PLAIN}app", "app",
                    "network"),
    "app-tls": ("alice:{PLAIN}main::::::restante_app_password=a;tls=required;{PLAIN}app", "app", "tls"),
    "app-of-account": ("alice:{PLAIN}main::::::allow_nets=127.0.0.2 restante_app_password=a;{PLAIN}app", "app",
                       "network"),
}


@pytest.mark.sanitized
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_rule_that_refuses_looks_like_a_wrong_password(world, mechanism):
    world.configure(pop3={"mechanisms": EVERY})
    write(world, "".join(line.replace("alice", name) + "\n" for name, (line, _, _) in REFUSALS.items()))
    server = world.start()

    def said(name, password):
        with server.client() as client:
            lines = try_to_log_in(client, mechanism, name.encode(), password.encode())
            return [b"+ a challenge" if line.startswith(b"+ ") else line for line in lines]

    for name, (_, password, rule) in REFUSALS.items():
        wrong = said(name, "wrong")
        assert wrong[-1] == INVALID
        assert said(name, password) == wrong
        found = server.wait_log(rf'login failed user="{name}" address=\S+ method={mechanism} '
                                r"reason=bad_credentials rule=(\S+)")
        assert found[1] == rule
    assert len(re.findall(r"rule=", server.log())) == len(REFUSALS)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_rule_that_is_kept_lets_in(world, mechanism):
    world.configure(pop3={"mechanisms": EVERY})
    write(world, "alice:{PLAIN}main::::::allow_nets=127.0.0.0/29,2001:db8::/32 "
                 "restante_app_password=a;allow_nets=127.0.0.2/31;{PLAIN}app\n")
    server = world.start()
    for source, main, app in ((1, True, False), (2, True, True), (3, True, True), (4, True, False),
                              (8, False, False)):
        options = {"mechanism": mechanism, "source": f"127.0.0.{source}"}
        assert logs_in(server, "alice", "main", **options) == main
        assert logs_in(server, "alice", "app", **options) == app


def secure(world, **pop3_settings):
    """Gives the world a certificate; a context for its clients."""
    world.authority = authority.Authority(world.folder)
    certificate, key = world.authority.issue("localhost", names="DNS:localhost,IP:127.0.0.1")
    world.own(key)
    world.tls = {"certificate": certificate, "key": key}
    world.configure(pop3={"listen-tls": "127.0.0.1:0", **pop3_settings}, tls=world.tls)
    return ssl.create_default_context(cafile=str(world.authority.certificate))


def tls_client(server, context, source="127.0.0.1"):
    client = pop3.Client(server.tls_address, greeting=False, source=source)
    client.socket = context.wrap_socket(client.socket, server_hostname="localhost")
    client.greeting = client.line()
    return client


def attempt(server, context, name, password, source, is_tls):
    with tls_client(server, context, source) if is_tls else server.client(source=source) as client:
        said = try_to_log_in(client, "USER", name.encode(), password.encode())[-1]
        assert said in (READY, INVALID), said
        if said == READY:
            client.quit()
        return said == READY


def test_no_answer_is_given_to_another(world):
    """Two users with one password, at two addresses, under TLS or not, in every order, and each order twice
    through one worker's memory: what comes out depends on nothing that came before."""
    context = secure(world)
    configuration = world.configuration_file.read_text().replace("workers = 2", "workers = 1")
    world.configure(configuration)
    write(world, "alice:{PLAIN}same::::::allow_nets=127.0.0.1\n"
                 "bob:{PLAIN}same::::::allow_nets=127.0.0.2 restante_tls=required\n")
    world.maildrop("alice"), world.maildrop("bob")
    questions = {("alice", "127.0.0.1", False): True, ("alice", "127.0.0.2", False): False,
                 ("bob", "127.0.0.2", True): True, ("bob", "127.0.0.2", False): False}
    server = world.start()
    for order in itertools.permutations(questions):
        # a change of the file empties the memory, and the command ends when the server knows it
        write(world, "alice:{PLAIN}same::::::allow_nets=127.0.0.1\n"
                     "bob:{PLAIN}same::::::allow_nets=127.0.0.2 restante_tls=required\n"
                     f"# {order}\n")
        rules(world, "alice", "--tls", "optional")
        for name, source, is_tls in order * 2:
            right = questions[name, source, is_tls]
            assert attempt(server, context, name, "same", source, is_tls) == right, order


def test_scram_plus_takes_an_app_password(world):
    context = secure(world, **{"plaintext-login": "never"})
    phone = make(world, "--tls", "required", "alice", "phone")
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # whose binding Python has
    server = world.start()
    for password, right in ((phone, READY), (phone[::-1], INVALID)):
        with tls_client(server, context) as client:
            exchange = Scram("SCRAM-SHA-256-PLUS", b"alice", password.encode(), b"p=tls-unique",
                             client.socket.get_channel_binding("tls-unique"))
            assert scram.authenticate(Speaker(client), exchange) == right


def test_external_keeps_the_rules_of_the_account(world):
    context = secure(world)
    certificate, key = world.authority.issue("alice")
    world.configure(pop3={"listen-tls": "127.0.0.1:0"},
                    tls={**world.tls, "client-ca": world.authority.certificate, "client-name": "common-name"})
    write(world, "alice:{PLAIN}main::::::restante_main_password=no allow_nets=127.0.0.2\n")
    context.load_cert_chain(certificate, key)
    server = world.start()
    for source, right in (("127.0.0.1", INVALID), ("127.0.0.2", READY)):
        with tls_client(server, context, source) as client:
            assert client.command(b"AUTH EXTERNAL =") == right
    server.wait_log(r'login failed user="alice" address=\S+ method=EXTERNAL reason=bad_credentials rule=network')


def test_revoked_on_all_workers_at_once(world):
    world.configure(server={"workers": "4"})
    phone, tablet = make(world, "alice", "phone"), make(world, "alice", "tablet")
    server = world.start()
    for _ in range(16):  # each worker remembers it
        assert logs_in(server, "alice", phone) and logs_in(server, "alice", tablet)
    assert app_password(world, "revoke", "alice", "phone").returncode == 0
    for _ in range(16):
        assert not logs_in(server, "alice", phone)
    assert logs_in(server, "alice", tablet)


def dates(world, name="alice"):
    result = app_password(world, "list", name)
    assert (result.returncode, result.stderr) == (0, b""), result
    return {fields[0]: fields[1] for fields in
            (line.split("\t") for line in result.stdout.decode().splitlines())}


def today():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")


@pytest.mark.sanitized
def test_the_date_of_last_use(either_world):
    world = either_world
    secrets = {name: make(world, "alice", name) for name in ("phone", "tablet", "laptop")}
    assert dates(world) == {"phone": "never", "tablet": "never", "laptop": "never"}
    server = world.start()
    first = today()
    assert logs_in(server, "alice", secrets["phone"])
    assert not logs_in(server, "alice", secrets["tablet"] + "x")
    assert dates(world)["phone"] in (first, today())
    assert dates(world)["tablet"] == "never"
    assert logs_in(server, "alice", secrets["tablet"], "SCRAM-SHA-256")
    server.stop()  # within the second in which uses are gathered
    assert dates(world)["tablet"] in (first, today())
    file = world.state / "last-uses"
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(re.sub(rb"^[-0-9]{10}", b"2001-02-03", file.read_bytes(), flags=re.MULTILINE))
    server = world.start()
    assert dates(world) == {"phone": "2001-02-03", "tablet": "2001-02-03", "laptop": "never"}
    assert logs_in(server, "alice", secrets["phone"])
    assert logs_in(server, "alice", "secret")
    assert dates(world)["phone"] in (first, today())
    assert dates(world)["tablet"] == "2001-02-03"
    # another one of the same name is not this one
    assert app_password(world, "revoke", "alice", "phone").returncode == 0
    make(world, "alice", "phone")
    assert dates(world)["phone"] == "never"


def test_a_folder_that_takes_no_dates_stops_nobody(world):
    phone = make(world, "alice", "phone")
    (world.state / "last-uses").mkdir()
    server = world.start()
    server.wait_log("nobody will know when app passwords were used last")
    assert logs_in(server, "alice", phone)


def test_what_the_command_shows(world):
    write(world, "alice:{PLAIN}secret::::::nothing=1\n")
    assert rules(world, "alice") == "allow-nets\tany\ntls\toptional\nmain-password\tyes\n"
    assert rules(world, "alice", "--allow-nets", "192.0.2.0/24,2001:db8::/32", "--tls", "required") == ""
    result = user(world, "rules", "--main-password", "no", "alice")
    assert result.returncode == 0 and b"no password lets alice in" in result.stderr
    assert rules(world, "alice") == "allow-nets\t192.0.2.0/24,2001:db8::/32\ntls\trequired\nmain-password\tno\n"
    phone = make(world, "--allow-nets", "127.0.0.1", "--tls", "required", "alice", "phone")
    make(world, "--scheme", "plain", "alice", "printer")
    assert app_password(world, "list", "alice").stdout.decode() == (
        "phone\tnever\tSCRAM-SHA-256\tallow-nets=127.0.0.1\ttls=required\nprinter\tnever\tPLAIN\n")
    result = user(world, "check", "alice", input=phone.encode() + b"\n")
    assert (result.returncode, result.stdout) == (0, b"this is the app password phone\n")
    assert user(world, "check", "alice", input=b"secret\n").stdout == b"the password is right\n"
    assert user(world, "check", "alice", input=b"phone\n").returncode == 77
    rules(world, "alice", "--allow-nets", "any", "--tls", "optional", "--main-password", "yes")
    assert rules(world, "alice") == "allow-nets\tany\ntls\toptional\nmain-password\tyes\n"


@pytest.mark.parametrize("words, status, said", [
    (["app-password", "add", "alice"], 64, "app-password takes a NAME and that of the app password"),
    (["app-password", "alice", "phone"], 64, "app-password, which add, revoke or list follows"),
    (["app-password"], 64, "the first word is"),
    (["app-password", "add", "alice", "a b"], 64, "the name of an app password is 1 to 32 letters"),
    (["app-password", "add", "alice", "phone", "--scheme", "argon2id"], 64, "is plain or scram-sha-256"),
    (["app-password", "add", "alice", "phone", "--allow-nets", "10.0.0.1/8"], 64, "10.0.0.1/8 is no network"),
    (["app-password", "add", "alice", "phone", "--allow-nets", "::1 nologin"], 64, "no blanks between"),
    (["app-password", "add", "alice", "phone", "--tls", "yes"], 64, "--tls is required or optional"),
    (["app-password", "add", "alice", "phone", "--main-password", "no"], 64, "takes no --main-password"),
    (["app-password", "add", "nobody", "phone"], 67, "no account is called nobody"),
    (["app-password", "revoke", "alice", "phone"], 64, "there is no app password of that name"),
    (["app-password", "list", "nobody"], 67, "no account is called nobody"),
    (["rules", "alice", "--main-password", "maybe"], 64, "--main-password is yes or no"),
    (["rules", "alice", "--scheme", "plain"], 64, "rules takes no --scheme"),
    (["rules", "nobody"], 67, "no account is called nobody"),
    (["list", "--tls", "required"], 64, "list takes no --tls"),
])
def test_what_is_given_wrongly_changes_nothing(world, words, status, said):
    before = world.accounts_file.read_bytes()
    result = world.run("user", *words, "-c", world.configuration_file)
    assert result.returncode == status and said in result.stderr.decode(), result
    assert result.stdout == b"" and world.accounts_file.read_bytes() == before


class Neighbour(peers.Dovecot):
    """A Dovecot that has our accounts file."""

    def __init__(self, accounts):
        self.accounts = accounts
        super().__init__()

    def configuration(self, certificate, key):
        theirs = super().configuration(certificate, key)
        return theirs.replace("driver = static\n  args = password=secret",
                              f"driver = passwd-file\n  args = {self.accounts}")


def test_dovecot_reads_the_file_too(make_world):
    world = make_world(privileged=True)
    assert user(world, "add", "bob", input=b"builder\n").returncode == 0
    for name in ("alice", "bob"):
        make(world, "--tls", "required", name, "phone")
        make(world, "--scheme", "plain", name, "printer")
    rules(world, "alice", "--allow-nets", "127.0.0.0/8", "--tls", "required", "--main-password", "no")
    rules(world, "bob", "--allow-nets", "192.0.2.1")
    dovecot = Neighbour(world.accounts_file)
    try:
        with pop3.Client(("127.0.0.1", dovecot.port)) as client:
            client.login(b"alice", b"secret")
            client.quit()
        with pop3.Client(("127.0.0.1", dovecot.port)) as client:
            client.ok(b"USER bob")
            client.error(b"PASS builder")  # allow_nets
        rules(world, "bob", "--allow-nets", "any")
        with pop3.Client(("127.0.0.1", dovecot.port)) as client:
            client.login(b"bob", b"builder")
            client.quit()
    finally:
        dovecot.close()

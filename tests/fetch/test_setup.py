# SPDX-License-Identifier: MIT
"""`restante fetch --setup` on a terminal: a fresh account against our own server, and what goes wrong on the way."""

import subprocess

import pytest

import provider
import restante
from authority import Authority
from internet import Internet
from retriever import Home
from tmux import Terminal

LETTER = b"From: a@example.org\nSubject: hello\n\nhello\n"
AT_POP = "127.0.1.1:995"
TOKENS_ONLY = """<clientConfig version="1.1"><emailProvider id="aol.com"><domain>aol.com</domain><incomingServer type="pop3">
<hostname>pop.aol.com</hostname><port>995</port><socketType>SSL</socketType><username>%EMAILADDRESS%</username>
<authentication>OAuth2</authentication></incomingServer></emailProvider></clientConfig>"""


class Town:
    """A home, an Internet with pop.example.org, and our own server there: alice's password is `secret`."""

    def __init__(self, folder, world):
        self.folder, self.world = folder, world
        self.home = Home(folder)
        self.authority = Authority(folder)
        self.internet = Internet(folder, self.authority,
                                 {"pop.example.org": {}, "pop.gmail.com": {"pop3s": "+OK"}, "pop.aol.com": {"pop3s": "+OK"},
                                  "autoconfig.aol.com": {"https": {"/mail/config-v1.1.xml": [200, TOKENS_ONLY]}}},
                                 {"_pop3s._tcp.example.org": [[0, 0, 995, "pop.example.org"]],
                                  "_pop3s._tcp.gmail.com": [[0, 0, 995, "pop.gmail.com"]],
                                  "_pop3s._tcp.example.net": [[0, 0, 995, "pop.example.org"]]})
        certificate, key = self.authority.issue("pop.example.org")
        world.put(LETTER)
        world.configure(pop3={"listen-tls": AT_POP}, tls={"certificate": certificate, "key": key})
        world.start(prefix=self.internet.inside)
        self.terminal = None
        self.configuration = folder / ".config/restante/fetch.conf"

    def setup(self):
        environment = self.home.environment(TERM="xterm", LC_ALL="C.UTF-8", TMUX="")
        self.terminal = Terminal(self.folder, self.home.command("--setup", "--ca-file", self.authority.certificate),
                                 environment, self.internet.inside)
        return self.terminal

    def fetch(self, *arguments):
        result = subprocess.run([*self.internet.inside, *self.home.command(*arguments)],
                                env=self.home.environment(), capture_output=True, text=True, timeout=60, check=False)
        assert not restante.REPORT.search(result.stderr), result.stderr
        return result

    def close(self):
        if self.terminal:
            screen = self.terminal.screen()
            self.terminal.close()
            assert not restante.REPORT.search(screen), screen
        self.internet.close()


@pytest.fixture
def town(tmp_path, make_world):
    world = make_world(privileged=True)  # or the test is skipped
    one = Town(tmp_path, world)
    yield one
    one.close()


@pytest.mark.sanitized
def test_a_fresh_account_by_setup_alone(town):
    """A wrong password and a name that the server does not know are said in words, and mended; nothing but the
    answers is typed, and then the mail comes."""
    terminal = town.setup()
    terminal.answer("Your mail address:", "alice at example")
    terminal.answer("Your mail address:", "alice@example.org")
    terminal.answer("A name for the account [example.org]:", "home")
    terminal.await_text("Found pop.example.org, port 995, TLS (the SRV record _pop3s._tcp.example.org).")
    terminal.answer("Password of alice@example.org:", "wrong")
    terminal.answer("Try again? [yes]:", "")
    assert not town.configuration.exists()
    terminal.answer("Your name there [alice@example.org]:", "")
    terminal.answer("Password of alice@example.org:", "secret")
    terminal.await_text("Logging in as alice ...")
    terminal.await_text("It works: 1 message is there.")
    terminal.answer("A folder for the mail (a Maildir) [~/Mail/home]:", "")
    terminal.answer("Keep the mail on the server", "sometimes")
    terminal.answer("Keep the mail on the server", "14d")
    terminal.answer("Keep the password in", "file")
    terminal.await_text("restante fetch home")
    terminal.await_text("ended with 0")
    assert "secret" not in terminal.screen() and "wrong" not in terminal.screen()
    text = town.configuration.read_text()
    assert "[home]\nhost = pop.example.org\nport = 995\ntls = implicit\nuser = alice\n" in text
    assert "keep = 14d\n" in text and "secret" not in text
    password = town.configuration.parent / "home.password"
    assert password.read_text() == "secret\n"
    for path, mode in ((town.configuration, 0o600), (password, 0o600), (town.configuration.parent, 0o700)):
        assert path.stat().st_mode & 0o777 == mode
    result = town.fetch("home")
    assert result.returncode == 0, result.stderr
    assert [letter.replace(b"\r\n", b"\n") for letter in town.home.mail("home")] == [LETTER]


def test_what_is_there_stays(town):
    """A second account goes behind the first, whose section and comments stay; its name is not given again. What is
    in another domain is taken only if the person says so."""
    town.configuration.parent.mkdir(parents=True)
    before = "# mine\n[example.net]\nhost = h\nuser = u\npassword-command = true"
    town.configuration.write_text(before)
    tools = town.folder / "bin"
    tools.mkdir()
    (tools / "secret-tool").write_text(f'#!/bin/sh\necho "$@" >{town.folder}/asked; cat >{town.folder}/given\n')
    (tools / "secret-tool").chmod(0o755)
    plain = town.home.environment
    town.home.environment = lambda **more: plain(PATH=f"{tools}:/usr/bin:/bin", **more)
    terminal = town.setup()
    terminal.answer("Your mail address:", "alice@example.net")
    terminal.answer("A name for the account [example.net]:", "")
    terminal.answer("A name for the account [example.net]:", "[x]")
    terminal.answer("A name for the account [example.net]:", "two")
    terminal.await_text("It is not within example.net")
    terminal.answer("Do you know it as the place of your mail? [no]:", "perhaps")
    terminal.answer("Do you know it as the place of your mail? [no]:", "yes")
    terminal.answer("Password of alice@example.net:", "secret")
    terminal.answer("A folder for the mail", "~/elsewhere")
    terminal.answer("Keep the mail on the server", "no")
    terminal.answer("Keep the password in the keyring", "")
    terminal.await_text("ended with 0")
    text = town.configuration.read_text()
    assert text.startswith(before + "\n\n[two]\n") and "delete = yes\n" in text and "keyring = yes\n" in text
    assert (town.folder / "asked").read_text().endswith("service restante host pop.example.org user alice\n")
    assert (town.folder / "given").read_text() == "secret"
    assert not list(town.configuration.parent.glob("*.password"))


def test_a_server_that_is_refused_is_asked_for(town):
    """And who gives up leaves nothing behind."""
    terminal = town.setup()
    terminal.answer("Your mail address:", "alice@example.net")
    terminal.answer("A name for the account [example.net]:", "")
    terminal.answer("Do you know it as the place of your mail? [no]:", "")
    terminal.answer("The POP3 server:", "")
    terminal.answer("The POP3 server:", "pop.example.org")
    terminal.answer("TLS from the start", "maybe")
    terminal.answer("TLS from the start", "stls")
    terminal.answer("Its port [110]:", "")
    terminal.answer("Your name there [alice@example.net]:", "alice")
    terminal.answer("Password of alice:", "secret")
    terminal.answer("Try again? [yes]:", "no")  # nothing listens there
    terminal.await_text("no account was set up")
    terminal.await_text("ended with 64")
    assert not town.configuration.exists()


@pytest.mark.sanitized
def test_a_provider_that_is_known_needs_no_password(town):
    """What is written is what --authorize needs, save the addresses of the provider's stand-in."""
    secret = town.folder / "client secret"
    secret.write_text(provider.SECRET)
    secret.chmod(0o600)
    terminal = town.setup()
    terminal.answer("Your mail address:", "me@gmail.com")
    terminal.answer("A name for the account [gmail.com]:", "home")
    terminal.await_text("Found pop.gmail.com, port 995, TLS")
    terminal.answer("Log in without a password, by tokens of google (OAuth 2.0)? [no]:", "yes")
    terminal.await_text("docs/oauth-client.md")
    terminal.answer("Its client id:", "")
    terminal.answer("Its client id:", provider.CLIENT)
    terminal.answer("The private file with its secret", str(secret))
    terminal.answer("A folder for the mail (a Maildir) [~/Mail/home]:", "")
    terminal.answer("Keep the mail on the server", "")
    terminal.await_text("restante fetch --authorize home")
    terminal.await_text("ended with 0")
    assert "assword of" not in terminal.screen() and "Logging in" not in terminal.screen()
    text = town.configuration.read_text()
    assert text.startswith("[home]\nhost = pop.gmail.com\nport = 995\ntls = implicit\nuser = me@gmail.com\n")
    assert text.endswith(f"oauth = google\noauth-client-id = {provider.CLIENT}\noauth-client-secret-file = {secret}\n")
    assert town.configuration.stat().st_mode & 0o777 == 0o600
    assert "--authorize home" in town.fetch("home").stderr
    with provider.Provider(secret=None) as issues:
        town.configuration.write_text(text + f"oauth-authorize-url = {issues.base}/authorize\n"
                                             f"oauth-token-url = {issues.base}/token\n")
        process = town.home.start("--authorize", "home")
        url = next(line for line in process.stderr if line.startswith(b"http")).decode().strip()
        assert issues.browse(issues.visit(url)) == 200
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said


def test_where_only_tokens_are_taken_they_are_the_proposal(town):
    """Who then gives up leaves nothing behind."""
    terminal = town.setup()
    terminal.answer("Your mail address:", "me@aol.com")
    terminal.answer("A name for the account [aol.com]:", "")
    terminal.answer("Log in without a password, by tokens of aol (OAuth 2.0)? [yes]:", "")
    terminal.answer("Its client id:", provider.CLIENT)
    terminal.await_text("The private file with its secret")
    terminal.tmux("send-keys", "C-d")
    terminal.await_text("no account was set up")
    terminal.await_text("ended with 64")
    assert not town.configuration.exists()


def test_who_has_no_client_is_asked_for_a_password(town):
    terminal = town.setup()
    terminal.answer("Your mail address:", "me@gmail.com")
    terminal.answer("A name for the account [gmail.com]:", "")
    terminal.answer("Log in without a password, by tokens of google (OAuth 2.0)? [no]:", "")
    terminal.answer("Password of me@gmail.com:", "secret")
    terminal.answer("Try again? [yes]:", "no")  # it greets, and no more
    terminal.await_text("ended with 64")
    assert not town.configuration.exists()


def test_it_needs_a_terminal(tmp_path):
    result = Home(tmp_path).run("--setup", input=b"alice@example.org\n")
    assert result.returncode == 64 and b"it needs a terminal" in result.stderr and result.stdout == b""


def test_a_mistake_in_the_file_is_mended_first(tmp_path):
    home = Home(tmp_path)
    home.configure({"a": {"port": "x"}})
    shown, status = home.on_terminal("--setup")
    assert status == 78 and b"fetch.conf:2" in shown

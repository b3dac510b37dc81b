# SPDX-License-Identifier: MIT
"""What bash, zsh and fish offer on a command line of restante, asked of these shells themselves."""

import os
import pathlib
import pty
import re
import select
import subprocess
import time

import pytest

import restante

INSTALLED = pathlib.Path(restante.BINARY).parent.parent / "share"
SOURCES = restante.ROOT / "packaging/completions"
PLACES = {"restante.bash": "bash-completion/completions/restante", "_restante": "zsh/site-functions/_restante",
          "restante.fish": "fish/vendor_completions.d/restante.fish"}
PROMPT = b"prompt> "
ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07|[\r\x07]")


def adapter(name):
    """As installed, or, where a test is run by hand from a build folder, as in the tree."""
    installed = INSTALLED / PLACES[name]
    if (INSTALLED / "man").exists():
        assert installed.exists(), f"{installed} is not installed"
        return installed
    return SOURCES / name


class Shell:
    """Common to all: a home with two accounts in fetch.conf, a file and a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.home = folder / "home"
        (self.home / ".config/restante").mkdir(parents=True)
        (self.home / ".config/restante/fetch.conf").write_text(
            "[work]\nhost = pop.example.com\nuser = a\n[at home]\nhost = h\nuser = b\n[wide]\nhost = h\nuser = c\n")
        (self.home / "letters").mkdir()
        (self.home / "letter.conf").write_text("[elsewhere]\nhost = h\nuser = u\n")
        tools = folder / "bin"
        tools.mkdir()
        (tools / "restante").symlink_to(pathlib.Path(restante.BINARY).resolve())
        self.environment = {"PATH": f"{tools}:/usr/bin:/bin", "HOME": str(self.home), "TERM": "xterm",
                            "LC_ALL": "C.UTF-8", **{name: value for name, value in os.environ.items()
                                                    if name.endswith("SAN_OPTIONS")}}


class Interactive(Shell):
    """A shell on a terminal: keys go in, and what comes out is looked at until a sign is there."""

    def __init__(self, folder, command, prepare):
        super().__init__(folder)
        pid, self.master = pty.fork()
        if pid == 0:
            os.chdir(self.home)
            os.execve(command[0], command, self.environment)
        self.pid = pid
        self.shown = b""
        self.type(f"{prepare}; printf 'rea%s\\n' dy\n")
        self.await_sign(b"ready\n" + PROMPT)  # keys that come before a prompt are not the line editor's

    def type(self, text):
        os.write(self.master, text.encode())

    def await_sign(self, sign, seconds=30):
        deadline = time.monotonic() + seconds
        while True:
            text = re.sub(rb"\n +\n?(?=prompt)|\n+", b"\n", ESCAPES.sub(b"", self.shown))
            if sign in text:
                return text
            ready = select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, f"{sign} does not come: {text!r}"
            self.shown += os.read(self.master, 65536)

    def becomes(self, typed, line):
        """The line that Tab makes of what was typed: the shell itself shows it, as arguments."""
        self.shown = b""
        self.type("\x15restante " + typed + "\t")
        self.type("END\n")
        text = self.await_sign(b":were\n" + PROMPT).decode()
        got = re.findall(r"<([^<>]*)>", text[text.index("args:"):])
        assert got == [*line[:-1], line[-1] + "END"] or got == [*line, "END"], text
        return got[-1] == "END"

    def close(self):
        os.close(self.master)
        os.waitpid(self.pid, 0)


# Instead of running what is typed, it shows the arguments.
SHOW = r"""restante() { if [ "$1" = complete ]; then command restante "$@"; else """ \
    r"""printf 'args:'; printf '<%s>' "$@"; printf ':were\n'; fi; }"""


class Bash(Interactive):
    def __init__(self, folder):
        place = folder / "completions"
        place.mkdir()
        (place / "restante").symlink_to(adapter("restante.bash"))
        super().__init__(folder, ["/bin/bash", "--noprofile", "--norc", "-i"],
                         f"PS1='{PROMPT.decode()}'; set +o history; . /usr/share/bash-completion/bash_completion; {SHOW}; "
                         "bind 'set bell-style none'; bind 'set show-all-if-ambiguous on'; "
                         "bind 'set completion-query-items 0'; bind 'set page-completions off'; "
                         "bind 'set enable-bracketed-paste off'; "
                         f". {place}/restante")

    def offers(self, typed, *words):
        self.shown = b""
        self.type("\x15restante " + typed + "\t")
        for word in words:
            self.await_sign(word.encode())
        self.type("\x15")


class Zsh(Interactive):
    def __init__(self, folder):
        place = folder / "functions"
        place.mkdir()
        (place / "_restante").symlink_to(adapter("_restante"))
        super().__init__(folder, ["/usr/bin/zsh", "-f", "-i"],
                         f"PS1='{PROMPT.decode()}'; setopt no_beep no_prompt_sp no_zle_bracketed_paste 2>/dev/null; "
                         f"fpath=({place} $fpath); "
                         f"autoload -Uz compinit; compinit -u -D; {SHOW}; bindkey '^_' list-choices")

    def offers(self, typed, *words):
        self.shown = b""
        self.type("\x15restante " + typed + "\x1f")  # which lists, and completes nothing
        for word in words:
            self.await_sign(word.encode())
        self.type("\x15")


class Fish(Shell):
    def offered(self, typed):
        script = f". {adapter('restante.fish')}; complete -C 'restante {typed}'"
        result = subprocess.run(["/usr/bin/fish", "--no-config", "-c", script], env=self.environment, cwd=self.home,
                                capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 0 and result.stderr == "", result.stderr
        return [line.split("\t")[0] for line in result.stdout.splitlines()]

    def offers(self, typed, *words):
        assert set(words) <= set(self.offered(typed))

    def close(self):
        pass


@pytest.fixture(params=[Bash, Zsh, Fish], ids=["bash", "zsh", "fish"])
def shell(request, tmp_path):
    one = request.param(tmp_path)
    yield one
    one.close()


@pytest.fixture(params=[Bash, Zsh], ids=["bash", "zsh"])
def terminal(request, tmp_path):
    one = request.param(tmp_path)
    yield one
    one.close()


def test_what_is_offered(shell):
    shell.offers("", "serve", "check-config", "deliver", "user", "fetch", "list", "show")
    shell.offers("fetch --", "--tls", "--keep", "--maildir", "--config", "--dry-run", "--help")
    shell.offers("fetch --tls ", "implicit", "stls", "never")
    shell.offers("fetch --auth ", "auto", "USER", "APOP", "SCRAM-SHA-256-PLUS", "XOAUTH2")
    shell.offers("user app-password ", "add", "revoke", "list")
    shell.offers("list --mbox ", "letter.conf")


def test_what_tab_makes_of_a_line(terminal):
    assert terminal.becomes("che", ["check-config"])
    assert terminal.becomes("fetch --fing", ["fetch", "--fingerprint"])
    assert terminal.becomes("fetch wo", ["fetch", "work"])
    assert terminal.becomes("fetch at", ["fetch", "at home"])
    assert terminal.becomes("fetch -nc letter.conf el", ["fetch", "-nc", "letter.conf", "elsewhere"])
    assert terminal.becomes("fetch --keep=y", ["fetch", "--keep=yes"])
    assert not terminal.becomes("fetch --keep=n", ["fetch", "--keep=newest:"])
    assert terminal.becomes("fetch --mbox letter.", ["fetch", "--mbox", "letter.conf"])
    assert terminal.becomes("fetch --mbox=letter.", ["fetch", "--mbox=letter.conf"])
    assert not terminal.becomes("list --maildir let", ["list", "--maildir", "letters/"])


def test_what_fish_completes(tmp_path):
    fish = Fish(tmp_path)
    assert fish.offered("che") == ["check-config"]
    assert sorted(fish.offered("fetch w")) == ["wide", "work"]
    assert fish.offered("fetch -c letter.conf ") == ["elsewhere"]
    assert sorted(fish.offered("fetch --keep=")) == ["--keep=newest:", "--keep=yes"]
    assert fish.offered("fetch --mbox=letter.") == ["--mbox=letter.conf"]
    assert fish.offered("list --maildir let") == ["letters/"]


@pytest.mark.sanitized
@pytest.mark.parametrize("words,kind,offered", [
    (("",), "words", {"serve", "fetch", "--version"}),
    (("nonsense", ""), "words", set()),
    (("serve", "-"), "words", {"--config", "-c", "--ready-fd", "--help", "-h"}),
    (("serve", "-c", ""), "files", set()),
    (("serve", "--config=",), "files", set()),
    (("show", "--save", "x", "--raw=",), "words", set()),
    (("show", "--save", ""), "folders", set()),
    (("show", ""), "words", set()),
    (("list", "--", "-"), "words", set()),
    (("user", "-s", ""), "words", {"scram-sha-256", "argon2id", "plain"}),
    (("user", "--main-password", ""), "words", {"yes", "no"}),
    (("user", "list", ""), "words", set()),
    (("fetch", "--password-command", ""), "words", set()),
    (("fetch", "--keep", ""), "words", set()),  # --keep alone is whole: what follows is an account
])
def test_what_restante_tells_the_shells(tmp_path, words, kind, offered):
    result = subprocess.run([restante.BINARY, "complete", *words], capture_output=True, text=True, timeout=60,
                            env=dict(os.environ, HOME=str(tmp_path), XDG_CONFIG_HOME=""), check=False)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    first, *lines = result.stdout.splitlines()
    got = {line.split("\t")[0] for line in lines}
    assert first == kind and all("\t" in line for line in lines)
    assert (offered <= got) if words == ("",) else got == offered

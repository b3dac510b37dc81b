# SPDX-License-Identifier: MIT
"""Mistakes in the configuration are found at start: file, line, what is wrong, what would be right."""

import os
import pathlib
import re
import socket

import pytest

import restante

# The table of the settings, with their defaults, as restante.conf(5) has it.
SETTINGS = {
    ("server", "state-dir"): "/var/lib/restante",
    ("server", "user"): "restante",
    ("server", "auth-user"): "restante-auth",
    ("server", "workers"): "auto",
    ("server", "grace"): "30s",
    ("server", "require-sandbox"): "no",
    ("pop3", "listen"): None,
    ("pop3", "listen-tls"): "none",
    ("pop3", "plaintext-login"): "loopback",
    ("pop3", "login-timeout"): "3m",
    ("pop3", "idle-timeout"): "10m",
    ("pop3", "write-timeout"): "5m",
    ("pop3", "max-bad-commands"): "10",
    ("pop3", "expire"): "never",
    ("pop3", "utf8"): "no",
    ("pop3", "login-delay"): "0s",
    ("pop3", "mechanisms"): "auto",
    ("tls", "certificate"): "none",
    ("tls", "key"): "none",
    ("tls", "minimum"): "1.2",
    ("tls", "client-ca"): "none",
    ("tls", "client-name"): "none",
    ("proxy", "listen"): "none",
    ("proxy", "listen-tls"): "none",
    ("proxy", "from"): "none",
    ("proxy", "header-timeout"): "5s",
    ("proxy", "xclient"): "no",
    ("proxy", "client-tls"): "unknown",
    ("limits", "connections"): "10000",
    ("limits", "connections-per-address"): "100",
    ("limits", "connections-per-user"): "10",
    ("limits", "failure-delay"): "2s",
    ("limits", "failure-delay-max"): "30s",
    ("limits", "failures-per-address"): "20",
    ("limits", "hash-memory"): "256M",
    ("maildrop", "store"): "maildir",
    ("maildrop", "path"): None,
    ("maildrop", "roots"): "none",
    ("maildrop", "in-use-wait"): "5s",
    ("maildrop", "take-over-idle"): "2m",
    ("maildrop", "as-user"): "no",
    ("maildrop", "as-user-minimum"): "1000",
    ("maildrop", "as-user-idle"): "1m",
    ("accounts", "source"): "file",
    ("accounts", "file"): "none",
    ("accounts", "source-timeout"): "10s",
    ("accounts", "source-processes"): "4",
    ("accounts", "pam-service"): "restante",
    ("accounts", "command"): "none",
    ("accounts", "command-user"): "none",
    ("accounts", "command-lookup"): "no",
    ("accounts", "sqlite-file"): "none",
    ("accounts", "sqlite-query"): "none",
    ("accounts", "postgresql-connection"): "none",
    ("accounts", "postgresql-query"): "none",
    ("oauth", "jwks-file"): "none",
    ("oauth", "issuer"): "none",
    ("oauth", "audience"): "none",
    ("oauth", "user-claim"): "email",
    ("oauth", "scope"): "none",
    ("oauth", "users"): "listed",
    ("oauth", "algorithms"): "RS256, ES256",
    ("oauth", "clock-skew"): "1m",
    ("oauth", "hosts"): "none",
    ("oauth", "discovery-url"): "none",
    ("oauth", "introspection-url"): "none",
    ("oauth", "client-id"): "none",
    ("oauth", "client-secret-file"): "none",
    ("oauth", "ca-file"): "none",
    ("oauth", "introspection-timeout"): "5s",
    ("oauth", "cache-time"): "1m",
    ("log", "target"): "stderr",
    ("log", "format"): "text",
    ("log", "level"): "info",
}
NEEDED = {("pop3", "listen"): "127.0.0.1:1110, [::1]:1110",
          ("maildrop", "path"): "/var/vmail/%u", ("accounts", "file"): "/etc/restante/accounts"}


def ini(settings):
    text, last = "", None
    for (section, key), value in settings.items():
        if section != last:
            text += f"[{section}]\n"
            last = section
        text += f"{key} = {value}\n"
    return text


def at_home(world, text):
    """The folders that a real server would have are in the test's world."""
    return text.replace("/etc/restante/accounts", str(world.accounts_file)).replace(
        "/var/vmail/", f"{world.mail}/")


def check(world, text):
    world.configure(text=at_home(world, text))
    result = world.run("check-config", "-c", world.configuration_file)
    return result.returncode, (result.stdout + result.stderr).decode()


def test_the_smallest_configuration(world):
    assert check(world, ini(NEEDED))[0] == 0


@pytest.mark.parametrize("section, key", SETTINGS)
def test_each_setting_with_its_default(world, section, key):
    value = NEEDED.get((section, key)) or SETTINGS[section, key]
    settings = dict(NEEDED)
    settings.pop((section, key), None)
    text = ini(settings) + f"[{section}]\n{key} = {value}\n"
    status, output = check(world, text)
    assert status == 0, output
    # The same key is read: a senseless value is not let through.
    status, output = check(world, text.replace(f"{key} = {value}", f"{key} = \x01"))
    assert status == 2 and f"{world.configuration_file}:{text.count(chr(10))}: " in output
    # And in its section only.
    status, output = check(world, ini(NEEDED) + f"[nowhere]\n{key} = {value}\n")
    assert status == 2 and f"[{section}]" in output


def test_no_setting_is_forgotten_here():
    """A new setting fails until it is in this table, in restante.conf(5) and in the sample."""
    table = (restante.ROOT / "src/server/settings.def").read_text()
    known = re.findall(r'^SETTING\("([^"]+)", "([^"]+)", \w+, \w+, (?:NULL|"([^"]*)")\)', table,
                       re.MULTILINE)
    assert len(known) == table.count("\nSETTING(")
    assert {(section, key): default or None for section, key, default in known} == SETTINGS


def installed(*names):
    root = pathlib.Path(restante.BINARY).resolve().parent.parent.parent
    found = [path for name in names for path in root.glob(f"**/{name}")]
    assert found, f"{names} are not installed below {root}"
    return found[0]


def test_sample_configuration_is_accepted_as_it_is(world):
    status, output = check(world, installed("restante.conf").read_text())
    assert (status, output) == (0, f"{world.configuration_file}: no mistake found\n")


def test_sample_configuration_with_everything_uncommented(world):
    text = installed("restante.conf").read_text()
    uncommented = re.sub(r"^[#;] ?(?=[a-z0-9-]+ = )", "", text, flags=re.MULTILINE)
    status, output = check(world, uncommented)
    assert status == 0, output
    for (section, key), default in SETTINGS.items():
        body = re.search(rf"^\[{section}\]\n((?:[^\[].*\n|\n)*)", uncommented, re.MULTILINE)
        value = re.search(rf"^{key} = (.*?)(?:\s+[;#].*)?$", body[1], re.MULTILINE)
        assert value, f"{key} is not in the sample"
        if (section, key) not in NEEDED:
            assert value[1] == default, f"{key}: the sample gives {value[1]} as default"


MISTAKES = [
    # line of the mistake, text of the file behind NEEDED's lines, what must be named
    (8, "[pop3]\nexpires = never\n", ["expires", "pop3"]),
    (8, "[pop3]\nidle-timeout = 600\n", ["idle-timeout", "600", "10m"]),
    (8, "[pop3]\nidle-timeout = -1s\n", ["idle-timeout"]),
    (8, "[pop3]\nidle-timeout = 10 minutes\n", ["idle-timeout"]),
    (8, "[pop3]\nidle-timeout = 99999999999999999999s\n", ["idle-timeout"]),
    (8, "[pop3]\nplaintext-login = yes\n", ["never, loopback or always"]),
    (8, "[pop3]\nutf8 = maybe\n", ["yes or no"]),
    (8, "[pop3]\nmax-bad-commands = ten\n", ["max-bad-commands", "number"]),
    (8, "[pop3]\nexpire = 1w\n", ["expire", "never"]),
    (8, "[server]\nworkers = 0\n", ["workers", "auto"]),
    (8, "[server]\nworkers = 100000\n", ["workers"]),
    (8, "[server]\nstate-dir = relative/path\n", ["state-dir", "absolute"]),
    (8, "[proxy]\nlisten = 127.0.0.1:110\n", ["from", "no proxy may connect"]),
    (9, "[proxy]\nfrom = ::1\nlisten-tls = [::1]:1110\n", ["[::1]:1110", "line 2", "one list"]),
    (8, "[proxy]\nfrom = 192.0.2.1/24\n", ["from", "192.0.2.7"]),
    (8, "[proxy]\nfrom = localhost\n", ["from", "198.51.100.0/24"]),
    (8, "[proxy]\nfrom = ::/0, 10.0.0.0/8,\n", ["from"]),
    (8, "[proxy]\nheader-timeout = 0\n", ["header-timeout"]),
    (8, "[proxy]\nclient-tls = yes\n", ["unknown, told or always"]),
    (8, "[limits]\nconnections = 4294967297\n", ["connections"]),
    (8, "[limits]\nhash-memory = 1X\n", ["hash-memory", "256M"]),
    (8, "[maildrop]\nstore = mbox\n", ["store", "maildir"]),
    (8, "[log]\nlevel = loud\n", ["level", "info"]),
    (8, "[log]\ntarget = file.log\n", ["target", "stderr"]),
    (8, "[pop3]\n  idle-timeout = 10m\n", ["indented"]),
    (8, "[log]\nlevel = " + "x" * 300 + "\n", ["too long"]),
    (8, "[log]\nlevel\n", ["key = value"]),
    (9, "[log]\nlevel = info\nlevel = debug\n", ["level", "8"]),
    (8, "[server]\nexpire = never\n", ["[pop3]"]),
    (8, "[log]\nlevel = in\0fo\n", ["NUL"]),
    (8, "[log]\nlevel = \x1b[31m\n", ["level"]),
]


@pytest.mark.parametrize("line, text, names", MISTAKES)
def test_mistakes(world, line, text, names):
    status, output = check(world, ini(NEEDED) + text)
    assert status == 2
    at = re.search(rf"{re.escape(str(world.configuration_file))}:{line}: .*", output)
    assert at, output
    for name in names:
        assert name in at[0], at[0]
    assert "\x1b" not in output
    result = world.run("serve", "-c", world.configuration_file)
    assert result.returncode == 2 and at[0].encode() in result.stderr


@pytest.mark.parametrize("value", ["1110", "localhost", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999",
                                   "[::1]", "::1:1110", "300.0.0.1:1110", "127.0.0.1:1110,", "",
                                   "127.0.0.1:-1", "127.0.0.1:1110 127.0.0.1:1111"])
def test_wrong_listeners(world, value):
    status, output = check(world, ini({**NEEDED, ("pop3", "listen"): value}))
    assert status == 2 and f"{world.configuration_file}:2: " in output
    assert "127.0.0.1:1110" in output


@pytest.mark.parametrize("value", ["/var/vmail", "%u", "/var/vmail/%x", "/var/vmail/%", ""])
def test_wrong_paths(world, value):
    status, output = check(world, ini({**NEEDED, ("maildrop", "path"): value}))
    assert status == 2 and f"{world.configuration_file}:4: " in output


@pytest.mark.parametrize("missing", NEEDED)
def test_what_has_no_default_must_be_given(world, missing):
    settings = dict(NEEDED)
    del settings[missing]
    status, output = check(world, ini(settings))
    assert status == 2 and str(world.configuration_file) in output and missing[1] in output


def test_all_mistakes_are_told_at_once(world):
    status, output = check(world, "[pop3]\nlisten = x\nno-such = 1\n[log]\nlevel = loud\n")
    assert status == 2
    for line in (2, 3, 5):
        assert f"{world.configuration_file}:{line}: " in output


def test_missing_file(world):
    for verb in ("check-config", "serve"):
        result = world.run(verb, "-c", world.folder / "none.conf")
        assert result.returncode == 2
        assert b"none.conf" in result.stderr and b"No such file" in result.stderr


def test_short_idle_timeout_is_a_warning(world):
    """Less than RFC 1939's 10 minutes is allowed, with a warning."""
    status, output = check(world, ini(NEEDED) + "[pop3]\nidle-timeout = 5m\n")
    assert status == 0 and f"{world.configuration_file}:8: " in output and "1939" in output
    world.configure(pop3={"idle-timeout": "5m"})
    world.start().wait_log(r"restante\.conf:[0-9]+: .*1939")


def test_missing_accounts_file(world):
    """Found at start, and by name."""
    world.accounts_file.unlink()
    result = world.run("serve", "-c", world.configuration_file)
    assert result.returncode == 2
    assert str(world.accounts_file).encode() in result.stderr


def test_readiness_for_systemd(either_world):
    """A datagram READY=1 to NOTIFY_SOCKET, once all listeners are bound; STOPPING=1 at the end."""
    world = either_world
    path = world.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        os.chmod(path, 0o777)
        notify.settimeout(30)
        server = world.start(env=dict(os.environ, NOTIFY_SOCKET=str(path)))
        text = notify.recv(4096).decode()
        assert "READY=1" in text.split("\n")
        server.login().quit()
        server.stop()
        said = []
        notify.setblocking(False)
        try:
            while True:
                said += notify.recv(4096).decode().split("\n")
        except BlockingIOError:
            pass
        assert "STOPPING=1" in said


def test_usage(world):
    for arguments in ((), ("no-such-command",), ("serve",), ("serve", "--no-such-option"),
                      ("deliver",), ("user",), ("user", "no-such-verb"), ("check-config",)):
        result = world.run(*arguments)
        assert result.returncode != 0 and result.stderr, arguments
    for arguments in (("--help",), ("--version",)):
        result = world.run(*arguments)
        assert result.returncode == 0 and result.stdout, arguments

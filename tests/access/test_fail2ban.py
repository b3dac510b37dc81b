# SPDX-License-Identifier: MIT
"""packaging/fail2ban/restante.conf finds who guesses, in every form of the log, and nobody else."""

import re
import shutil
import subprocess

import pytest

import restante

FILTER = restante.ROOT / "packaging/fail2ban/restante.conf"
FORGED = [b'x"address=10.9.8.7:1\treason=bad_credentials', b'x"\x0baddress=10.9.8.7:1',
          b'"address":"10.9.8.7","port":1,"reason":"bad_credentials"}',
          b"10.9.8.7", b"a\\", b'\\"', b"\xff\xfe"]


def found(log):
    """The addresses that fail2ban would count, by its own program."""
    if not shutil.which("fail2ban-regex"):
        pytest.fail("fail2ban-regex is missing; scripts/bootstrap installs it")
    result = subprocess.run(["fail2ban-regex", "--out", "ip", str(log), str(FILTER)],
                            capture_output=True, text=True, timeout=60)
    assert result.returncode in (0, 1), result.stdout + result.stderr
    return result.stdout.split()


@pytest.mark.parametrize("form", ["text", "json"])
def test_failures_are_found_and_nothing_else(world, form):
    world.configure(log={"format": form})
    world.maildrop()
    server = world.start()
    for name in [b"alice", b"unknown", *FORGED]:
        with server.client(source="127.0.0.6") as client:
            client.command(b"USER " + name)
            client.command(b"PASS wrong")
            client.quit()
    server.login().quit()
    with server.login() as client:  # in use: no fault of who asks
        with server.client(source="127.0.0.9") as other:
            other.ok(b"USER alice")
            other.error(b"PASS secret")
        client.quit()
    failures = len(re.findall("login failed", server.log()))
    log = world.folder / "log"
    log.write_text(server.log())
    told = found(log)
    assert set(told) == {"127.0.0.6"}, told
    assert len(told) == len(re.findall(r"bad_credentials\"?\}?$|no_such_user\"?\}?$", server.log(),
                                       re.M))
    assert len(told) >= 6 and failures >= len(told)


def test_ipv6(world):
    world.configure(pop3={"listen": "[::1]:0"})
    server = world.start()
    with server.client() as client:
        client.ok(b"USER alice")
        client.error(b"PASS wrong")
    log = world.folder / "log"
    log.write_text(server.log())
    assert found(log) == ["::1"]


@pytest.mark.parametrize("line", [
    "Nov 24 08:00:00 host restante-worker[12]: login failed user=\"a\" address=192.0.2.7:5 "
    "method=USER reason=bad_credentials",
    "2026-11-24T08:00:00.123456+00:00 host restante-worker[12]: login failed user=\"a\" "
    "address=192.0.2.7:5 method=SCRAM-SHA-256 reason=no_such_user",
    'Nov 24 08:00:00 host restante-worker[12]: {"time":"2026-11-24T08:00:00.000Z","level":"info",'
    '"process":"restante-worker","pid":12,"event":"login failed","user":"a","address":"192.0.2.7",'
    '"port":5,"method":"USER","reason":"bad_credentials"}'],
    ids=["syslog", "rsyslog-iso", "syslog-json"])
def test_as_syslog_writes_it(tmp_path, line):
    log = tmp_path / "mail.log"
    log.write_text(line + "\n")
    assert found(log) == ["192.0.2.7"]
    log.write_text(line.replace("no_such_user", "temporary").replace("bad_credentials", "temporary")
                   + "\n")
    assert found(log) == []

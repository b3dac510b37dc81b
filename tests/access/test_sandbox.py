# SPDX-License-Identifier: MIT
"""What is left to an intruder in a worker: tests/sandbox/attack tries, and running servers are looked at."""

import os
import pathlib
import re
import subprocess

import pytest

import maildir
import restante

BUILD = pathlib.Path(os.environ.get("RESTANTE_BUILD", restante.ROOT / "build"))
ATTACK = BUILD / "tests/sandbox/attack"
WITHOUT = BUILD / "tests/sandbox/without"
AS_USER = ["--as-user", "nobody"]
USERS = pytest.mark.parametrize(
    "user", [[], AS_USER] if restante.IS_ROOT else [[]],
    ids=["as-root", "as-user"] if restante.IS_ROOT else ["as-user"])


def attack(*arguments):
    """What came of each attack."""
    result = subprocess.run([ATTACK, *arguments], capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    lines = [line.split(" ") for line in result.stdout.splitlines()]
    assert all(len(line) == 2 and line[1] in ("DENIED", "SUCCEEDED") for line in lines), lines
    return dict(lines)


def attacks(*arguments):
    result = subprocess.run([ATTACK, "--list", *arguments], capture_output=True, text=True,
                            check=True)
    return set(result.stdout.split())


def succeeded(outcomes):
    return {name for name, outcome in outcomes.items() if outcome == "SUCCEEDED"}


@USERS
def test_without_the_sandbox_every_attack_succeeds(user):
    """Else a DENIED would prove nothing."""
    outcomes = attack("--no-sandbox", *user)
    assert set(outcomes) == attacks(*user)
    assert len(outcomes) > (60 if restante.IS_ROOT and not user else 45)
    assert succeeded(outcomes) == set(outcomes)


@pytest.mark.sanitized
@USERS
@pytest.mark.parametrize("abi", ["1", "2", "max"])
def test_a_worker_gets_nowhere(abi, user):
    outcomes = attack("--abi", abi, *user)
    assert set(outcomes) == attacks(*user)
    assert succeeded(outcomes) == set()


@USERS
def test_a_delegate_gets_nowhere(user):
    outcomes = attack("--delegate", *user)
    assert set(outcomes) == attacks(*user)
    assert succeeded(outcomes) == set()


@USERS
def test_auth_reaches_the_accounts_and_nothing_else(user):
    outcomes = attack("--auth", *user)
    assert set(outcomes) == attacks(*user)
    assert succeeded(outcomes) == {"read-accounts", "climb-out", "follow-symlink"}


FILES = {"read-accounts", "read-tls-key", "read-etc-passwd", "read-proc-1", "read-proc-self",
         "list-other-folder", "create-outside", "write-accounts", "remove-outside",
         "make-folder-outside", "rename-out", "rename-in", "link-in", "follow-symlink",
         "make-symlink", "climb-out", "make-fifo"}


def test_landlock_alone():
    """Each fence does its part without the other, and each ABI of Landlock what it has more."""
    outcomes = [{name for name, outcome in attack("--only", "landlock", "--abi", abi).items()
                 if outcome == "DENIED"} for abi in ("1", "3", "4", "6")]
    assert FILES | {"execute", "execute-from-mail"} <= outcomes[0]
    assert outcomes[1] - outcomes[0] == {"truncate-outside"}
    assert outcomes[2] - outcomes[1] == {"connect-tcp", "bind-tcp"}
    assert outcomes[3] - outcomes[2] == {
        "connect-abstract", "kill-master", "kill-sibling", "kill-thread-of-sibling",
        "queue-signal", "signal-by-pidfd"}
    assert "follow-symlink" in outcomes[3]


def test_seccomp_alone():
    left = succeeded(attack("--only", "seccomp"))
    assert left <= FILES | {"read-proc-master-memory", "open-device"}
    assert "read-accounts" in left  # files are Landlock's


def status_of(path, field):
    return re.search(rf"^{field}:\s*(\S+)", pathlib.Path(path, "status").read_text(), re.M)[1]


@pytest.mark.sanitized
def test_all_threads_of_a_server_are_in_it(either_world):
    server = either_world.start()
    server.login().quit()
    children = server.children()
    assert len(children) == 3
    for child in children:
        threads = list(pathlib.Path(f"/proc/{child.pid}/task").iterdir())
        hashing = max(2, len(os.sched_getaffinity(0))) + 1
        assert len(threads) >= (9 if "worker" in child.command else 1 + hashing)
        for thread in threads:
            assert status_of(thread, "Seccomp") == "2", child.command
            assert status_of(thread, "NoNewPrivs") == "1"


@pytest.mark.sanitized
def test_a_maildrop_that_leads_out_is_not_opened(either_world):
    """Its files may be the worker's user's own: it is Landlock that refuses."""
    world = either_world
    elsewhere = world.folder / "elsewhere"
    maildir.create(elsewhere, world.owner)
    maildir.write(elsewhere, b"Subject: x\n\nx\n", "1.M1P1.host", world.owner)
    (world.mail / "alice").symlink_to(elsewhere)
    server = world.start()
    with server.client() as client:
        client.ok(b"USER alice")
        assert client.error(b"PASS secret").startswith(b"-ERR [SYS/")
    world.configure(maildrop={"roots": elsewhere})
    server.stop()
    server = world.start()
    with server.login() as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")
        client.quit()


def test_a_maildrop_of_an_account_outside_all_roots(either_world):
    world = either_world
    elsewhere = world.folder / "elsewhere"
    maildir.create(elsewhere / "box", world.owner)
    world.own(elsewhere)
    world.write_accounts({"alice": f"{{PLAIN}}secret::::::userdb_mail=maildir:{elsewhere}/box",
                          "bob": "secret"})
    server = world.start()
    with server.client() as client:
        client.ok(b"USER alice")
        assert client.error(b"PASS secret").startswith(b"-ERR [SYS/PERM]")
    server.login(b"bob").quit()
    assert server.wait_log(rf"user=alice: {elsewhere}/box lies outside of all mail roots")
    said = world.run("check-config", "-c", world.configuration_file)
    assert re.search(rb"1 accounts have a maildrop outside of all mail roots.*line 1: "
                     + str(elsewhere).encode(), said.stdout + said.stderr)
    server.stop()
    world.configure(maildrop={"roots": elsewhere})
    said = world.run("check-config", "-c", world.configuration_file)
    assert b"outside of all" not in said.stdout + said.stderr
    server = world.start()
    server.login().quit()


def missing(kind):
    if not WITHOUT.exists():
        pytest.fail(f"{WITHOUT} is not built")
    return [str(WITHOUT), kind]


@pytest.mark.parametrize("kind", ["landlock", "seccomp"])
def test_a_kernel_that_lacks_it(world, kind):
    """The log says so, and the server serves."""
    program = world.folder / "without"
    program.write_bytes(WITHOUT.read_bytes())
    program.chmod(0o755)
    world.put(b"Subject: x\n\nx\n")
    server = world.start(prefix=[str(program), kind])
    assert re.search(rf"Z warning restante\[\d+\]: \S+: sandbox: this kernel .*{kind}",
                     server.log(), re.I)
    with server.login() as client:
        client.multiline(b"RETR 1")
        client.ok(b"DELE 1")
        client.quit()


@pytest.mark.parametrize("kind", ["landlock", "seccomp"])
def test_require_sandbox(world, kind):
    world.configure(server={"require-sandbox": "yes"})
    server = world.start()
    server.login().quit()
    server.stop()
    for command in (["serve"], ["check-config"]):
        result = subprocess.run(
            [*missing(kind), restante.BINARY, *command, "-c", str(world.configuration_file)],
            capture_output=True, text=True, timeout=30)
        assert result.returncode == 2, result
        assert re.search(rf"^{world.configuration_file}:\d+: sandbox: .*{kind}.*require-sandbox",
                         result.stdout + result.stderr, re.I | re.M)


def test_require_sandbox_and_a_mail_root_that_is_everything(world):
    world.configure(server={"require-sandbox": "yes"}, maildrop={"path": "/%u"})
    said = world.run("check-config", "-c", world.configuration_file)
    assert said.returncode == 2
    assert b"leave workers all files open" in said.stdout + said.stderr

# SPDX-License-Identifier: MIT
"""scripts/demo: what the first command of the README gives a person."""

import email
import email.policy
import os
import pathlib
import re
import signal
import subprocess
import tempfile

import pytest

import maildir
import restante

SAMPLE = sorted((restante.ROOT / "packaging/sample-maildrop").glob("*.eml"))


def curl(line):
    """A line of those that are shown, word by word, as one of the machine's other users."""
    world = {"user": restante.PLAIN_UID, "group": restante.PLAIN_UID,
             "extra_groups": []} if restante.IS_ROOT else {}
    return subprocess.run(line.replace("curl ", "curl -s -S -v ", 1), shell=True, cwd="/",
                          capture_output=True, timeout=60, **world)


def assert_reads_all(line):
    for number, letter in enumerate(SAMPLE, 1):
        got = curl(re.sub("/1$", f"/{number}", line))
        assert got.returncode == 0, got.stderr
        assert got.stdout == maildir.on_the_wire(letter.read_bytes())
        assert (b"SSL connection using TLSv1.3" in got.stderr) == ("--cacert" in line)


def assert_tls_is_real(*lines):
    """Without the certificate curl reads with its check off, and else not at all."""
    for line in lines:
        without, certificate = re.search(r" --cacert (\S+)", line).group(0, 1)
        assert os.stat(certificate).st_mode & 0o777 == 0o644
        assert curl(line.replace(without, "")).returncode == 60  # its check failed
        read = curl(line.replace(without, " -k"))
        assert read.stdout == maildir.on_the_wire(SAMPLE[0].read_bytes())


def shell(line, home, path, password=b""):
    """A line of those that are shown, as the person whose home it is."""
    who = {"user": restante.PLAIN_UID, "group": restante.PLAIN_UID, "extra_groups": []} if restante.IS_ROOT else {}
    return subprocess.run(line, shell=True, cwd="/", env={"HOME": home, "PATH": f"{path}:/usr/bin:/bin"}, input=password,
                          capture_output=True, timeout=60, **who)


def take_down(said, home):
    line, path = re.search(r"^  (restante fetch .*)\n  with restante in (.*)$", said, re.MULTILINE).groups()
    got = shell(line, home, path, b"secret\n")
    assert got.returncode == 0, got.stderr
    wrong = shell(re.sub(" --ca-file [^ ]+", "", line), home, path, b"secret\n")
    assert wrong.returncode == 69 and b"self-signed" in wrong.stderr
    return path


def assert_reads_without_a_server(home, path):
    """The README's lines, word by word."""
    lines = re.findall(r"^    (restante (?:list|show 1))$", (restante.ROOT / "README.md").read_text(), re.MULTILINE)
    assert lines == ["restante list", "restante show 1"]
    listed, shown = (shell(line, home, path) for line in lines)
    assert listed.returncode == 0 and shown.returncode == 0, (listed.stderr, shown.stderr)
    rows = listed.stdout.decode().splitlines()
    assert [row.split()[0] for row in rows] == [str(number) for number in range(1, len(SAMPLE) + 1)]
    first = email.message_from_bytes(SAMPLE[0].read_bytes(), policy=email.policy.default)
    assert f"Subject: {first['subject']}" in shown.stdout.decode()
    box = pathlib.Path(home) / "Mail/alice@127.0.0.1"
    letters = sorted(path.read_bytes() for place in ("new", "cur") for path in (box / place).glob("*"))
    assert letters == sorted(letter.read_bytes() for letter in SAMPLE)


@pytest.mark.timeout(300)
def test_demo_can_be_built(tmp_path):
    """As the demo configures it, which is without tests."""
    setup = re.search(r"^ *(meson setup .*)$", (restante.ROOT / "scripts/demo").read_text(), re.MULTILINE)[1]
    environment = dict(os.environ, tree=str(restante.ROOT), build=str(tmp_path / "demo"))
    subprocess.run(["sh", "-euc", setup], env=environment, check=True, capture_output=True)
    planned = subprocess.run(["ninja", "-C", tmp_path / "demo", "-n"], check=True, capture_output=True)
    assert b"Linking target src/cli/restante" in planned.stdout
    assert b"tests/" not in planned.stdout


# To build once more takes as long as many tests.
@pytest.mark.parametrize("builds", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.timeout(300)
def test_demo(builds):
    # Another user has to reach his home: not in tmp_path, which is root's.
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as home, \
            tempfile.TemporaryDirectory() as built:
        for reached in (folder, built):
            os.chmod(reached, 0o755)
        environment = dict(os.environ, TMPDIR=folder)
        if not builds:
            environment["RESTANTE_BUILD_DIR"] = built
            os.symlink(os.environ["RESTANTE_BUILD"], pathlib.Path(built) / "demo")
        with subprocess.Popen([restante.ROOT / "scripts/demo"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=environment, start_new_session=True) as demo:
            try:
                said = ""
                while "certificate is self-signed" not in said:
                    line = demo.stdout.readline()
                    assert line, said
                    said += line
                port = re.search(r"on 127\.0\.0\.1:(\d+)\.", said)[1]
                lines = re.findall(r"curl .*/1$", said, re.MULTILINE)
                assert [f":{port}/" in line for line in lines] == [True, True, False]
                for line in lines:
                    assert_reads_all(line)
                assert_tls_is_real(*lines[1:])
                if restante.IS_ROOT:
                    os.chown(home, restante.PLAIN_UID, restante.PLAIN_UID)
                path = take_down(said, home)
                processes = restante.processes_of_session(demo.pid)
                servers = [process for process in processes if " serve " in process.command]
                assert servers
                if restante.IS_ROOT:
                    assert 0 not in {process.uid for process in servers}
                os.killpg(demo.pid, signal.SIGINT)
                assert demo.wait(60) == 0
                assert os.listdir(folder) == []
                assert restante.processes_of_session(demo.pid) == []
                assert_reads_without_a_server(home, path)
            finally:
                for process in restante.processes_of_session(demo.pid):
                    os.kill(process.pid, signal.SIGKILL)

# SPDX-License-Identifier: MIT
"""scripts/demo: what the first command of the README gives a person."""

import os
import re
import signal
import subprocess
import tempfile

import pytest

import maildir
import restante

SAMPLE = sorted((restante.ROOT / "packaging/sample-maildrop").glob("*.eml"))


@pytest.mark.timeout(300)
def test_demo():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        environment = dict(os.environ, TMPDIR=folder)
        environment.pop("RESTANTE_BUILD", None)
        with subprocess.Popen([restante.ROOT / "scripts/demo"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=environment, start_new_session=True) as demo:
            try:
                said = ""
                while "by hand" not in said:
                    line = demo.stdout.readline()
                    assert line, said
                    said += line
                port = re.search(r"on 127\.0\.0\.1:(\d+)\.", said)[1]
                url = re.search(r"curl --user (\S+) (pop3://\S+:\d+)/1", said)
                for number, letter in enumerate(SAMPLE, 1):
                    got = subprocess.run(["curl", "-s", "--user", url[1], f"{url[2]}/{number}"],
                                         capture_output=True, check=True).stdout
                    assert got == maildir.on_the_wire(letter.read_bytes())
                assert port in url[2]
                processes = restante.processes_of_session(demo.pid)
                servers = [process for process in processes if " serve " in process.command]
                assert servers
                if restante.IS_ROOT:
                    assert 0 not in {process.uid for process in servers}
                os.killpg(demo.pid, signal.SIGINT)
                assert demo.wait(60) == 0
                assert os.listdir(folder) == []
                assert restante.processes_of_session(demo.pid) == []
            finally:
                for process in restante.processes_of_session(demo.pid):
                    os.kill(process.pid, signal.SIGKILL)

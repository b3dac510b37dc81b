# SPDX-License-Identifier: MIT
"""docs/system-users.md, line by line, with mounts and a network of its own."""

import os
import pathlib
import re
import signal
import subprocess

import pytest

import restante

PAGE = (restante.ROOT / "docs/system-users.md").read_text()
STEPS = ["users", "pam", "configuration", "person", "start", "deliver", "read"]

# What installing would have put in place, and nothing of this machine that the lines could change. The loop-back
# interface is up as soon as somebody says so.
PREPARE = """\
set -e
mount -t tmpfs tmpfs /mnt
mkdir /mnt/etc
cp -a /etc/. /mnt/etc/ 2>/dev/null || true
for folder in /home /usr/local /var/lib /run; do mount -t tmpfs tmpfs $folder; done
mount --bind /mnt/etc /etc
rm -rf /etc/restante /etc/pam.d/restante
mkdir -p /usr/local/bin /usr/local/share/doc/restante/examples/pam.d
cp "$SOURCE/packaging/pam.d/restante" /usr/local/share/doc/restante/examples/pam.d/
ln -s "$BINARY" /usr/local/bin/restante
/usr/bin/python3 -c '
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
'
cd /
"""
# A person waits until the server has started before the next line is typed.
WAIT = """\
trap "kill $!; wait $!" EXIT
for try in $(seq 300); do
    test -S /var/lib/restante/control && curl -s --user x:x pop3://localhost/ && break
    test $? = 67 && break
    sleep 0.1
done
"""


def step(name):
    return re.search(rf"^```sh {name}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]


def run(script, log):
    """Exit status, standard output, standard error."""
    with open(log, "wb") as errors:
        process = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-c", script], stdout=subprocess.PIPE,
            stderr=errors, start_new_session=True,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                 "SOURCE": str(restante.ROOT), "BINARY": os.path.realpath(restante.BINARY)})
    try:
        printed, _ = process.communicate(timeout=100)
    finally:
        for left in restante.processes_of_session(process.pid):
            os.kill(left.pid, signal.SIGKILL)
        process.wait()
    return process.returncode, printed.decode(), log.read_text(errors="replace")


@pytest.mark.sanitized
@pytest.mark.skipif(not restante.IS_ROOT, reason="needs root")
def test_word_by_word(tmp_path):
    assert re.findall(r"^```sh (\w+)$", PAGE, re.MULTILINE) == STEPS
    script = PREPARE + "".join(
        f"echo '--- {name}'\n{step(name)}{WAIT if name == 'start' else ''}" for name in STEPS)
    script += ("echo '--- after'\nstat -c '%U %a' /home/carol /home/carol/Maildir/new/*\n"
               "! curl -s --ssl-reqd --cacert /var/lib/restante/self-signed.pem "
               "--user 'carol:wrong' pop3://localhost/1\n")
    status, printed, said = run(script, tmp_path / "log")
    assert status == 0, printed + said
    parts = dict(zip(["", *STEPS, "after"],
                     re.split(r"^--- \w+\n", printed.replace("\r", ""), flags=re.MULTILINE)))
    assert parts["read"] == "Subject: hello\n\nIt works.\n" * 2, said
    assert re.fullmatch(r"carol 700\ncarol 600\n", parts["after"]), said
    assert not restante.REPORT.search(said), said
    assert not pathlib.Path("/home/carol").exists()

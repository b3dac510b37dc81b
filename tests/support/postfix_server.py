# SPDX-License-Identifier: MIT
"""A Postfix of its own: queue, configuration and log in one folder."""

import pathlib
import shutil
import smtplib
import socket
import subprocess

import pytest

import maildir
import restante

MASTER = """
smtp      inet  n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
tlsmgr    unix  - - n 1000? 1 tlsmgr
anvil     unix  - - n - 1 anvil
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    def __init__(self, folder, main, master=""):
        self.folder = folder
        for name in ("etc", "spool", "data"):
            (folder / name).mkdir()
        shutil.chown(folder / "data", "postfix", "postfix")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        (folder / "etc/main.cf").write_text(f"""
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = mx.example.org
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_recipient_restrictions = permit_mynetworks, reject
message_size_limit = 100000000
minimal_backoff_time = 2s
maximal_backoff_time = 2s
queue_run_delay = 1s
notify_classes =
alias_maps =
{main}""")
        (folder / "etc/master.cf").write_text(
            MASTER.replace("smtp      inet", f"127.0.0.1:{self.port} inet") + master)

    def command(self, verb):
        return subprocess.run(["/usr/sbin/postfix", "-c", self.folder / "etc", verb],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def start(self):
        started = self.command("start")
        assert started.returncode == 0, started.stderr + started.stdout + self.log()

    def stop(self):
        stopped = self.command("stop")
        assert stopped.returncode == 0, stopped.stderr + self.log()

    def log(self):
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def send(self, octets, recipient="alice@example.org"):
        """By SMTP, the octets as they are; it takes 8-bit ones (RFC 6152)."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=30) as client:
            client.ehlo()
            client.sendmail("sender@example.com", [recipient], maildir.on_the_wire(octets),
                            ["BODY=8BITMIME"])

    def queue_is_empty(self):
        return not any(path.is_file() for name in ("incoming", "active", "deferred", "maildrop")
                       for path in (self.folder / "spool" / name).rglob("*"))


def need_postfix():
    if not restante.IS_ROOT:
        pytest.skip("needs root: Postfix starts as root only")
    if not pathlib.Path("/usr/sbin/postfix").exists():
        pytest.skip("no Postfix: another mail server is installed, and stays")

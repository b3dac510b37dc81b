# SPDX-License-Identifier: MIT
"""The servers that are compared: the floor, Debian's Dovecot in two tempers, and Restante."""

import os
import re
import select
import socket
import subprocess
import time

import packages
from machine import ControlGroup


def free_port():
    with socket.socket() as any_socket:
        any_socket.bind(("127.0.0.1", 0))
        return any_socket.getsockname()[1]


class Server:
    """Start, stop, and how much processor time all its processes took."""

    name = title = ""
    index = ()  # patterns of its cache beside cur/: without them, the next login is the first ever
    tls_port = None  # with TLS from the first octet
    few_cases = False  # True: takes part where every server can be asked the same
    most_idle = 10_000
    serves_mail = True  # False: has no maildrops that could be opened
    delivers = False  # True: `deliver` brings a message the server's own way
    workers = 1  # processes that serve sessions, where that is ours to choose: all have one core

    def __init__(self, context):
        self.context = context
        self.folder = context.state / self.name
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.group = ControlGroup(self.name)
        self.port = None
        self.process = None
        self.log = self.folder / "stderr"

    def start(self):
        raise NotImplementedError

    def restart(self):
        """With memory that no earlier session has left behind."""
        self.stop()
        self.group = ControlGroup(self.name)
        self.start()

    def spawn(self, command, **options):
        with open(self.log, "wb") as log:
            self.process = self.group.start(command, self.context.server_core, stderr=log,
                                            stdin=subprocess.DEVNULL, **options)

    def spawn_ready(self, command):
        """Starts a server that says `pop3 ADDRESS:PORT` and `ready` on the descriptor --ready-fd."""
        reader, writer = os.pipe()
        self.spawn([*command, "--ready-fd", str(writer)], pass_fds=(writer,),
                   stdout=subprocess.DEVNULL)
        os.close(writer)
        text, deadline = b"", time.monotonic() + 20
        with os.fdopen(reader, "rb", buffering=0) as pipe:
            while b"ready\n" not in text and time.monotonic() < deadline:
                if select.select([pipe], [], [], 0.1)[0]:
                    chunk = pipe.read(4096)
                    if not chunk:
                        break
                    text += chunk
        port = re.search(rb"^pop3 .*:(\d+)$", text, re.MULTILINE)
        tls_port = re.search(rb"^pop3s .*:(\d+)$", text, re.MULTILINE)
        if b"ready\n" not in text or not port:
            self.give_up("did not become ready")
        self.port = int(port.group(1))
        self.tls_port = int(tls_port.group(1)) if tls_port else None

    def await_greeting(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                    if connection.recv(3) == b"+OK":
                        connection.sendall(b"QUIT\r\n")
                        return
            except OSError:
                time.sleep(0.05)
        self.give_up("did not greet")

    def give_up(self, what):
        raise SystemExit(f"bench/run: {self.title} {what}:\n{self.last_words()}")

    def last_words(self):
        texts = [path.read_text(errors="replace")[-2000:]
                 for path in (self.folder / "stderr", self.log) if path.exists()]
        return "\n".join(dict.fromkeys(texts))

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.group.remove()


class Floor(Server):
    name, title = "floor", "floor"
    serves_mail = False

    def start(self):
        self.spawn_ready([self.context.build / "bench/floor", "--corpus",
                          self.context.corpus.truth])


class Dovecot(Server):
    """As Debian configures it, but for what a run without installation needs."""

    name, title = "dovecot", "Dovecot, default"
    index = ("dovecot*",)
    most_idle = 90  # of 100 processes that speak TLS
    settings = ""

    def start(self):
        tree = self.context.peers
        self.port, self.tls_port = free_port(), free_port()
        certificate, key = self.make_certificate()
        self.log = self.folder / "log"
        configuration = self.folder / "dovecot.conf"
        configuration.write_text(f"""
protocols = pop3
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.log}
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
auth_mechanisms = plain
default_login_user = nobody
default_internal_user = daemon
default_internal_group = daemon
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:%h
mail_max_userip_connections = 0
passdb {{
  driver = passwd-file
  args = {self.context.accounts}
}}
userdb {{
  driver = static
  args = uid={self.context.owner.pw_uid} gid={self.context.owner.pw_gid} home={self.context.corpus.mail}/%u
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {self.port}
  }}
  inet_listener pop3s {{
    port = {self.tls_port}
    ssl = yes
  }}
}}
{self.settings}""")
        self.spawn([*packages.as_if_installed(tree), "/usr/sbin/dovecot", "-F", "-c", configuration],
                   env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        self.await_greeting()


    def make_certificate(self):
        """Of the same kind as Restante's own: P-256."""
        certificate, key = self.folder / "certificate.pem", self.folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "30", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate],
                       check=True, capture_output=True)
        return certificate, key


class DovecotTuned(Dovecot):
    """Tuned for speed: processes that serve many sessions at once and one after the other, a cache of
    credentials, no flags, no waiting for disks. Of several models this was the fastest on one core."""

    name, title = "dovecot-tuned", "Dovecot, tuned"
    most_idle = 10_000
    settings = """
default_vsz_limit = 2 G
auth_cache_size = 10 M
auth_cache_ttl = 1 hour
auth_cache_verify_password_with_worker = no
mail_fsync = never
maildir_very_dirty_syncs = yes
pop3_no_flag_updates = yes
pop3_fast_size_lookups = no
service pop3-login {
  service_count = 0
  process_min_avail = 1
  process_limit = 1
  client_limit = 11000
}
service pop3 {
  service_count = 0
  process_min_avail = 1
  process_limit = 110
  client_limit = 100
}
service auth {
  client_limit = 12000
}
service anvil {
  client_limit = 12000
}
"""


class Restante(Server):
    """One worker where time is measured, since there is one core."""

    name, title = "restante", "Restante"
    index = ("restante.index*", "restante.ids*")
    delivers = True

    @property
    def configuration(self):
        return self.folder / "restante.conf"

    def deliver(self, user, message):
        subprocess.run([self.context.build / "src/cli/restante", "deliver", user, "-c", self.configuration],
                       input=message, check=True)

    def start(self):
        self.configuration.write_text(f"""[server]
state-dir = {self.folder}/state
user = {self.context.owner.pw_name}
auth-user = daemon
workers = {self.workers}
[pop3]
listen = 127.0.0.1:0
listen-tls = 127.0.0.1:0
[limits]
connections = 11000
connections-per-address = 11000
[maildrop]
path = {self.context.corpus.mail}/%u
[accounts]
file = {self.context.accounts}
""")
        (self.folder / "state").mkdir(exist_ok=True)
        self.spawn_ready([self.context.build / "src/cli/restante", "serve", "-c", self.configuration])
        self.await_greeting()


ALL = (Floor, Restante, DovecotTuned, Dovecot)

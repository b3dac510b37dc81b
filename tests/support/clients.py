# SPDX-License-Identifier: MIT
"""Real clients read alice's mail: one function for each, which writes its configuration and runs it."""

import os
import pathlib
import pty
import re
import select
import subprocess
import time

import maildir
import restante

GETMAIL = pathlib.Path(__file__).with_name("getmail.py")
PLAIN, STLS, TLS = "plain", "STLS", "TLS"  # how a client shall be secured: RFC 2595, RFC 8314


class Reader:
    """One who reads mail, in a home of their own, over `security`; what they trust is in `authority` (a
    file), and nothing else is."""

    def __init__(self, world, server=None, security=PLAIN, authority=None):
        self.world, self.server = world, server
        self.security, self.authority = security, authority
        # Certificates are made out to the name; without one the address shows that no name is needed.
        self.host = "127.0.0.1" if security == PLAIN else "localhost"
        self.home = world.folder / "home"
        self.home.mkdir()
        world.own(self.home)
        self.mail = self.home / "mail"
        maildir.create(self.mail, world.owner)
        self.environment = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8",
                            "TERM": "xterm"}

    @property
    def port(self):
        return self.server.tls_address[1] if self.security == TLS else self.server.port

    def run(self, *command, input=b"", timeout=100):
        return subprocess.run([str(part) for part in command], input=input, capture_output=True,
                              timeout=timeout, cwd=self.home, env=self.environment,
                              **self.world.identity(restante.PLAIN_UID))

    def write(self, name, text, mode=0o600):
        path = self.home / name
        path.write_text(text)
        path.chmod(mode)
        self.world.own(path)
        return path

    def received(self):
        return list(maildir.files(self.mail).values())

    def assert_taken(self):
        """The client has the server's copies deleted."""
        restante.wait_until(lambda: maildir.names(self.world.maildrop()) == [], "all deleted")

    def curl(self, path="", *options, password="secret"):
        security = {PLAIN: [], STLS: ["--ssl-reqd"], TLS: []}[self.security]
        if self.authority:
            security += ["--cacert", self.authority]
        scheme = "pop3s" if self.security == TLS else "pop3"
        return self.run("curl", "-s", "-S", "--user", f"alice:{password}", *security, *options,
                        f"{scheme}://{self.host}:{self.port}/{path}")

    def mpop(self, password="secret", auth="user", keep="off"):
        security = {PLAIN: "tls off", STLS: "tls on\ntls_starttls on",
                    TLS: "tls on\ntls_starttls off"}[self.security]
        if self.authority:
            security += f"\ntls_trust_file {self.authority}"
        return self.run("mpop", "-C", self.write("mpoprc", f"""
account default
host {self.host}
port {self.port}
user alice
password {password}
auth {auth}
{security}
keep {keep}
received_header off
uidls_file {self.home}/uidls
delivery maildir {self.mail}
"""))

    def fetchmail(self, protocol="pop3", auth="password", password="secret"):
        keep = self.write("keep", f'#!/bin/sh\nexec cat > "$(mktemp {self.mail}/new/XXXXXXXX)"\n', 0o700)
        security = {PLAIN: 'sslproto ""', STLS: 'sslproto "TLS1.2+"',
                    TLS: 'ssl sslproto "TLS1.2+"'}[self.security]
        if self.authority:
            security += f' sslcertck sslcertfile "{self.authority}" sslcertpath "{self.home}"'
        return self.run("fetchmail", "-f", self.write("fetchmailrc", f"""
set no bouncemail
set invisible
poll {self.host} protocol {protocol} port {self.port} no envelope auth {auth} timeout 30
    user "alice" password "{password}" is "nobody" here {security} nokeep fetchall no rewrite mda "{keep}"
"""), "--pidfile", self.home / "pid", "--nodetach", "--nosyslog")

    def getmail(self, apop=False, delete=True, password="secret"):
        """It knows no STLS for POP3."""
        state = self.home / "state"
        state.mkdir(exist_ok=True)
        self.world.own(state)
        kind = {PLAIN: "SimplePOP3Retriever", TLS: "SimplePOP3SSLRetriever"}[self.security]
        return self.run("/usr/bin/python3", GETMAIL, "-g", state, "-r", self.write("getmailrc", f"""
[retriever]
type = {kind}
server = {self.host}
port = {self.port}
username = alice
password = {password}
use_apop = {apop}
{f"ca_certs = {self.authority}" if self.authority else ""}

[destination]
type = Maildir
path = {self.mail}/

[options]
delete = {delete}
read_all = true
received = false
delivered_to = false
"""))

    def received_by_getmail(self):
        """Return-Path is the header that getmail adds whatever it is told."""
        return [octets.removeprefix(b"Return-Path: <unknown>\n") for octets in self.received()]

    def mutt(self, auth=None, answers=()):
        """Files all mail. `answers`: what to type when a text is shown."""
        security = {PLAIN: "ssl_starttls=no ssl_force_tls=no", STLS: "ssl_starttls=yes ssl_force_tls=yes",
                    TLS: "ssl_force_tls=yes"}[self.security]
        if self.authority:
            security += f" ssl_ca_certificates_file={self.authority} certificate_file={self.home}/accepted"
        if auth:
            security += f" pop_authenticators={auth}"
        rc = self.write("muttrc", f"""
set folder={self.home} spoolfile={self.home}/none mbox_type=Maildir
set {security} pop_checkinterval=600 pop_delete=yes pop_reconnect=no
set confirmappend=no confirmcreate=no copy=no quit=yes delete=yes wait_key=no
set header_cache="" message_cachedir="" mark_old=no
set pop_user=alice pop_pass=secret
push "<tag-pattern>~A<enter><tag-prefix><save-message>{self.mail}<enter><quit>"
""")
        scheme = "pops" if self.security == TLS else "pop"
        return self._on_a_terminal(answers, "mutt", "-n", "-F", rc, "-f",
                                   f"{scheme}://{self.host}:{self.port}/")

    def received_by_mutt(self):
        """Two headers stand at the end of those that it files."""
        return [re.sub(rb"\nContent-Length: \d+\nLines: \d+\n\n", b"\n\n", octets, count=1)
                for octets in self.received()]

    def _on_a_terminal(self, answers, *command):
        """Runs a program that wants a terminal to its end; what it has shown."""
        master, slave = pty.openpty()
        answers = list(answers)
        with subprocess.Popen([str(part) for part in command], stdin=slave, stdout=slave, stderr=slave,
                              cwd=self.home, start_new_session=True, env=self.environment,
                              **self.world.identity(restante.PLAIN_UID)) as process:
            os.close(slave)
            shown, deadline = b"", time.monotonic() + 90
            try:
                while time.monotonic() < deadline:
                    if select.select([master], [], [], 1)[0]:
                        shown += os.read(master, 65536)
                    if answers and answers[0][0] in shown:
                        os.write(master, answers.pop(0)[1])
            except OSError:
                pass  # EIO: it has ended
            finally:
                os.close(master)
                if time.monotonic() >= deadline:
                    process.kill()
        assert process.returncode == 0 and not answers, shown[-2000:]
        return shown

    def s_client(self, commands):
        """openssl(1) as a person's hands; it verifies, and goes no further where that fails."""
        stls = ["-starttls", "pop3"] if self.security == STLS else []
        return self.run("openssl", "s_client", *stls, "-connect", f"{self.host}:{self.port}", "-quiet",
                        "-crlf", "-verify_return_error", "-verify_hostname", self.host,
                        "-CAfile", self.authority, "-no-CApath", "-no-CAstore", input=commands)

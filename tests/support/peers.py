# SPDX-License-Identifier: MIT
"""Debian's POP3 servers, unpacked by scripts/bootstrap and run where they lie over /usr."""

import contextlib
import grp
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest

import packages
import restante
from authority import Authority

TREE = packages.TEST_PEERS / "peers"
OWNER = pwd.getpwnam("mail")


def need(program):
    if not restante.IS_ROOT:
        pytest.skip("needs root: mounts an unpacked server over /usr")
    assert (TREE / program).exists(), f"no {TREE / program}: scripts/bootstrap test unpacks it"


def free_ports(count):
    """Different ones, that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def await_sign(sign, process, log):
    """Until sign() is true; the server's log if it ends or a long time passes before."""
    deadline = time.monotonic() + 20
    while not sign():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"not ready:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.02)


def greets(port, with_what):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            return connection.recv(512).startswith(with_what)
    except OSError:
        return False


def end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def fill_maildir(folder, messages, uid):
    """It holds these messages, and no others."""
    shutil.rmtree(folder, ignore_errors=True)
    for place in (folder, folder / "cur", folder / "new", folder / "tmp"):
        place.mkdir()
        os.chown(place, uid, OWNER.pw_gid)
    for number, message in enumerate(messages):
        path = folder / "new" / f"{1700000000 + number}.M{number}P1.host"
        path.write_bytes(message)
        os.chown(path, uid, OWNER.pw_gid)


def maildir_holds(folder):
    return [path.read_bytes() for place in ("new", "cur") for path in sorted((folder / place).glob("*"))]


class Dovecot:
    """Every user has the password `secret`, and a maildrop."""

    name = "Dovecot"
    mechanisms = ("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "APOP", "PLAIN", "LOGIN", "USER")

    def __init__(self):
        need("usr/lib/dovecot/pop3")
        need("usr/lib/dovecot/lmtp")
        need("usr/lib/dovecot/imap")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="restante-dovecot-"))
        self.folder.chmod(0o755)
        self.mail = self.folder / "mail"
        self.mail.mkdir()
        shutil.chown(self.mail, OWNER.pw_uid, OWNER.pw_gid)
        self.log = self.folder / "log"
        authority = Authority(self.folder)
        self.authority = authority.certificate
        certificate, key = authority.issue("localhost", names="DNS:localhost,IP:127.0.0.1")
        self.port, self.tls_port, self.lmtp_port, self.imap_port, self.imaps_port = free_ports(5)
        configuration = self.folder / "dovecot.conf"
        configuration.write_text(self.configuration(certificate, key))
        command = [*packages.as_if_installed(TREE), "/usr/sbin/dovecot", "-F", "-c", configuration]
        with open(self.folder / "stderr", "wb") as stderr:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                                            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        self.log.touch()
        try:
            await_sign(lambda: greets(self.port, b"+OK") and greets(self.lmtp_port, b"220")
                       and greets(self.imap_port, b"* OK"), self.process, self.log)
        except AssertionError:
            print((self.folder / "stderr").read_text())
            self.close()
            raise

    def configuration(self, certificate, key):
        return f"""
protocols = pop3 imap lmtp
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.log}
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
auth_failure_delay = 0
auth_mechanisms = plain login cram-md5 apop scram-sha-1 scram-sha-256
default_login_user = nobody
default_internal_user = daemon
default_internal_group = {grp.getgrgid(pwd.getpwnam("daemon").pw_gid).gr_name}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:%h
mail_max_userip_connections = 0
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={OWNER.pw_uid} gid={OWNER.pw_gid} home={self.mail}/%u allow_all_users=yes
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
service imap-login {{
  inet_listener imap {{
    port = {self.imap_port}
  }}
  inet_listener imaps {{
    port = {self.imaps_port}
    ssl = yes
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {self.lmtp_port}
  }}
}}
"""

    @staticmethod
    def as_kept(message):
        return message

    def drop(self, user):
        return self.mail / user

    def put(self, user, messages):
        """The user's maildrop holds these messages, and no others."""
        fill_maildir(self.drop(user), messages, OWNER.pw_uid)

    def holds(self, user):
        return maildir_holds(self.drop(user))

    def close(self):
        end(self.process)
        shutil.rmtree(self.folder)


class Inetd:
    """Starts a command for each connection, as inetd(8) does."""

    def __init__(self, command, environment, stderr):
        self.command, self.environment, self.stderr = command, environment, stderr
        self.sessions = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, open(self.stderr, "ab") as stderr:
                self.sessions.append(subprocess.Popen(self.command, stdin=connection, stdout=connection,
                                                      stderr=stderr, env=self.environment))

    def settle(self):
        """Waits until the sessions so far have ended: a server may update a maildrop after its last reply."""
        for session in self.sessions:
            session.wait(10)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
        for session in self.sessions:
            try:
                session.wait(5)
            except subprocess.TimeoutExpired:
                session.kill()
                session.wait()


class SystemAccounts:
    """A server that knows the system's accounts: what it sees as /etc has one for alice, whose password is
    `secret`, and PAM without more than that."""

    programs = users = ()
    mounts = ""

    def __init__(self):
        for program in self.programs:
            need(program)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"restante-{self.name.lower()}-"))
        self.folder.chmod(0o755)
        self.log = self.folder / "stderr"
        for place in ("etc/pam.d", "run", "spool", "home"):
            (self.folder / place).mkdir(parents=True)
        self.write_accounts()
        self.wrapper = packages.as_if_installed(TREE, f"""
mount -t overlay overlay -o "lowerdir={self.folder}/etc:{TREE}/etc:/etc" /etc
mount -t overlay overlay -o "lowerdir={TREE}/var/lib:/var/lib" /var/lib
mount --bind {self.folder}/spool /var/mail
mount --bind {self.folder}/run /run""")

    def write_accounts(self):
        uid = restante.PLAIN_UID
        hashed = subprocess.run(["openssl", "passwd", "-6", "secret"], capture_output=True, text=True,
                                check=True).stdout.strip()
        passwd = f"alice:x:{uid}:{OWNER.pw_gid}::{self.folder}/home:/bin/sh\n"
        shadow = f"alice:{hashed}:19000:0:99999:7:::\n"
        for number, user in enumerate(self.users, 1):
            passwd += f"{user}:x:{uid + number}:{OWNER.pw_gid}::/nonexistent:/usr/sbin/nologin\n"
            shadow += f"{user}:*:19000:0:99999:7:::\n"
        etc = self.folder / "etc"
        (etc / "passwd").write_text(pathlib.Path("/etc/passwd").read_text() + passwd)
        (etc / "shadow").write_text(shadow)
        (etc / "shadow").chmod(0o600)
        (etc / "nsswitch.conf").write_text("passwd: files\nshadow: files\ngroup: files\n")
        for service in ("popa3d", "pop3"):
            (etc / "pam.d" / service).write_text("auth required pam_unix.so nodelay\naccount required pam_unix.so\n")

    def close(self):
        self.inetd.close()
        shutil.rmtree(self.folder)


class Popa3d(SystemAccounts):
    name = "popa3d"
    programs = ("usr/sbin/popa3d",)
    users = ("popa3d",)

    def __init__(self):
        super().__init__()
        self.mbox = self.folder / "spool/alice"
        self.inetd = Inetd([*self.wrapper, "/usr/sbin/popa3d"], {"PATH": "/usr/sbin:/usr/bin"}, self.log)
        self.port = self.inetd.port

    @staticmethod
    def as_kept(message):
        """As the program that put it into an mbox left it."""
        text = message.replace(b"\r\n", b"\n")
        return re.sub(b"(?m)^From ", b">From ", text if text.endswith(b"\n") else text + b"\n")

    def put(self, user, messages):
        assert user == "alice"
        self.mbox.write_bytes(b"".join(b"From sender@example.com Mon Jan  2 03:04:05 2023\n" + self.as_kept(message)
                                       + b"\n" for message in messages))
        self.mbox.chmod(0o660)
        os.chown(self.mbox, restante.PLAIN_UID, OWNER.pw_gid)

    def holds(self, user):
        self.inetd.settle()
        return [text.removesuffix(b"\n") for text in
                re.split(b"(?m)^From sender@.*\n", self.mbox.read_bytes())[1:]]


class Courier(SystemAccounts):
    """It wants ten seconds between two logins, which a run that stored something waits for."""

    name = "Courier"
    programs = ("usr/lib/courier/courier/courierpop3d", "usr/lib/courier/courier-authlib/authdaemond")
    users = ("courier",)
    mechanisms = ("PLAIN", "LOGIN", "USER")

    def __init__(self):
        super().__init__()
        self.maildir = self.folder / "home/Maildir"
        authority = Authority(self.folder)
        self.authority = authority.certificate
        certificate, key = authority.issue("localhost", names="DNS:localhost,IP:127.0.0.1")
        combined = self.folder / "pop3d.pem"
        combined.write_bytes(key.read_bytes() + certificate.read_bytes())
        combined.chmod(0o600)
        os.chown(combined, restante.PLAIN_UID + 1, OWNER.pw_gid)  # couriertls runs as courier
        (self.folder / "etc/courier").mkdir()
        (self.folder / "etc/courier/authdaemonrc").write_text(
            'authmodulelist="authpam"\nauthmodulelistorig="authpam"\ndaemons=1\nversion=""\n'
            'authdaemonvar=/run/courier/authdaemon\nDEBUG_LOGIN=0\nDEFAULTOPTIONS=""\nLOGGEROPTS=""\n')
        daemon_folder = self.folder / "run/courier/authdaemon"
        daemon_folder.mkdir(parents=True)
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        with open(self.log, "ab") as stderr:
            self.daemon = subprocess.Popen([*self.wrapper, "/usr/lib/courier/courier-authlib/authdaemond"],
                                           stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, env=environment)
        self.inetd = Inetd([*self.wrapper, "/usr/lib/courier/courier/courierpop3login",
                            "/usr/lib/courier/courier/courierpop3d", "Maildir"],
                           environment | {"POP3AUTH": "PLAIN LOGIN", "POP3AUTH_TLS": "PLAIN LOGIN", "POP3_PROXY": "0",
                                          "POP3_STARTTLS": "YES", "POP3_TLS_REQUIRED": "0",
                                          "TLS_CERTFILE": str(combined), "COURIERTLS": "/usr/bin/couriertls",
                                          "TLS_VERIFYPEER": "NONE", "TCPLOCALIP": "127.0.0.1",
                                          "TCPREMOTEIP": "127.0.0.1", "TCPLOCALPORT": "110",
                                          "TCPREMOTEPORT": "40000"}, self.log)
        self.port = self.inetd.port
        try:
            await_sign((daemon_folder / "socket").exists, self.daemon, self.log)
        except AssertionError:
            self.close()
            raise

    @staticmethod
    def as_kept(message):
        """It sends CR LF for each LF, also for one that has its CR."""
        return message.replace(b"\r\n", b"\n")

    def put(self, user, messages):
        assert user == "alice"
        fill_maildir(self.maildir, map(self.as_kept, messages), restante.PLAIN_UID)
        os.chown(self.folder / "home", restante.PLAIN_UID, OWNER.pw_gid)

    def holds(self, user):
        self.inetd.settle()
        return maildir_holds(self.maildir)

    def close(self):
        end(self.daemon)
        super().close()


class Cyrus:
    """IMAP alone; bob has the password `secret`."""

    name = "Cyrus"

    def __init__(self):
        for program in ("usr/sbin/cyrmaster", "usr/sbin/saslpasswd2", "usr/lib/cyrus/bin/imapd"):
            need(program)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="restante-cyrus-"))
        self.folder.chmod(0o755)
        self.log = self.folder / "log"
        self.port, = free_ports(1)
        uid = restante.PLAIN_UID + 1
        for place in ("etc", "lib", "mail", "proc", "lock"):
            (self.folder / place).mkdir()
            if place != "etc":
                os.chown(self.folder / place, uid, OWNER.pw_gid)
        self.write_configuration(uid)
        wrapper = packages.as_if_installed(
            TREE, f'mount -t overlay overlay -o "lowerdir={self.folder}/etc:{TREE}/etc:/etc" /etc')
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        accounts = self.folder / "sasldb2"
        subprocess.run([*wrapper, "saslpasswd2", "-p", "-c", "-f", accounts, "-u", "localhost", "bob"], input=b"secret",
                       env=environment, check=True, capture_output=True)
        os.chown(accounts, uid, OWNER.pw_gid)
        with open(self.log, "wb") as log:
            # it ends its process group with itself
            self.process = subprocess.Popen([*wrapper, "/usr/sbin/cyrmaster", "-D", "-p", self.folder / "pid"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                                            start_new_session=True)
        try:
            await_sign(lambda: greets(self.port, b"* OK"), self.process, self.log)
        except AssertionError:
            self.close()
            raise

    def write_configuration(self, uid):
        etc = self.folder / "etc"
        (etc / "passwd").write_text(pathlib.Path("/etc/passwd").read_text()
                                    + f"cyrus:x:{uid}:{OWNER.pw_gid}::/nonexistent:/usr/sbin/nologin\n")
        (etc / "nsswitch.conf").write_text("passwd: files\nshadow: files\ngroup: files\nhosts: files dns\n")
        (etc / "imapd.conf").write_text(f"""
servername: localhost
configdirectory: {self.folder}/lib
proc_path: {self.folder}/proc
mboxname_lockpath: {self.folder}/lock
defaultpartition: default
partition-default: {self.folder}/mail
idlesocket: {self.folder}/lib/idle
notifysocket: {self.folder}/lib/notify
lmtpsocket: {self.folder}/lib/lmtp
altnamespace: no
unixhierarchysep: no
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {self.folder}/sasldb2
sasl_mech_list: PLAIN SCRAM-SHA-256 SCRAM-SHA-1
autocreate_quota: 0
""")
        (etc / "cyrus.conf").write_text(f"""
START {{
  recover cmd="ctl_cyrusdb -r"
}}
SERVICES {{
  imap cmd="imapd" listen="127.0.0.1:{self.port}" prefork=0 maxchild=20
}}
EVENTS {{
}}
""")

    def close(self):
        end(self.process)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # sessions may still be at work in the folder
        shutil.rmtree(self.folder, ignore_errors=True)

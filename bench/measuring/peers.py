# SPDX-License-Identifier: MIT
"""Peers that know only the system's accounts: Courier and popa3d. What they see as /etc has the users of the corpus,
and PAM believes every password, as quickly as it can."""

import subprocess
from pathlib import Path

import corpus
import packages
import servers
from servers import Server, free_port


class SystemAccounts(Server):
    few_cases = True
    users = ()  # of the server itself

    def write_accounts(self):
        owner, etc = self.context.owner, self.folder / "etc"
        (etc / "pam.d").mkdir(parents=True)
        lines = [Path("/etc/passwd").read_text().strip()]
        for drop in corpus.MAILDROPS:
            lines += [f"{user}:x:{owner.pw_uid}:{owner.pw_gid}::{self.context.corpus.mail}/{user}:/bin/sh"
                      for user in drop.user_names()]
        lines += [f"{user}:x:{60_000 + number}:{owner.pw_gid}::/nonexistent:/usr/sbin/nologin"
                  for number, user in enumerate(self.users)]
        (etc / "passwd").write_text("\n".join(lines) + "\n")
        (etc / "nsswitch.conf").write_text("passwd: files\nshadow: files\ngroup: files\n")
        for service in ("popa3d", "pop3"):
            (etc / "pam.d" / service).write_text("auth required pam_permit.so\naccount required pam_permit.so\n")

    def as_if_installed(self):
        """It sees its own /etc, /run and /var/mail."""
        tree = self.context.peers
        for place in ("run", "spool"):
            (self.folder / place).mkdir(exist_ok=True)
        return packages.as_if_installed(tree, f"""
mount -t overlay overlay -o "lowerdir={self.folder}/etc:{tree}/etc:/etc" /etc
mount -t overlay overlay -o "lowerdir={tree}/var/lib:/var/lib" /var/lib
mount --bind {self.folder}/spool /var/mail
mount --bind {self.folder}/run /run""")


class Courier(SystemAccounts):
    """As Debian starts it: couriertcpd, and two programs one after the other for each session."""

    name, title = "courier", "Courier"
    users = ("courier",)
    index = ("courierpop3dsizelist",)

    def start(self):
        self.write_accounts()
        configuration = self.folder / "etc/courier"
        configuration.mkdir()
        (configuration / "authdaemonrc").write_text(
            'authmodulelist="authpam"\nauthmodulelistorig="authpam"\ndaemons=5\nversion=""\n'
            'authdaemonvar=/run/courier/authdaemon\nDEBUG_LOGIN=0\nDEFAULTOPTIONS=""\nLOGGEROPTS=""\n')
        (self.folder / "run/courier/authdaemon").mkdir(parents=True)
        self.port = free_port()
        both = (f"/usr/lib/courier/courier-authlib/authdaemond & exec /usr/sbin/couriertcpd -address=127.0.0.1 "
                f"-maxprocs=2000 -maxperip=2000 -nodnslookup -noidentlookup {self.port} "
                "/usr/lib/courier/courier/courierpop3login /usr/lib/courier/courier/courierpop3d .")
        self.spawn([*self.as_if_installed(), "sh", "-c", both],
                   env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "POP3AUTH": "", "POP3_PROXY": "0",
                        "POP3_STARTTLS": "NO", "POP3_TLS_REQUIRED": "0"})
        self.await_greeting()


class Popa3d(SystemAccounts):
    """Under a superserver, as Debian sets it up: on its own it takes no more than 50 sessions of an address in ten
    seconds. Courier's serves for one. The same mail in an mbox for each user."""

    name, title = "popa3d", "popa3d"
    users = ("popa3d",)

    def start(self):
        self.write_accounts()
        self.port = free_port()
        command = self.as_if_installed()
        owner, spool = self.context.owner, self.folder / "spool"
        for drop in (corpus.SMALL, corpus.MANY, corpus.HUGE, corpus.SIZED):
            for user in drop.user_names():
                self.write_mbox(spool / user, self.context.corpus.mail / user / "cur")
        subprocess.run(["chown", "-R", f"{owner.pw_uid}:{owner.pw_gid}", self.folder / "spool"], check=True)
        (self.folder / "spool").chmod(0o775)
        self.spawn([*command, "/usr/sbin/couriertcpd", "-address=127.0.0.1", "-maxprocs=2000", "-maxperip=2000",
                    "-nodnslookup", "-noidentlookup", str(self.port), "/usr/sbin/popa3d"],
                   env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        self.await_greeting()

    @staticmethod
    def write_mbox(path, folder):
        with open(path, "wb") as mbox:
            for stored in sorted(folder.iterdir(), key=lambda file: int(file.name.partition(".")[0])):
                mbox.write(b"From sender@example.com Mon Jan  2 03:04:05 2023\n" + stored.read_bytes() + b"\n")


ALL = (*servers.ALL, Courier, Popa3d)
PACKAGES = ("dovecot-core", "dovecot-pop3d", "popa3d", "courier-base", "courier-authlib", "courier-pop")

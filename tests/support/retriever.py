# SPDX-License-Identifier: MIT
"""A person's home in which `restante fetch` runs."""

import fcntl
import json
import os
import pathlib
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import restante


class Home:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.maildir = self.folder / "Mail/box"
        self.password = self.folder / "password"
        self.state = self.folder / ".local/state/restante/fetch"
        self.set_password("secret")

    def set_password(self, text):
        self.password.write_text(text + "\n")
        self.password.chmod(0o600)

    def environment(self, **more):
        ours = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
        return ours | {"HOME": str(self.folder)} | more

    def command(self, *arguments):
        return [restante.BINARY, "fetch", *map(str, arguments)]

    def start(self, *arguments, **options):
        return subprocess.Popen(self.command(*arguments), env=self.environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def run(self, *arguments, environment=None, input=b"", **options):
        result = subprocess.run(self.command(*arguments), env=self.environment(**(environment or {})),
                                capture_output=True, timeout=60, input=input, **options)
        assert not restante.REPORT.search(result.stderr.decode(errors="replace")), result.stderr
        return result

    def account(self, port, *arguments, tls="never", password=("--password-file",), target=("--maildir",)):
        if password == ("--password-file",):
            password = ("--password-file", self.password)
        if target == ("--maildir",):
            target = ("--maildir", self.maildir)
        return ("--host", "127.0.0.1", "--port", port, "--user", "alice", "--tls", tls, "--timeout", "10s",
                *password, *target, *arguments)

    def fetch(self, port, *arguments, environment=None, input=b"", **account):
        return self.run(*self.account(port, *arguments, **account), environment=environment, input=input)

    def on_terminal(self, *arguments, typed=None, size=(24, 120), terminal="xterm"):
        """As a person runs it: (what the terminal got, exit status). `typed`: (after this has come, these keys)."""
        command = self.command(*arguments)
        pid, master = pty.fork()
        if pid == 0:
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):  # whoever runs the tests may ignore them
                signal.signal(number, signal.SIG_DFL)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
            os.execve(command[0], command, self.environment(TERM=terminal))
        shown = b""
        deadline = time.monotonic() + 60
        while select.select([master], [], [], max(0, deadline - time.monotonic()))[0]:
            try:
                octets = os.read(master, 65536)
            except OSError:
                break
            shown += octets
            if typed is not None and typed[0] in shown:
                os.write(master, typed[1])
                typed = None
        os.close(master)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert not restante.REPORT.search(shown.decode(errors="replace")), shown
        return shown, status

    def configure(self, accounts, name="fetch.conf"):
        """Writes {section: {option: value}} into ~/.config/restante."""
        path = self.folder / ".config/restante" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in options.items())
                                for section, options in accounts.items()))
        return path

    def section(self, port, name, **options):
        return {"host": "127.0.0.1", "port": port, "user": "u", "tls": "never", "password-file": self.password,
                "maildir": self.folder / "Mail" / name} | options

    def events(self, result):
        return [json.loads(line) for line in result.stdout.splitlines()]

    def mail(self, name="box"):
        return sorted(path.read_bytes() for place in ("new", "cur")
                      for path in (self.folder / "Mail" / name / place).glob("*"))

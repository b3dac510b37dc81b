# SPDX-License-Identifier: MIT
"""A person's home in which `restante fetch` runs."""

import json
import os
import pathlib
import subprocess

import restante


class Home:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.maildir = self.folder / "Mail/box"
        self.password = self.folder / "password"
        self.set_password("secret")

    def set_password(self, text):
        self.password.write_text(text + "\n")
        self.password.chmod(0o600)

    def run(self, *arguments, **options):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
        environment["HOME"] = str(self.folder)
        result = subprocess.run([restante.BINARY, "fetch", *map(str, arguments)], env=environment,
                                capture_output=True, timeout=60, stdin=subprocess.DEVNULL, **options)
        assert not restante.REPORT.search(result.stderr.decode(errors="replace")), result.stderr
        return result

    def fetch(self, port, *arguments, tls="never"):
        return self.run("--host", "127.0.0.1", "--port", port, "--user", "alice", "--tls", tls,
                        "--password-file", self.password, "--maildir", self.maildir, "--timeout", "10s",
                        *arguments)

    def events(self, result):
        return [json.loads(line) for line in result.stdout.splitlines()]

    def mail(self):
        return sorted(path.read_bytes() for place in ("new", "cur")
                      for path in (self.maildir / place).glob("*"))

# SPDX-License-Identifier: MIT
"""Runs the installed `restante` in a world of its own: configuration, accounts, maildrops, one folder."""

import functools
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

import maildir
import pop3

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = os.environ.get("RESTANTE") or shutil.which("restante") or "restante"
IS_ROOT = os.geteuid() == 0
SANITIZED = bool(os.environ.get("RESTANTE_SANITIZED"))
# Everything that must not be root runs as this one: nobody, or who called.
PLAIN_UID = 65534 if IS_ROOT else os.getuid()
REPORT = re.compile(r"ERROR: \w+Sanitizer|runtime error:|Assertion .* failed|Sanitizer:DEADLYSIGNAL")

DEFAULTS = {
    "server": {"workers": "2", "grace": "5s"},
    "pop3": {"listen": "127.0.0.1:0"},
    "limits": {"failure-delay": "0s", "failures-per-address": "0"},
    "maildrop": {"in-use-wait": "200ms"},
    "log": {"level": "debug"},
}


def wait_until(condition, what, seconds=pop3.PATIENCE):
    """For what no descriptor tells; returns what the condition gave."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(0.01)


class Process:
    """A line of /proc/PID/stat."""

    def __init__(self, pid):
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            octets = file.read(4096)
        fields = octets[octets.rindex(b")") + 2:].split(maxsplit=4)
        self.pid = int(pid)
        self.state, self.parent, self.session = fields[0].decode(), int(fields[1]), int(fields[3])

    @functools.cached_property
    def command(self):
        """Empty of one that has ended since."""
        try:
            octets = pathlib.Path(f"/proc/{self.pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return octets.replace(b"\0", b" ").decode()

    @property
    def uid(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^Uid:\t(\d+)", status, re.MULTILINE)[1])

    @property
    def resident_octets(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024


def processes_of_session(session):
    """Without those that ended and have no parent of ours: to reap them is the first process's, which in a
    container may not do it."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                process = Process(name)
            except (FileNotFoundError, ProcessLookupError):
                continue
            if process.session == session and (process.state, process.parent) != ("Z", 1):
                found.append(process)
    return found


class World:
    """A folder with all that a server needs; `privileged`: the server starts as root."""

    def __init__(self, privileged=False):
        self.privileged = privileged
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="restante-"))
        self.folder.chmod(0o755)
        self.owner = PLAIN_UID
        if not privileged:
            self.own(self.folder)
        self.configuration_file = self.folder / "restante.conf"
        self.accounts_file = self.folder / "accounts"
        self.mail = self.folder / "mail"
        self.state = self.folder / "state"
        self.log_file = self.folder / "stderr"
        for path in (self.mail, self.state):
            path.mkdir()
            self.own(path)
        self.servers = []
        self.write_accounts({"alice": "secret"})
        self.configure()

    def own(self, path):
        if IS_ROOT:
            os.chown(path, self.owner, self.owner)

    def configure(self, text=None, **sections):
        """Writes the configuration: DEFAULTS and the given `section={"key": value}`; None leaves out."""
        if text is None:
            merged = {name: dict(keys) for name, keys in DEFAULTS.items()}
            merged["server"]["state-dir"] = self.state
            if self.privileged:
                merged["server"].update({"user": "nobody", "auth-user": "daemon"})
            merged["maildrop"]["path"] = self.mail / "%u"
            merged["accounts"] = {"file": self.accounts_file}
            for name, keys in sections.items():
                merged.setdefault(name, {}).update(keys)
            text = "".join(
                f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()
                                        if value is not None)
                for name, keys in merged.items())
        self.configuration_file.write_text(text)
        return self.configuration_file

    def write_accounts(self, accounts):
        """As an operator's editor does it: a new file in the old one's place."""
        text = "".join(f"{name}:{secret if secret.startswith('{') else '{PLAIN}' + secret}\n"
                       for name, secret in accounts.items())
        draft = self.folder / "accounts.new"
        draft.write_text(text)
        draft.chmod(0o600)
        if self.privileged:
            shutil.chown(draft, "daemon", "daemon")
        else:
            self.own(draft)
        draft.rename(self.accounts_file)

    def maildrop(self, user="alice"):
        folder = self.mail / user
        if not folder.exists():
            maildir.create(folder, self.owner)
        return folder

    def put(self, octets, number=None, user="alice", place="new", name=None):
        """A message in the maildrop of `user`; they are listed in the order of `number`."""
        self.count = getattr(self, "count", 0) + 1
        name = name or f"{1700000000 + (number or self.count)}.M{self.count}P1.host"
        return maildir.write(self.maildrop(user), octets, name, self.owner, place)

    def run(self, *arguments, input=b"", timeout=60, user=None, env=None):
        """One command of restante to its end, as who runs the server unless `user` says otherwise."""
        return subprocess.run([BINARY, *map(str, arguments)], input=input, capture_output=True,
                              timeout=timeout, cwd="/", env=env, **self.identity(user))

    def identity(self, user=None):
        uid = user if user is not None else (0 if self.privileged else PLAIN_UID)
        if not IS_ROOT or uid == 0:
            return {}
        return {"user": uid, "group": uid, "extra_groups": []}

    def start(self, **options):
        server = Server(self, **options)
        self.servers.append(server)
        server.wait_ready()
        return server

    def close(self):
        """Stops what still runs; every server must end well and leave nothing behind."""
        try:
            for server in self.servers:
                server.stop()
        finally:
            for server in self.servers:
                server.kill()
            self.log = self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
            shutil.rmtree(self.folder, ignore_errors=True)


class Server:
    def __init__(self, world, configuration=None, env=None, prefix=()):
        self.world = world
        self.stopped = False
        self.bound = {"pop3": [], "pop3s": [], "proxy-pop3": [], "proxy-pop3s": []}
        reader, writer = os.pipe()
        try:
            with open(world.log_file, "ab") as log:
                self.log_start = self.log_begun = log.tell()
                self.process = subprocess.Popen(
                    [*prefix, BINARY, "serve", "-c", str(configuration or world.configuration_file),
                     "--ready-fd", str(writer)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", pass_fds=[writer],
                    start_new_session=True, env=env, **world.identity())
        finally:
            os.close(writer)
        self.ready = reader
        self.pid = self.process.pid

    def wait_ready(self):
        text = b""
        deadline = time.monotonic() + pop3.PATIENCE
        while not text.endswith(b"ready\n"):
            readable, _, _ = select.select([self.ready], [], [], max(0, deadline - time.monotonic()))
            octets = os.read(self.ready, 4096) if readable else b""
            if not octets:
                raise AssertionError(f"not ready; said {text!r}; log:\n{self.log()}")
            text += octets
        os.close(self.ready)
        for line in text.decode().splitlines()[:-1]:
            kind, where = line.split(" ", 1)
            host, _, port = where.rpartition(":")
            assert kind in self.bound, line
            self.bound[kind].append((host.strip("[]"), int(port)))
        assert any(self.bound.values())

    @property
    def addresses(self):
        return self.bound["pop3"]

    @property
    def tls_addresses(self):
        return self.bound["pop3s"]

    @property
    def address(self):
        return self.addresses[0]

    @property
    def tls_address(self):
        return self.tls_addresses[0]

    @property
    def proxy_address(self):
        return self.bound["proxy-pop3"][0]

    @property
    def proxy_tls_address(self):
        return self.bound["proxy-pop3s"][0]

    @property
    def port(self):
        return self.address[1]

    def client(self, **options):
        return pop3.Client(self.address, **options)

    def login(self, user=b"alice", password=b"secret", **options):
        client = self.client(**options)
        client.login(user, password)
        return client

    def forget_log(self):
        """What is in the log by now is no longer looked at, where a server serves several tests."""
        self.log_start = self.world.log_file.stat().st_size

    def log(self):
        text = self.world.log_file.read_bytes()[self.log_start:]
        return text.decode(errors="replace")

    def wait_log(self, pattern, seconds=pop3.PATIENCE):
        """The first match in the log; log lines are the only sign of some events."""
        return wait_until(lambda: re.search(pattern, self.log(), re.MULTILINE),
                          f"{pattern!r} in the log:\n{self.log()}", seconds)

    def processes(self):
        return processes_of_session(self.pid)

    def children(self):
        return [process for process in self.processes() if process.pid != self.pid]

    def workers(self):
        return [process for process in self.children() if "worker" in process.command]

    def worker_of(self, client):
        """The process that serves a client's connection (root only)."""
        port = client.socket.getsockname()[1]
        server_port = client.socket.getpeername()[1]
        inode = None
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if (int(fields[1].split(":")[1], 16) == server_port
                    and int(fields[2].split(":")[1], 16) == port and fields[9] != "0"):
                inode = fields[9]
        for process in self.children():
            for descriptor in pathlib.Path(f"/proc/{process.pid}/fd").iterdir():
                try:
                    if os.readlink(descriptor) == f"socket:[{inode}]":
                        return process.pid
                except FileNotFoundError:
                    pass
        raise AssertionError(f"no worker holds the connection from port {port}")

    def signal(self, number):
        os.kill(self.pid, number)

    def terminate(self):
        self.signal(signal.SIGTERM)

    def wait(self, seconds=pop3.PATIENCE):
        return self.process.wait(seconds)

    def stop(self):
        """SIGTERM, a good end, and no trace: no zombie before, no process after, no sanitizer's report."""
        if self.stopped:
            return
        self.stopped = True
        if self.process.poll() is None:
            wait_until(lambda: not [p for p in self.children() if p.state == "Z"], "zombies reaped",
                       5)
            self.terminate()
        status = self.wait()
        self.log_start = self.log_begun
        report = REPORT.search(self.log())
        assert not report, self.log()
        assert status == 0, f"exit status {status}; log:\n{self.log()}"
        wait_until(lambda: not self.processes(), "all processes gone", 5)

    def kill(self):
        for process in processes_of_session(self.pid):
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass

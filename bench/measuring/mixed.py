# SPDX-License-Identifier: MIT
"""Mixed load: how long short sessions of others take while one client reads 1 GB slowly, one maildrop is on a slow
disk, and passwords are checked that are dear to check; each by itself, and all at once."""

import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import client
import corpus
from cases import Wrong
from table import figures

CALM = "nothing else"
CONCURRENCY = "4"
HASHING = 8  # sessions at once whose password is dear
DEAR = 2_000  # such accounts: a login that a server remembers hashes nothing
HASH_ROUNDS = 200_000  # of SHA512-CRYPT, whose default is 5 000
DELAY_MS = 200
READ_OCTETS, READ_PAUSE = 32 * 1024, 0.05


def make_maildir(folder, owner):
    shutil.rmtree(folder, ignore_errors=True)
    for part in (folder, folder / "cur", folder / "new", folder / "tmp"):
        part.mkdir(parents=True)
        os.chown(part, owner.pw_uid, owner.pw_gid)


class Maildrops:
    """What the disturbing clients read: made before a server starts, taken away behind it."""

    def __init__(self, context):
        self.mail, owner = context.corpus.mail, context.owner
        make_maildir(self.mail / "gigabyte", owner)
        stored = sorted((self.mail / corpus.HUGE.name / "cur").iterdir())
        for number in range(20):
            os.link(stored[number % len(stored)], self.mail / "gigabyte/cur" / f"{1_700_000_000 + number}.M1P1.host:2,S")
        for number in range(DEAR):
            make_maildir(self.mail / f"dear-{number}", owner)
        self.backing, self.mounted = context.state / "slow", self.mail / "slow"
        make_maildir(self.backing, owner)
        for number in range(10):
            path = self.backing / "cur" / f"{1_700_000_000 + number}.M1P1.host:2,S"
            path.write_bytes(corpus.message(corpus.Text(), number, 1_000))
            os.chown(path, owner.pw_uid, owner.pw_gid)
        self.mounted.mkdir(exist_ok=True)
        self.disk = subprocess.Popen(["/usr/bin/python3", "-B", Path(__file__).with_name("slow_disk.py"), self.backing,
                                      self.mounted, str(DELAY_MS)])
        deadline = time.monotonic() + 30
        while not os.path.ismount(self.mounted):
            if self.disk.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("bench/run: no FUSE here, and so no slow disk")
            time.sleep(0.1)
        self.write_accounts(context.accounts)

    @staticmethod
    def write_accounts(path):
        dear = subprocess.run(["/usr/bin/python3", "-W", "ignore", "-c", "import crypt; print(crypt.crypt("
                               f"'{corpus.PASSWORD}', '$6$rounds={HASH_ROUNDS}$measured'))"],
                              capture_output=True, text=True, check=True).stdout.strip()
        with open(path, "a", encoding="ascii") as accounts:
            for user in ("gigabyte", "slow"):
                accounts.write(f"{user}:{{PLAIN}}{corpus.PASSWORD}\n")
            for number in range(DEAR):
                accounts.write(f"dear-{number}:{{SHA512-CRYPT}}{dear}\n")

    def close(self):
        subprocess.run(["umount", "-l", self.mounted], check=False)
        self.disk.terminate()  # copies of the mount, in namespaces of others, would let it live on
        self.disk.wait()


def log_in(server, user):
    """Who is put off (RFC 2449, 8.1.1; RFC 3206, 4) tries again, as people's clients do."""
    while True:
        try:
            return client.Session(server.port).log_in(user)
        except Wrong as wrong:
            if "[IN-USE]" not in str(wrong) and "[SYS/TEMP]" not in str(wrong):
                raise
            with server.put_off.get_lock():
                server.put_off.value += 1


def read_slowly(server, began):
    session = log_in(server, "gigabyte")
    session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * READ_OCTETS)
    session.socket.sendall(b"".join(b"RETR %d\r\n" % number for number in range(1, 21)))
    began.set()
    while session.socket.recv(READ_OCTETS):
        time.sleep(READ_PAUSE)


def use_slow_disk(server, began):
    while True:
        began.set()
        session = log_in(server, "slow")
        session.socket.sendall(b"RETR 1\r\n")
        session.socket.recv(1 << 16)
        session.socket.sendall(b"QUIT\r\n")
        while session.socket.recv(1 << 16):
            pass


def use_dear_passwords(server, began):
    """Each account once, by whichever of these clients comes first."""
    while True:
        began.set()
        with server.dear.get_lock():
            number = server.dear.value
            server.dear.value += 1
        if number >= DEAR:
            raise Wrong("no account is left whose password this server has not seen")
        log_in(server, f"dear-{number}").quit()


TROUBLES = {
    "1 GB is read slowly": [read_slowly],
    f"a disk takes {DELAY_MS} ms an operation": [use_slow_disk],
    "passwords are dear": [use_dear_passwords] * HASHING,
}


class Disturbed:
    """While this is entered, clients do these works, on the core of the load."""

    def __init__(self, context, server, works):
        self.context, self.server, self.works, self.clients = context, server, works, []

    def run(self, work, began, broken):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.context.settle_load()
        try:
            work(self.server, began)
        except (OSError, Wrong) as wrong:
            print(f"  {self.server.title}: {wrong}", file=sys.stderr)
        broken.set()

    def __enter__(self):
        fork = multiprocessing.get_context("fork")
        self.broken = fork.Event()
        signs = [fork.Event() for _ in self.works]
        for work, began in zip(self.works, signs):
            self.clients.append(fork.Process(target=self.run, args=(work, began, self.broken)))
            self.clients[-1].start()
        for began in signs:
            began.wait(30)
        time.sleep(1)
        return self

    def __exit__(self, *_):
        for one in self.clients:
            one.terminate()
        for one in self.clients:
            one.join()
        time.sleep(2)  # the servers notice that they are gone
        self.clients = []


def time_sessions(context, load, server, works, tls, seconds):
    """p50, p99 and p99.9 in microseconds."""
    with Disturbed(context, server, works) as disturbed:
        report = load.run(server, "sessions", corpus.SMALL, "--concurrency", CONCURRENCY,
                          "--duration", f"{seconds}s", tls=tls)
        if disturbed.broken.is_set():
            raise Wrong("a disturbing client gave up")
    return tuple(report[key] for key in ("p50_us", "p99_us", "p999_us"))


def measure(context, load, servers, say, seconds=4):
    """(trouble, TLS) -> server -> times, or None: the server fell out."""
    found = {}
    for server in servers:
        server.dear = multiprocessing.Value("I", 0)  # how many of those accounts it has seen
        server.put_off = multiprocessing.Value("I", 0)  # logins that were told to try again
        load.run(server, "sessions", corpus.SMALL, "--concurrency", CONCURRENCY, "--duration", "300ms")
    everything = [work for works in TROUBLES.values() for work in works]
    for tls in (None, "full"):
        for trouble, works in {CALM: [], **TROUBLES, "all of this": everything}.items():
            for server in servers:
                try:
                    times = time_sessions(context, load, server, works, tls, seconds)
                except Wrong as wrong:
                    say(f"  {server.title} falls out: {wrong}")
                    times = None
                found.setdefault((trouble, tls), {})[server.title] = times
                say(f"  {trouble}{', TLS 1.3' if tls else ''}: {server.title}: {times}")
    say("  dear logins, and logins put off: " +
        ", ".join(f"{server.title} {server.dear.value}, {server.put_off.value}" for server in servers))
    return found


def markdown(found, about):
    titles = list(found[CALM, None])
    unit = found[CALM, None].get("Restante")
    unit = unit[0] if unit else 1
    lines = ["| meanwhile | " + " | ".join(f"{title}: p50, p99, p99.9" for title in titles) + " |",
             "|---" * (1 + len(titles)) + "|"]
    for (trouble, tls), by_server in found.items():
        cells = ["-" if times is None else ", ".join(figures(time / unit) for time in times)
                 for times in by_server.values()]
        lines.append(f"| {'TLS 1.3, ' if tls else ''}{trouble} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", about])

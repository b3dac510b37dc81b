# SPDX-License-Identifier: MIT
"""The mail that all servers serve: one Maildir a user, and what must come over the wire (bench/corpus.h)."""

import hashlib
import os
import random
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "secret"


@dataclass(frozen=True)
class Maildrop:
    name: str
    messages: int
    octets: int  # of each message as stored, about
    users: int = 0  # 0: one user, called like the maildrop; else NAME-0000 and so on
    sizes_in_names: bool = True
    wire: bool = True  # is it ever retrieved?

    def user_names(self):
        return [f"{self.name}-{i:04}" for i in range(self.users)] if self.users else [self.name]


SMALL = Maildrop("small", 10, 6_000, users=64)
MANY = Maildrop("many", 2_000, 10_000)
HUGE = Maildrop("huge", 4, 50_000_000)
SIZED = Maildrop("sized", 100_000, 1_000, wire=False)
BARE = Maildrop("bare", 100_000, 1_000, sizes_in_names=False, wire=False)
IDLE = Maildrop("idle", 1, 500, users=10_000, wire=False)
MAILDROPS = (SMALL, MANY, HUGE, SIZED, BARE, IDLE)
# Made when they are needed (more_cases.py, curves.py).
OTHERS = ("deleted", *(f"linked-{10 ** power}" for power in range(1, 7)))


class Text:
    """Endless lines of the kind that mail is made of, the same in every run: prose, base64, quoted lines,
    some that begin with dots, some with 8-bit octets."""

    def __init__(self):
        generator = random.Random(1939)
        words = [bytes(generator.choices(b"abcdefghijklmnopqrstuvwxyz", k=generator.randint(2, 9)))
                 for _ in range(500)]
        base64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        lines = []
        for number in range(20_000):
            if number % 3 == 0:
                line = bytes(generator.choices(base64, k=76))
            else:
                line = b" ".join(generator.choices(words, k=generator.randint(1, 12)))
            if number % 50 == 0:
                line = b"." * generator.randint(1, 3) + line
            if number % 40 == 1:
                line = b"> \xd0\xbf\xd0\xbe\xd1\x87\xd1\x82\xd0\xb0 " + line
            lines.append(line[:990])
        self.octets = b"\n".join(lines) + b"\n"
        self.starts = [match.end() for match in re.finditer(b"\n", self.octets)][:-1]

    def take(self, number, size):
        """About `size` octets of whole lines, other ones for each number."""
        start = self.starts[number * 7919 % len(self.starts)]
        text = (self.octets[start:] + self.octets * (size // len(self.octets) + 1))[:size]
        return text[: text.rindex(b"\n") + 1] if b"\n" in text else text + b"\n"


def message(text, number, size):
    header = (f"Return-Path: <sender{number}@example.org>\n"
              f"Received: from mx.example.org by mail.example.net; Mon, 2 Jun 2025 10:00:00 +0000\n"
              f"From: Sender {number} <sender{number}@example.org>\nTo: user@example.net\n"
              f"Subject: Message {number}\nMessage-Id: <{number}@example.org>\n"
              "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
              "Content-Transfer-Encoding: 8bit\n\n").encode()
    return header + text.take(number, max(size - len(header), 100))


def on_the_wire(stored):
    """RFC 1939 section 3: line ends as CR LF, dots at the beginning of a line doubled, terminator."""
    return re.sub(rb"(?m)^\.", b"..", stored).replace(b"\n", b"\r\n") + b".\r\n"


def octets(stored):
    """RFC 1939 section 11: as sent, without doubled dots and terminator."""
    return len(stored) + stored.count(b"\n")


def file_name(maildrop, number, stored):
    sizes = f",S={len(stored)},W={octets(stored)}" if maildrop.sizes_in_names else ""
    # Seen already: a server that keeps this flag renames nothing, and all find the folder as it was.
    return f"{1_700_000_000 + number}.M{number % 1_000_000}P{number}.mail.example.net{sizes}:2,S"


def write_maildir(folder, maildrop, text):
    for part in ("cur", "new", "tmp"):
        (folder / part).mkdir(parents=True)
    cur = os.open(folder / "cur", os.O_RDONLY)
    for number in range(maildrop.messages):
        stored = message(text, number, maildrop.octets)
        descriptor = os.open(file_name(maildrop, number, stored), os.O_WRONLY | os.O_CREAT, 0o600,
                             dir_fd=cur)
        with open(descriptor, "wb", buffering=0) as file:
            if file.write(stored) != len(stored):
                raise SystemExit(f"bench/run: no room for the corpus in {folder}")
    os.close(cur)


def write_truth(folder, maildrop, text):
    sizes, total = [], 0
    with open(folder / f"{maildrop.name}.wire", "wb") as wire:
        for number in range(maildrop.messages):
            stored = message(text, number, maildrop.octets)
            total += octets(stored)
            if maildrop.wire:
                sizes.append(wire.write(on_the_wire(stored)))
    lines = [f"{maildrop.messages} {total}"] + [str(size) for size in sizes]
    (folder / f"{maildrop.name}.sizes").write_text("\n".join(lines) + "\n")


class Corpus:
    """`folder`/mail has the Maildirs, `folder`/truth what the floor and the load generator know."""

    def __init__(self, folder, owner):
        self.mail = folder / "mail"
        self.truth = folder / "truth"
        self.stamp = folder / "stamp"
        self.owner = owner

    def prepare(self):
        """Makes it, or finds it made by this very file, and takes away what servers left beside the mail."""
        version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
        if not self.stamp.exists() or self.stamp.read_text() != version:
            self.make()
            self.stamp.write_text(version)
        for maildrop in MAILDROPS:
            self.forget(maildrop, "*")

    def make(self):
        text = Text()
        for folder in (self.mail, self.truth):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        self.stamp.unlink(missing_ok=True)
        for maildrop in MAILDROPS:
            write_truth(self.truth, maildrop, text)
            for user in maildrop.user_names():
                write_maildir(self.mail / user, maildrop, text)
        for place, folders, files in os.walk(self.mail):
            for name in folders + files:
                os.chown(os.path.join(place, name), self.owner.pw_uid, self.owner.pw_gid)

    def forget(self, maildrop, *patterns):
        """Removes files that match `patterns` beside cur/, new/ and tmp/ of the maildrop's users."""
        for user in maildrop.user_names():
            for pattern in patterns:
                for path in (self.mail / user).glob(pattern):
                    if path.is_file():
                        path.unlink()

    def read_all(self, maildrop):
        """Brings the octets of every file into memory."""
        for user in maildrop.user_names():
            for entry in os.scandir(self.mail / user / "cur"):
                with open(entry.path, "rb", buffering=0) as file:
                    file.read()

    def write_accounts(self, path):
        """In the passwd-file format that Dovecot and Restante both read."""
        users = [user for drop in MAILDROPS for user in drop.user_names()] + list(OTHERS)
        lines = [f"{user}:{{PLAIN}}{PASSWORD}" for user in users]
        path.write_text("\n".join(lines) + "\n")

# SPDX-License-Identifier: MIT
"""The tools judge themselves before they judge servers: the floor sends the corpus octet for octet, and the
load generator notices each way in which a server could send something else.

    check_tools.py FLOOR LOAD
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import corpus

FLOOR, LOAD = sys.argv[1:3]
TINY = corpus.Maildrop("tiny", 7, 3_000, users=4)
LARGE = corpus.Maildrop("large", 2, 700_000)


class Tools(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.sent, self.known = Path(scratch.name) / "sent", Path(scratch.name) / "known"
        text = corpus.Text()
        for folder in (self.sent, self.known):
            folder.mkdir()
            for maildrop in (TINY, LARGE):
                corpus.write_truth(folder, maildrop, text)

    def serve(self):
        """Starts a floor that sends what is in self.sent; returns its ports, for plain connections and for TLS."""
        reader, writer = os.pipe()
        floor = subprocess.Popen([FLOOR, "--corpus", self.sent, "--ready-fd", str(writer)],
                                 pass_fds=(writer,))
        self.addCleanup(floor.wait)
        self.addCleanup(floor.kill)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            ports = dict(line.split() for line in iter(pipe.readline, "ready\n"))
        return [ports[service].rpartition(":")[2] for service in ("pop3", "pop3s")]

    def serve_plain(self):
        return self.serve()[0]

    def load(self, port, case, maildrop, *arguments):
        command = [LOAD, "--case", case, "--port", port, "--corpus", self.known,
                   "--name", maildrop.name, *arguments]
        if maildrop.users:
            command += ["--users", str(maildrop.users)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    def accepts(self, *arguments):
        result = self.load(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def refuses(self, complaint, *arguments):
        result = self.load(*arguments)
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertRegex(result.stderr, complaint)

    def change(self, folder, name, change):
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    def test_accepts_what_is_right(self):
        port = self.serve_plain()
        self.accepts(port, "sessions", TINY, "--concurrency", "4", "--duration", "50ms")
        self.assertIn('"done": 3,', self.accepts(port, "logins", TINY, "--repeat", "3"))
        for maildrop in (TINY, LARGE):
            for window in ("1", "3", "50"):
                whole = self.accepts(port, "retrieve", maildrop, "--window", window, "--verify")
                self.assertIn(f'"done": {maildrop.messages},', whole)
                self.accepts(port, "retrieve", maildrop, "--window", window, "--duration", "20ms")

    def test_accepts_what_is_right_under_tls(self):
        port = self.serve()[1]
        for security in ("full", "resumed"):
            tls = ("--tls", security)
            self.accepts(port, "sessions", TINY, "--concurrency", "4", "--duration", "50ms", *tls)
            self.accepts(port, "whole", TINY, "--window", "3", "--duration", "20ms", *tls)
            self.assertIn('"done": 3,', self.accepts(port, "logins", TINY, "--repeat", "3", *tls))
            for maildrop in (TINY, LARGE):
                self.accepts(port, "retrieve", maildrop, "--window", "3", "--verify", *tls)
                self.accepts(port, "retrieve", maildrop, "--window", "3", "--duration", "20ms", *tls)

    def test_asks_one_by_one(self):
        for port, tls in zip(self.serve(), ((), ("--tls", "full"))):
            self.assertIn('"done": 1,', self.accepts(port, "noops", TINY, "--repeat", "50", *tls))

    def test_believes_what_it_is_told_of_stat(self):
        port = self.serve_plain()
        self.accepts(port, "logins", LARGE, "--stat", (self.known / "large.sizes").read_text().split("\n")[0])
        self.refuses(r'wanted "\+OK 9 9"', port, "logins", LARGE, "--stat", "9 9")

    def test_notices_what_a_command_has_for_an_answer(self):
        port = self.serve_plain()
        self.refuses("The floor does not know this", port, "listings", TINY)
        self.refuses("The floor does not know this", port, "deletions", TINY)

    def test_notices_a_server_without_tls(self):
        self.refuses("TLS: handshake", self.serve_plain(), "logins", TINY, "--tls", "full")

    def test_ends_within_a_maildrop_when_the_time_is_over(self):
        port = self.serve_plain()
        sizes = [int(size) for size in (self.sent / "large.sizes").read_text().split()[2:]]
        for verify in ([], ["--verify"]):
            report = json.loads(self.accepts(port, "retrieve", LARGE, "--window", "1", "--partial", "--duration", "1ms",
                                             *verify))
            rounds, rest = divmod(report["done"], len(sizes))
            self.assertEqual(report["octets"], rounds * sum(sizes) + sum(sizes[:rest]))
        one = json.loads(self.accepts(port, "retrieve", LARGE, "--window", "1", "--partial", "--verify",
                                      "--duration", "0ms"))
        self.assertEqual((one["done"], one["octets"]), (1, sizes[0]))

    def test_notices_one_wrong_octet(self):
        port = self.serve_plain()
        first, second = (self.known / "large.sizes").read_text().split("\n")[1:3]
        at = int(first) + int(second) // 2
        self.change(self.known, "large.wire",
                    lambda wire: wire[:at] + bytes([wire[at] ^ 1]) + wire[at + 1:])
        self.refuses(f"message 2 differs at octet {int(second) // 2}:", port, "retrieve", LARGE,
                     "--verify")

    def resize_first_message(self, change, by):
        """The floor sends the first large message longer or shorter than the load generator expects."""
        lines = (self.sent / "large.sizes").read_text().split("\n")
        lines[1] = str(int(lines[1]) + by)
        (self.sent / "large.sizes").write_text("\n".join(lines))
        self.change(self.sent, "large.wire", change)
        return self.serve_plain()

    def test_notices_a_longer_message_under_tls(self):
        self.resize_first_message(lambda wire: wire[:500] + b"x" + wire[500:], 1)
        self.refuses("message 1 differs at octet", self.serve()[1], "retrieve", LARGE, "--window", "1", "--tls", "full")

    def test_notices_a_longer_message_without_reading_all(self):
        port = self.resize_first_message(lambda wire: wire[:500] + b"x" + wire[500:], 1)
        self.refuses("message 1 differs at octet", port, "retrieve", LARGE, "--window", "1")

    def test_notices_a_shorter_message_without_reading_all(self):
        port = self.resize_first_message(lambda wire: wire[:500] + wire[501:], -1)
        self.refuses("message 1 differs at octet", port, "retrieve", LARGE, "--window", "2")

    def test_notices_a_wrong_count(self):
        port = self.serve_plain()
        self.change(self.known, "tiny.sizes", lambda text: text.replace(b"7 ", b"8 ", 1).replace(
            b"\n", b"\n0\n", 1))
        self.refuses("wrong answer to STAT", port, "sessions", TINY, "--duration", "50ms")
        self.refuses(r'wanted "\+OK 8', port, "logins", TINY)

    def test_notices_an_unknown_user(self):
        (self.sent / "tiny.sizes").unlink()
        port = self.serve_plain()
        self.refuses("wrong answer to USER", port, "sessions", TINY, "--duration", "50ms")


unittest.main(argv=sys.argv[:1])

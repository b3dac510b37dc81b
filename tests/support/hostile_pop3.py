# SPDX-License-Identifier: MIT
"""A POP3 server of malice: what `scripted` says, and TLS, floods, broken pipelining, and SASL gone wrong."""

import base64
import contextlib
import ssl
import threading

from scripted import Scripted

FLOOD = 1 << 30  # a flood ends here even if the client would take more


class Flood:
    """Octets without end, from an iterator of blocks; the client has to hang up."""

    def __init__(self, first, blocks):
        self.first = first
        self.blocks = blocks


class Hostile(Scripted):
    """Besides what Scripted takes: an answer may be a Flood; `certificate` and `implicit` turn TLS on;
    `forgetful`: of each segment only the first command is heard."""

    def __init__(self, messages=(), answers=None, certificate=None, implicit=False, forgetful=False, **more):
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*map(str, certificate))
        self.implicit = implicit
        self.forgetful = forgetful
        self.flooded = 0
        self.clear = []  # what came in the clear
        self.closing = threading.Event()
        super().__init__(messages, answers, **more)

    def close(self):
        self.closing.set()
        super().close()

    def count(self, keyword):
        return sum(line.split(b" ")[0] == keyword for line in self.commands)

    def linger(self, seconds):
        """Silence that ends with the test."""
        self.closing.wait(seconds)

    def _session(self, connection):
        self.deleted = set()
        self.retrieved = 0
        self.then = None  # takes the next line, which is no command
        self.secure = False
        try:
            if self.implicit:
                connection = self._wrap(connection)
            self._send(connection, self.answers.get("greeting", b"+OK hostile\r\n"))
            self._dialogue(connection)
        finally:
            with contextlib.suppress(OSError):
                connection.close()

    def _wrap(self, connection):
        self.secure = True
        return self.context.wrap_socket(connection, server_side=True)

    def _dialogue(self, connection):
        pending = b""
        while True:
            while b"\n" not in pending:
                octets = connection.recv(65536)
                if not octets:
                    return
                pending += octets
            line, _, pending = pending.partition(b"\n")
            line = line.rstrip(b"\r")
            if self.forgetful:
                pending = b""
            self.commands.append(line)
            if not self.secure:
                self.clear.append(line)
            answer = self._take(line, pending)
            if answer is None:
                return
            if isinstance(answer, tuple):
                self._send(connection, answer[0])
                return
            self._send(connection, answer)
            if line == b"STLS" and self.context and answer.startswith(b"+OK"):
                connection = self._wrap(connection)
            if line == b"QUIT":
                return

    def _take(self, line, pending):
        if self.then is not None:
            then, self.then = self.then, None
            return then(line)
        keyword = line.partition(b" ")[0]
        if not keyword.isalnum():
            return b"-ERR what?\r\n"
        return self._reply(line, pending)

    def _send(self, connection, answer):
        if not isinstance(answer, Flood):
            connection.sendall(answer)
            return
        connection.sendall(answer.first)
        for block in answer.blocks:
            if self.closing.is_set() or self.flooded > FLOOD:
                break
            connection.sendall(block)
            self.flooded += len(block)

    def _stls(self, _):
        return b"+OK\r\n"


def without(command):
    """A server that does not know the command."""
    return {command: b"-ERR [SYS/PERM] what is that?\r\n"}


def capped(count, answer=b"-ERR [SYS/TEMP] that is all for today\r\n"):
    """A provider that gives `count` messages a session."""
    def retr(server, argument, _):
        server.retrieved += 1
        return server._retr(argument) if server.retrieved <= count else answer
    return {b"RETR": retr}


def cut(number, octets):
    """The connection ends `octets` into that message."""
    return {b"RETR %d" % number: lambda server, argument, _: (server._retr(argument)[:octets],)}


def late(server, seconds, answer):
    server.linger(seconds)
    return answer


def listing(rows):
    return Scripted.rows(b"+OK", rows)


def rows_without_end(form, count=100_000_000):
    """A listing of a hundred million rows, in blocks."""
    for first in range(1, count, 10_000):
        yield b"".join(form % number for number in range(first, first + 10_000))


def same_again(block):
    while True:
        yield block


def challenge(octets, then):
    """AUTH is answered by a challenge, and what comes to that by `then`."""
    def auth(server, *_):
        server.then = lambda _line: then
        return b"+ " + octets + b"\r\n"
    return {b"AUTH": auth}


def scram_without_proof(signature=b"v=" + base64.b64encode(bytes(32))):
    """It takes any password, and can't show that it knows it."""
    def server_first(argument):
        initial = base64.b64decode(argument.split(b" ")[1])
        nonce = initial.rpartition(b",r=")[2]
        return base64.b64encode(b"r=" + nonce + b"server,s=" + base64.b64encode(b"salt" * 4) + b",i=4096")

    def auth(server, argument, _):
        server.then = lambda _line: _final(server)
        return b"+ " + server_first(argument) + b"\r\n"

    def _final(server):
        server.then = lambda _line: b"+OK welcome\r\n"
        return b"+ " + base64.b64encode(signature) + b"\r\n"

    return {b"AUTH": auth}

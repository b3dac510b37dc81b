# SPDX-License-Identifier: MIT
"""A strict POP3 client over a socket: it takes nothing for granted that the server sends."""

import socket

PATIENCE = 30  # seconds; only a broken server makes anybody wait that long


class ProtocolError(AssertionError):
    pass


class Client:
    """One connection. Octets in, octets out; no line is accepted that RFC 1939 and 2449 do not allow."""

    def __init__(self, address, source=None, greeting=True, receive_buffer=None):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.buffer = b""
        try:
            if source:
                self.socket.bind((source, 0))
            self.socket.connect(address)
            self.greeting = self.line() if greeting else b"+OK"
            if not self.greeting.startswith(b"+OK"):
                raise ProtocolError(f"greeted with {self.greeting!r}")
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, octets):
        self.socket.sendall(octets)

    def _receive(self):
        octets = self.socket.recv(65536)
        self.buffer += octets
        return octets

    def line(self, limit=512):
        """The next line without its CR LF."""
        while b"\n" not in self.buffer:
            if limit and len(self.buffer) > limit:
                raise ProtocolError(f"a reply line of over {limit} octets: {self.buffer[:80]!r}")
            if not self._receive():
                raise ProtocolError(f"closed in the middle of a reply: {self.buffer!r}")
        line, _, self.buffer = self.buffer.partition(b"\n")
        if not line.endswith(b"\r"):
            raise ProtocolError(f"a reply line ends in a bare LF: {line!r}")
        if limit and len(line) + 1 > limit:
            raise ProtocolError(f"a reply line of {len(line) + 1} octets")
        return line[:-1]

    def reply(self):
        line = self.line()
        if not (line == b"+OK" or line == b"-ERR" or line.startswith((b"+OK ", b"-ERR "))):
            raise ProtocolError(f"neither +OK nor -ERR: {line!r}")
        return line

    def command(self, command):
        self.send(command + b"\r\n")
        return self.reply()

    def ok(self, command):
        reply = self.command(command)
        if not reply.startswith(b"+OK"):
            raise ProtocolError(f"{command!r} was answered {reply!r}")
        return reply

    def error(self, command):
        reply = self.command(command)
        if not reply.startswith(b"-ERR"):
            raise ProtocolError(f"{command!r} was answered {reply!r}")
        return reply

    def body(self):
        """The octets of a multi-line response after its first line, dots removed, terminator left off."""
        pieces = []
        while True:
            line = self.line(limit=None)
            if line == b".":
                return b"".join(pieces)
            pieces.append((line[1:] if line.startswith(b".") else line) + b"\r\n")

    def multiline(self, command):
        self.ok(command)
        return self.body()

    def lines(self, command):
        return self.multiline(command).split(b"\r\n")[:-1]

    def login(self, user=b"alice", password=b"secret"):
        self.ok(b"USER " + user)
        return self.ok(b"PASS " + password)

    def unique_ids(self):
        return {int(number): unique_id for number, unique_id in
                (line.split(b" ", 1) for line in self.lines(b"UIDL"))}

    def sizes(self):
        return {int(number): int(size) for number, size in
                (line.split(b" ") for line in self.lines(b"LIST"))}

    def quit(self):
        reply = self.ok(b"QUIT")
        self.expect_close()
        return reply

    def rest(self):
        """All octets until the server closes in an orderly way."""
        while self._receive():
            pass
        octets, self.buffer = self.buffer, b""
        return octets

    def expect_close(self):
        if octets := self.rest():
            raise ProtocolError(f"before the close came {octets!r}")

# SPDX-License-Identifier: MIT
"""A POP3 client for what nobody times: sessions that are idle, and those that disturb others."""

import socket
import ssl

from cases import Wrong
from corpus import PASSWORD

PATIENCE = 30  # seconds


def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


class Session:
    """One connection. A reply that is not +OK ends the measurement."""

    def __init__(self, port, context=None, resume=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.socket = context.wrap_socket(self.socket, session=resume)
        self.rest = b""
        self.lines(1)

    def lines(self, count):
        while self.rest.count(b"\n") < count:
            octets = self.socket.recv(1 << 16)
            if not octets:
                raise Wrong(f"the connection ended behind {self.rest[-80:]!r}")
            self.rest += octets
        lines = self.rest.split(b"\n", count)
        self.rest = lines.pop()
        for line in lines:
            if not line.startswith(b"+OK"):
                raise Wrong(f"the server says {line!r}")

    def ask(self, *commands):
        """Pipelined."""
        self.socket.sendall(b"".join(command.encode() + b"\r\n" for command in commands))
        self.lines(len(commands))

    def log_in(self, user):
        self.ask(f"USER {user}")
        self.ask(f"PASS {PASSWORD}")
        return self

    def quit(self):
        self.ask("QUIT")
        self.socket.close()

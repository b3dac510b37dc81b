# SPDX-License-Identifier: MIT
"""An LMTP server that says what it is told to."""

from listening import Listening


class LmtpServer(Listening):
    """`answers`: what to say instead, by verb, or by "data" for the reply to a message; bytes, or None to close.
    What it accepted stands in `mail`, as it came, with its dots."""

    def __init__(self, **answers):
        self.answers = {key.upper().encode(): value for key, value in answers.items()}
        self.mail = []
        self.commands = []
        super().__init__()
        self.place = f"127.0.0.1:{self.port}"

    def _session(self, connection):
        lines = connection.makefile("rb")
        connection.sendall(b"220 hello\r\n")
        for line in lines:
            self.commands.append(line)
            verb = line.split()[0].upper()
            reply = self.answers.get(verb, {b"LHLO": b"250-hello\r\n250 PIPELINING\r\n",
                                            b"DATA": b"354 go on\r\n"}.get(verb, b"250 fine\r\n"))
            if reply is None:
                return
            connection.sendall(reply)
            if verb == b"QUIT":
                return
            if verb == b"DATA" and reply.startswith(b"354"):
                reply = self._message(lines)
                if reply is None:
                    return
                connection.sendall(reply)

    def _message(self, lines):
        octets = b""
        for line in lines:
            if line == b".\r\n":
                reply = self.answers.get(b"END", b"250 stored\r\n")
                if reply is not None and reply.startswith(b"2"):
                    self.mail.append(octets)
                return reply
            octets += line[1:] if line.startswith(b".") else line
        return None

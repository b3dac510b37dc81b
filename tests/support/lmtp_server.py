# SPDX-License-Identifier: MIT
"""An LMTP server that says what it is told to."""

import contextlib
import socket
import threading


class LmtpServer:
    """`answers`: what to say instead, by verb, or by "data" for the reply to a message; bytes, or None to close.
    What it accepted stands in `mail`, as it came, with its dots."""

    def __init__(self, **answers):
        self.answers = {key.upper().encode(): value for key, value in answers.items()}
        self.mail = []
        self.commands = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # close alone does not wake accept
        self.listener.close()
        self.thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(30)
                self._session(connection, connection.makefile("rb"))

    def _session(self, connection, lines):
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

# SPDX-License-Identifier: MIT
"""An SMTP server that says what it is told to, with TLS and logins."""

import base64
import ssl

from listening import Listening


class SmtpServer(Listening):
    """`answers`: what to say instead, by verb, or by "end" for the reply to a message; bytes, or None to close.
    `certificate`: (certificate, key), for STARTTLS, or with `implicit` from the first octet. `users`: who may log
    in, and then must. What it accepted stands in `mail`, as it came, without the dots that were doubled; the
    commands of all sessions, with what they say after TLS, in `commands`; how each message came in `secured`."""

    def __init__(self, extensions=("PIPELINING", "8BITMIME"), certificate=None, implicit=False, users=None,
                 mechanisms="PLAIN LOGIN", **answers):
        self.answers = {key.upper().encode(): value for key, value in answers.items()}
        self.extensions = list(extensions)
        self.users = users
        self.mechanisms = mechanisms
        self.implicit = implicit
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        self.mail = []
        self.commands = []
        self.secured = []
        self.logins = []
        super().__init__()

    @property
    def url(self):
        return f"{'smtps' if self.implicit else 'smtp'}://127.0.0.1:{self.port}"

    def _session(self, connection):
        self.is_secured = self.implicit
        self.user = None
        if self.implicit:
            connection = self.tls.wrap_socket(connection, server_side=True)
        connection.sendall(self.answers.get(b"GREETING", b"220 mx.example ESMTP\r\n"))
        while connection is not None:
            connection = self._lines(connection)

    def _lines(self, connection):
        """Serves until the connection changes; the new one."""
        lines = connection.makefile("rb", buffering=0)  # nothing of TLS is read too early
        for line in lines:
            self.commands.append(line)
            verb = line.split()[0].upper()
            reply = self.answers.get(verb, self._reply)
            reply = reply(verb, line, connection, lines) if callable(reply) else reply
            if reply is None or connection is None:
                return None
            connection.sendall(reply)
            if verb == b"QUIT":
                return None
            if verb == b"STARTTLS" and reply.startswith(b"220"):
                self.is_secured = True
                return self.tls.wrap_socket(connection, server_side=True)
        return None

    def _reply(self, verb, line, connection, lines):
        if verb == b"EHLO":
            words = ["mx.example", *self.extensions]
            if self.tls and not self.is_secured:
                words.append("STARTTLS")
            if self.users and (self.is_secured or not self.tls):
                words.append(f"AUTH {self.mechanisms}")
            return b"".join(b"250%s%s\r\n" % (b" " if word == words[-1] else b"-", word.encode()) for word in words)
        if verb == b"STARTTLS":
            return b"220 go on\r\n"
        if verb == b"AUTH":
            return self._auth(line, connection, lines)
        if verb == b"MAIL" and self.users and self.user is None:
            return b"530 5.7.0 log in first\r\n"
        if verb == b"DATA":
            connection.sendall(b"354 go on\r\n")
            return self._message(lines)
        return b"250 fine\r\n"

    def _auth(self, line, connection, lines):
        mechanism, *initial = line.split()[1:]

        def ask(prompt):
            connection.sendall(b"334 " + base64.b64encode(prompt) + b"\r\n")
            return base64.b64decode(next(lines))
        if mechanism == b"PLAIN":
            _, user, password = (base64.b64decode(initial[0]) if initial else ask(b"")).split(b"\0")
        elif mechanism == b"LOGIN":
            user, password = ask(b"Username:"), ask(b"Password:")
        else:
            return b"535 5.7.8 no keys\r\n"
        self.logins.append((mechanism.decode(), user.decode(), self.is_secured))
        if self.users.get(user.decode()) != password.decode():
            return b"535 5.7.8 wrong\r\n"
        self.user = user
        return b"235 2.7.0 welcome\r\n"

    def _message(self, lines):
        octets = b""
        for line in lines:
            if line == b".\r\n":
                reply = self.answers.get(b"END", b"250 2.0.0 queued\r\n")
                if reply is not None and reply.startswith(b"2"):
                    self.mail.append(octets)
                    self.secured.append(self.is_secured)
                return reply
            octets += line[1:] if line.startswith(b".") else line
        return None

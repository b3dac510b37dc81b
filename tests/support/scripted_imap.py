# SPDX-License-Identifier: MIT
"""An IMAP server with one folder, that is told what to do wrong: for what no real one does."""

import base64
import contextlib
import json
import re
import ssl

from listening import Listening


class ScriptedImap(Listening):
    """`answers`: what to say instead, by verb: bytes (after the tag where they begin with a blank), a list of such
    for one command after the other, None to close, or a function of (server, tag, arguments) that gives one of
    these. APPEND has been read by then, but not yet kept: `keep` does it. `certificate` (and its key): TLS from the
    beginning. Tokens are taken if `takes` says so of one."""

    def __init__(self, answers=None, capabilities=b"LITERAL+ UIDPLUS", greeting=b"* OK here\r\n", certificate=None):
        self.answers = dict(answers or {})
        self.capabilities = capabilities
        self.greeting = greeting
        self.folder = []  # (flags, date, octets); UIDs from 1 on
        self.commands = []
        self.logins = []  # first messages of SASL
        self.takes = lambda token: True
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        super().__init__()

    def keep(self, arguments):
        flags, date, _ = re.search(rb'\((.*)\) "(.*)" ~?(\{)', arguments).groups()
        self.folder.append((flags, date, self.literal))

    def _session(self, connection):
        if self.tls is None:
            self._talk(connection)
            return
        with contextlib.suppress(ssl.SSLError), self.tls.wrap_socket(connection, server_side=True) as secured:
            self._talk(secured)

    def _authenticate(self, connection, stream, tag, arguments):
        """OAUTHBEARER (RFC 7628) and XOAUTH2."""
        mechanism, _, first = arguments.partition(b" ")
        if not first:
            connection.sendall(b"+ \r\n")
            first = stream.readline()
        message = base64.b64decode(first)
        self.logins.append(message)
        if self.takes(re.search(rb"\x01auth=Bearer ([^\x01]+)\x01\x01\Z", message)[1].decode()):
            return tag + b" OK in\r\n"
        connection.sendall(b"+ " + base64.b64encode(json.dumps({"status": "401"}).encode()) + b"\r\n")
        answer = stream.readline().strip()
        assert base64.b64decode(answer) == (b"\x01" if mechanism == b"OAUTHBEARER" else b""), answer
        return tag + b" NO [AUTHENTICATIONFAILED] not this one\r\n"

    def _talk(self, connection):
        connection.sendall(self.greeting)
        stream = connection.makefile("rb")
        while line := stream.readline():
            tag, verb, arguments = (line.rstrip(b"\r\n") + b"  ").split(b" ", 2)
            if verb == b"UID":
                verb, _, arguments = arguments.partition(b" ")
            self.commands.append((verb, arguments.strip()))
            literal = re.search(rb"\{(\d+)(\+?)\}$", arguments.strip())
            if literal:
                if not literal[2]:
                    connection.sendall(b"+ go on\r\n")
                self.literal = stream.read(int(literal[1]))
                stream.readline()
            if verb == b"AUTHENTICATE" and "AUTHENTICATE" not in self.answers:
                connection.sendall(self._authenticate(connection, stream, tag, arguments.strip()))
                continue
            reply = self._reply(verb, tag, arguments.strip())
            if reply is None:
                return
            connection.sendall(reply)
            if verb == b"LOGOUT":
                return

    def _reply(self, verb, tag, arguments):
        done = tag + b" OK done\r\n"
        if verb.decode() in self.answers:
            answer = self.answers[verb.decode()]
            if isinstance(answer, list):
                answer = answer.pop(0) if answer else done
            if callable(answer):
                answer = answer(self, tag, arguments)
            return tag + answer if answer and answer.startswith(b" ") else answer
        if verb == b"CAPABILITY":
            return b"* CAPABILITY IMAP4rev1 " + self.capabilities + b"\r\n" + done
        if verb == b"EXAMINE":
            return b"* OK [UIDVALIDITY 7] it\r\n* OK [UIDNEXT %d] it\r\n" % (len(self.folder) + 1) + done
        if verb == b"SEARCH":
            return b"* SEARCH" + b"".join(b" %d" % uid for uid in self.search(arguments)) + b"\r\n" + done
        if verb == b"APPEND":
            self.keep(arguments)
        if verb == b"LIST":
            return b'* LIST (\\Noselect) "." ""\r\n' + done
        return done

    def search(self, arguments):
        first = re.search(rb"UID (\d+):", arguments)
        larger = re.search(rb"LARGER (\d+)", arguments)
        field = re.search(rb'HEADER (\S+) "(.*)"', arguments)
        for uid, (_, _, octets) in enumerate(self.folder, 1):
            named = not field or re.search(rb"(?im)^" + field[1] + rb":.*" + re.escape(field[2]), octets)
            if uid >= int(first[1] if first else 1) and named and (
                    not larger or len(octets) == int(larger[1]) + 1):
                yield uid

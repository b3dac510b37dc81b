# SPDX-License-Identifier: MIT
"""An IMAP server with one folder, that is told what to do wrong: for what no real one does."""

import re

from listening import Listening


class ScriptedImap(Listening):
    """`answers`: what to say instead, by verb: bytes (after the tag where they begin with a blank), a list of such
    for one command after the other, None to close, or a function of (server, tag, arguments) that gives one of
    these. APPEND has been read by then, but not yet kept: `keep` does it."""

    def __init__(self, answers=None, capabilities=b"LITERAL+ UIDPLUS", greeting=b"* OK here\r\n"):
        self.answers = dict(answers or {})
        self.capabilities = capabilities
        self.greeting = greeting
        self.folder = []  # (flags, date, octets); UIDs from 1 on
        self.commands = []
        super().__init__()

    def keep(self, arguments):
        flags, date, _ = re.search(rb'\((.*)\) "(.*)" ~?(\{)', arguments).groups()
        self.folder.append((flags, date, self.literal))

    def _session(self, connection):
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

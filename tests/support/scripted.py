# SPDX-License-Identifier: MIT
"""A POP3 server that is told what to do wrong, for what no real one does."""

from listening import Listening


class Scripted(Listening):
    """Serves `messages` (octets on the wire, each with its unique id). `answers`: what to say instead, by
    command line or by keyword; bytes, or a function of (server, argument) that gives them, or None to close."""

    def __init__(self, messages=(), answers=None, capabilities=(b"UIDL", b"TOP", b"PIPELINING", b"USER")):
        self.messages = dict(enumerate(messages, 1))
        self.answers = dict(answers or {})
        self.capabilities = capabilities
        self.commands = []
        super().__init__()

    def _session(self, connection):
        self.deleted = set()
        connection.sendall(self.answers.get("greeting", b"+OK scripted\r\n"))
        pending = b""
        while True:
            while b"\r\n" not in pending:
                octets = connection.recv(65536)
                if not octets:
                    return
                pending += octets
            line, _, pending = pending.partition(b"\r\n")
            self.commands.append(line)
            reply = self._reply(line, pending)
            if reply is None:
                return
            if isinstance(reply, tuple):  # the last words
                connection.sendall(reply[0])
                return
            connection.sendall(reply)
            if line == b"QUIT":
                return

    def _reply(self, line, pending):
        keyword, _, argument = line.partition(b" ")
        for key in (line, keyword):
            if key in self.answers:
                answer = self.answers[key]
                return answer(self, argument, pending) if callable(answer) else answer
        try:
            return getattr(self, f"_{keyword.decode().lower()}")(argument)
        except KeyError:
            return b"-ERR there is no such message\r\n"

    def _left(self):
        return {n: m for n, m in self.messages.items() if n not in self.deleted}

    @staticmethod
    def rows(first, rows):
        return first + b"\r\n" + b"".join(row + b"\r\n" for row in rows) + b".\r\n"

    def _capa(self, _):
        return self.rows(b"+OK", self.capabilities)

    def _user(self, _):
        return b"+OK\r\n"

    _pass = _noop = _user

    def _stat(self, _):
        left = self._left()
        return b"+OK %d %d\r\n" % (len(left), sum(len(octets) for _, octets in left.values()))

    def _list(self, _):
        return self.rows(b"+OK", [b"%d %d" % (n, len(m[1])) for n, m in self._left().items()])

    def _uidl(self, _):
        return self.rows(b"+OK", [b"%d %s" % (n, m[0]) for n, m in self._left().items()])

    @staticmethod
    def stuffed(octets):
        return b"+OK\r\n" + octets.replace(b"\r\n.", b"\r\n..") + b".\r\n"

    def _retr(self, argument):
        return self.stuffed(self.messages[int(argument)][1])

    def _top(self, argument):
        octets = self.messages[int(argument.split()[0])][1]
        return self.stuffed(octets.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")

    def _dele(self, argument):
        self.deleted.add(int(argument))
        return b"+OK\r\n"

    def _quit(self, _):
        for number in self.deleted:
            del self.messages[number]
        return b"+OK\r\n"

# SPDX-License-Identifier: MIT
"""The corpus of tests/dialogues against the installed binary: in lockstep, octet by octet, at once."""

import select
import shutil

import pytest

import dialogues
import maildir
import pop3
import restante

DIALOGUES = dialogues.for_the_wire()


class Player:
    """Plays one dialogue over one connection."""

    def __init__(self, server, dialogue):
        self.world = server.world
        self.dialogue = dialogue
        self.server = server
        self.client = server.client(greeting=False)
        if dialogue.start != "connected":
            assert self.client.line().startswith(b"+OK")
        if dialogue.start == "transaction":
            self.client.login(dialogue.user, dialogue.password)

    def read_line(self, kind, expected):
        line = self.client.line(limit=None)
        if kind == "S":
            assert line == expected
        else:
            assert line.startswith(expected), (line, expected)

    def check_messages(self, text):
        """What is in the maildrop once the session has let go of it."""
        with self.server.login(self.dialogue.user, self.dialogue.password) as client:
            client.quit()
        left = {name.partition(":")[0] for name in
                maildir.names(self.world.maildrop(self.dialogue.user.decode()))}
        assert left == {f"{number}.dialogue" for number in text.decode().split()}

    def lockstep(self, octet_by_octet):
        for kind, text in self.dialogue.statements:
            if kind in ("C", "c"):
                octets = text + (b"\r\n" if kind == "C" else b"")
                pieces = [octets[i:i + 1] for i in range(len(octets))] if octet_by_octet \
                    else [octets]
                for piece in pieces:
                    if not self.send(piece):
                        break
            else:
                self.take(kind, text)

    def send(self, octets):
        """What is said to a server that has closed already is lost; what it said before counts."""
        try:
            self.client.send(octets)
        except ConnectionError:
            return False
        return True

    def at_once(self):
        octets = b"".join(text + (b"\r\n" if kind == "C" else b"")
                          for kind, text in self.dialogue.statements if kind in ("C", "c"))
        self.exchange(octets)
        for kind, text in self.dialogue.statements:
            if kind not in ("C", "c"):
                self.take(kind, text)

    def exchange(self, octets):
        """Sends all, and takes meanwhile what comes, as both ends may have more than the sockets hold."""
        sock = self.client.socket
        sock.setblocking(False)
        while octets:
            readable, writable, _ = select.select([sock], [sock], [], pop3.PATIENCE)
            assert readable or writable, "the connection stands still"
            try:
                if writable:
                    octets = octets[sock.send(octets):]
                if readable and not self.client._receive():
                    break  # closed already: what was to be read decides
            except (BlockingIOError, ConnectionError):
                break
        sock.settimeout(pop3.PATIENCE)

    def take(self, kind, text):
        if kind in ("S", "s"):
            self.read_line(kind, text)
        elif kind == "S-":
            try:
                self.client.expect_close()
            except ConnectionResetError:
                assert self.speaks_behind_quit()  # the kernel's answer to octets that came late
            self.client.socket.close()
        elif kind == "C-":
            self.hang_up()
        elif kind == "L":
            self.check_messages(text)

    def speaks_behind_quit(self):
        said = [text for kind, text in self.dialogue.statements if kind in ("C", "c")]
        return b"QUIT" in said[:-1]

    def hang_up(self):
        """Closes, once it is sure that the server has nothing more to say."""
        assert self.client.buffer == b""
        readable, _, _ = select.select([self.client.socket], [], [], 0.02)
        assert not readable, f"the server had more to say: {self.client._receive()!r}"
        self.client.socket.close()


class Servers:
    """One server for each configuration and account that a dialogue asks for."""

    def __init__(self):
        self.running = {}

    def get(self, dialogue):
        """A server whose maildrop is new."""
        key = (*sorted(dialogue.config.items()), dialogue.user, dialogue.password)
        if key not in self.running:
            world = restante.World()
            self.running[key] = world
            world.write_accounts({dialogue.user.decode(): dialogue.password.decode()})
            world.configure(pop3={"plaintext-login": "always", "mechanisms": "none", **dialogue.config})
            world.start()
        world = self.running[key]
        shutil.rmtree(world.maildrop(dialogue.user.decode()))
        [server] = world.servers
        return server

    def close(self):
        for world in self.running.values():
            world.close()


@pytest.fixture(scope="module")
def servers():
    made = Servers()
    yield made
    made.close()


def fill(world, dialogue):
    folder = world.maildrop(dialogue.user.decode())
    for place in ("new", "cur"):
        for path in (folder / place).iterdir():
            path.unlink()
    for number, message in enumerate(dialogue.messages, 1):
        world.put(message.text, user=dialogue.user.decode(), name=f"{number}.dialogue")


@pytest.mark.sanitized
@pytest.mark.parametrize("dialogue", [pytest.param(one, id=one.name) for one in DIALOGUES])
def test_dialogue(servers, dialogue):
    server = servers.get(dialogue)
    server.forget_log()
    try:
        play(server, dialogue)
    finally:
        print(server.log())


def play(server, dialogue):
    for octet_by_octet in (False, True):
        fill(server.world, dialogue)
        Player(server, dialogue).lockstep(octet_by_octet)
    if dialogue.pipelined:
        fill(server.world, dialogue)
        Player(server, dialogue).at_once()

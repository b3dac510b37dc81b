# SPDX-License-Identifier: MIT
"""Cases with the client of client.py: TLS, commands one by one, deletions, and the memory of idle sessions."""

import os
import shutil
import time

import client
import corpus
from cases import Case, Goal, Row

DELETED = 10_000


def run_sessions(port, context, resume, seconds):
    done, began = 0, time.monotonic()
    while time.monotonic() - began < seconds:
        session = client.Session(port, context, resume)
        session.log_in(f"small-{done % 64:04}").ask("STAT")
        session.quit()
        done += 1
    return done


class TlsSessions(Case):
    """A handshake for each session, full or resumed with a ticket of the first."""

    def __init__(self, resumed):
        kind = "resumed" if resumed else "full"
        limit = 4 if resumed else 2.5
        super().__init__([Row(f"TLS 1.3 short sessions, {kind} handshakes, CPU of the server for 1 000", "cpu",
                              None, Goal(1 / limit, text=f"<= 1/{limit:g}"))])
        self.resumed = resumed

    def takes(self, server):
        return server.tls_port is not None

    def once(self, load, server):
        def work():
            context, ticket = client.tls_context(), None
            if self.resumed:
                first = client.Session(server.tls_port, context).log_in("small-0000")
                ticket = first.socket.session
                first.quit()
            return run_sessions(server.tls_port, context, ticket, 1.5)
        before = server.group.cpu_seconds()
        done = client.on_core(load.context.load_core, work)
        return {"cpu": (server.group.cpu_seconds() - before) / done * 1000}


class PingPong(Case):
    def __init__(self):
        super().__init__([Row("NOOP, one by one, CPU of the server for 10 000", "cpu", None, None)])

    def once(self, load, server):
        def work():
            session = client.Session(server.port).log_in("small-0000")
            for _ in range(10_000):
                session.ask("NOOP")
            session.quit()
        before = server.group.cpu_seconds()
        client.on_core(load.context.load_core, work)
        return {"cpu": server.group.cpu_seconds() - before}


def fill_with_links(folder, count, owner):
    """A Maildir of so many messages: names of one file or, where a file may have no more, of a few."""
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("cur", "new", "tmp"):
        (folder / part).mkdir(parents=True)
        os.chown(folder / part, owner.pw_uid, owner.pw_gid)
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    stored = corpus.message(corpus.Text(), 1, 1_000)
    first = None
    for number in range(count):
        name = folder / "cur" / (f"{1_700_000_000 + number}.M{number % 1_000_000}P{number}.mail.example.net"
                                 f",S={len(stored)},W={corpus.octets(stored)}:2,S")
        if number % 60_000 == 0:
            name.write_bytes(stored)
            os.chown(name, owner.pw_uid, owner.pw_gid)
            first = name
        else:
            os.link(first, name)


class Deletion(Case):
    def __init__(self):
        super().__init__([Row("DELE of 10 000, pipelined, and QUIT, time", "seconds", None, None),
                          Row("DELE of 10 000, pipelined, and QUIT, CPU of the server", "cpu", None, None)],
                         rounds=2)

    def takes(self, server):
        return server.serves_mail

    def once(self, load, server):
        mail = load.context.corpus.mail / "deleted"
        fill_with_links(mail, DELETED, load.context.owner)

        def work():
            session = client.Session(server.port).log_in("deleted")
            began = time.monotonic()
            for first in range(1, DELETED + 1, 500):
                session.ask(*(f"DELE {number}" for number in range(first, first + 500)))
            session.quit()
            return time.monotonic() - began
        time.sleep(0.05)
        before = server.group.cpu_seconds()
        seconds = client.on_core(load.context.load_core, work)
        figures = {"seconds": seconds, "cpu": server.group.cpu_seconds() - before}
        left = len(os.listdir(mail / "cur"))
        if left:
            raise client.Wrong(f"{server.title}: {left} messages are there after DELE and QUIT")
        return figures


class Idle(Case):
    """What so many sessions cost in memory that say nothing, before login and after it."""

    def __init__(self, count, logged_in, tls=False):
        where = ("after" if logged_in else "before") + " login"
        link = "TLS" if tls else "plain"
        goal = Goal(1 / 6, text="<= 1/6") if tls else Goal(1 / 20, text="<= 1/20")
        super().__init__([Row(f"memory (PSS) of an idle session {where}, {link}", "octets", None, goal,
                              most=24 * 1024 if tls else 4 * 1024)], rounds=1)
        self.count, self.logged_in, self.tls = count, logged_in, tls

    def takes(self, server):
        return server.serves_mail and (not self.tls or server.tls_port is not None)

    def once(self, load, server):
        return {"octets": self.measure(server, min(self.count, server.most_idle))}

    def measure(self, server, count):
        """Octets a session, the first tenth not counted: they bring into memory what all share."""
        (first, before), (_, after) = self.grow(server, (count // 10, count))
        return (after - before) / (count - first)

    def grow(self, server, counts):
        """(sessions, octets of the whole server) at each of these counts."""
        server.restart()
        context = client.tls_context() if self.tls else None
        port = server.tls_port if self.tls else server.port
        client.Session(port, context).log_in("idle-0000").quit()
        sessions = []
        try:
            for count in counts:
                while len(sessions) < count:
                    session = client.Session(port, context)
                    sessions.append(session)
                    if self.logged_in:
                        session.log_in(f"idle-{len(sessions) - 1:04}")
                time.sleep(0.3)
                yield count, server.group.memory()
        finally:
            for session in sessions:
                session.socket.close()
            time.sleep(0.3)


def quick(idle_sessions):
    return [TlsSessions(False), TlsSessions(True), PingPong(), Deletion(),
            *(Idle(idle_sessions, logged_in, tls) for tls in (False, True) for logged_in in (False, True))]

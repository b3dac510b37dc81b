# SPDX-License-Identifier: MIT
"""Cases beside sessions and messages: commands one by one, changed maildrops, deletions, memory of idle sessions."""

import os
import resource
import shutil
import time

import client
import corpus
from cases import SETTLED, Case, Goal, Row


class PingPong(Case):
    def __init__(self, tls=None):
        self.tls = tls
        super().__init__([Row("NOOP, one by one, CPU of the server for 10 000", "cpu")])

    def once(self, load, server):
        report = load.measured(server, "noops", corpus.SMALL, "--repeat", "10000", tls=self.tls)
        return {"cpu": report["server_cpu"], "busy": report["busy"]}


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


def link_drop(context, size, name=None, kept=True):
    """A maildrop of so many names, and what the load generator knows of it. `kept`: one that is there serves."""
    drop = corpus.Maildrop(name or f"linked-{size}", size, 1_000, wire=False)
    folder = context.corpus.mail / drop.name
    if not kept:
        shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        unfinished = folder.with_name("unfinished")
        fill_with_links(unfinished, size, context.owner)
        unfinished.rename(folder)
    stored = corpus.message(corpus.Text(), 1, 1_000)
    (context.corpus.truth / f"{drop.name}.sizes").write_text(f"{size} {size * corpus.octets(stored)}\n")
    return drop


class Deletion(Case):
    def __init__(self, tls=None):
        self.tls = tls
        super().__init__([Row("DELE of 10 000, pipelined, and QUIT, time", "seconds"),
                          Row("DELE of 10 000, pipelined, and QUIT, CPU of the server", "cpu")], rounds=2)

    def takes(self, server):
        return server.serves_mail and super().takes(server)

    def once(self, load, server):
        drop = load.context.linked(10_000, name="deleted", kept=False)
        time.sleep(SETTLED)
        report = load.measured(server, "deletions", drop, "--window", "500", tls=self.tls)
        left = len(os.listdir(load.context.corpus.mail / drop.name / "cur"))
        if left:
            raise client.Wrong(f"{server.title}: {left} messages are there after DELE and QUIT")
        return {"seconds": report["p50_us"] / 1e6, "cpu": report["server_cpu"], "busy": report["busy"]}


class ChangedLogin(Case):
    """Login on a large maildrop to which one message came or from which one went since the last login."""

    drop = corpus.SIZED

    def __init__(self, tls=None):
        self.tls = tls
        super().__init__([
            Row("login + STAT on 100 000, behind one delivery into new/, time", "seconds"),
            Row("login + STAT on 100 000, behind one delivery by restante deliver (others: into new/), time", "own"),
            Row("login + STAT on 100 000, behind one deletion, time", "deleted")])

    def takes(self, server):
        return server.serves_mail and super().takes(server)

    def log_in(self, load, server, *arguments):
        time.sleep(SETTLED)
        return load.run(server, "logins", self.drop, *arguments, tls=self.tls)["p50_us"] / 1e6

    def deliver(self, context):
        """As any delivery agent does."""
        arriving = context.corpus.mail / self.drop.name / "tmp" / f"{int(time.time())}.M{time.time_ns() % 1_000_000}P1.mail"
        arriving.write_bytes(corpus.message(corpus.Text(), 1, 1_000))
        os.chown(arriving, context.owner.pw_uid, context.owner.pw_gid)
        arriving.rename(arriving.parents[1] / "new" / arriving.name)

    def with_one_more(self, load, server, deliver):
        """Times behind the delivery and behind the deletion."""
        context = load.context
        count, octets = map(int, (context.corpus.truth / f"{self.drop.name}.sizes").read_text().split()[:2])
        self.log_in(load, server)
        deliver()
        arrived, = (context.corpus.mail / self.drop.name / "new").iterdir()
        octets += corpus.octets(arrived.read_bytes())
        delivered = self.log_in(load, server, "--stat", f"{count + 1} {octets}")
        session = client.Session(server.port).log_in(self.drop.name)
        session.ask(f"DELE {count + 1}")
        session.quit()
        return delivered, self.log_in(load, server)

    def once(self, load, server):
        delivered, deleted = self.with_one_more(load, server, lambda: self.deliver(load.context))
        own = delivered
        if server.delivers:
            message = corpus.message(corpus.Text(), 1, 1_000)
            own, _ = self.with_one_more(load, server, lambda: server.deliver(self.drop.name, message))
        return {"seconds": delivered, "own": own, "deleted": deleted}


class Idle(Case):
    """What so many sessions cost in memory that say nothing, before login and after it."""

    def __init__(self, count, logged_in, tls=False):
        where = ("after" if logged_in else "before") + " login"
        link = "TLS" if tls else "plain"
        goal = Goal(1 / 6, text="<= 1/6") if tls else Goal(1 / 20, text="<= 1/20")
        super().__init__([Row(f"memory (PSS) of an idle session {where}, {link}", "octets", None, goal,
                              most=24 * 1024 if tls else 4 * 1024)], rounds=1)
        self.count, self.logged_in, self.secured = count, logged_in, tls

    def takes(self, server):
        return server.serves_mail and (not self.secured or server.tls_port is not None)

    def once(self, load, server):
        return {"octets": self.measure(server, min(self.count, server.most_idle))}

    def measure(self, server, count):
        """Octets a session, the first tenth not counted: they bring into memory what all share."""
        (first, before), (_, after) = self.grow(server, (count // 10, count))
        return (after - before) / (count - first)

    def workers(self, count):
        """So many have the descriptors: a session's connection; behind its login also index, cur/ and new/. And room for
        chance, which gives some more sessions than others."""
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500
        needed = -(-count * (4 if self.logged_in else 1) // descriptors)
        return 1 if needed == 1 else needed + 1

    def grow(self, server, counts):
        """(sessions, octets of the whole server) at each of these counts."""
        server.workers = self.workers(counts[-1])
        server.restart()
        context = client.tls_context() if self.secured else None
        port = server.tls_port if self.secured else server.port
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
            if server.workers > 1:
                server.workers = 1
                server.restart()


def quick(idle_sessions):
    return [*(kind(tls) for tls in (None, "full") for kind in (PingPong, ChangedLogin, Deletion)),
            *(Idle(idle_sessions, logged_in, tls) for tls in (False, True) for logged_in in (False, True))]

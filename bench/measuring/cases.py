# SPDX-License-Identifier: MIT
"""The cases, each with the goals that DESIGN section 7 sets for it, and how a round of one is measured.

A case is measured on all servers in turn, several rounds (A B A B); what counts is the median."""

import json
import subprocess
import time
from dataclasses import dataclass, field
from statistics import median

import corpus
import machine

CONCURRENCY = 16
SETTLED = 0.05  # seconds: an index is not trusted within two clock ticks of what it describes


class Wrong(Exception):
    """A server sent something that is not in the corpus: its times mean nothing."""


class Load:
    """The load generator, on its own core."""

    def __init__(self, context):
        self.context = context

    def run(self, server, case, drop, *arguments, tls=None):
        """`tls`: None, or how its handshakes are: full, resumed."""
        arguments = [*arguments, "--tls", tls] if tls else list(arguments)
        command = [self.context.build / "bench/load", "--case", case, "--port",
                   str(server.tls_port if tls else server.port), "--corpus", self.context.corpus.truth, "--name", drop.name,
                   "--users", str(drop.users or 0), "--password", corpus.PASSWORD, *arguments]
        if not drop.users:
            at = command.index("--users")
            del command[at:at + 2]
        result = subprocess.run(command, preexec_fn=self.context.settle_load, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise Wrong(f"{server.title}: {case} of {drop.name}: {result.stderr.strip()}\n"
                        f"{server.last_words()}")
        return json.loads(result.stdout)

    def measured(self, server, case, drop, *arguments, tls=None):
        """The same, with the processor time of the server beside it."""
        before = server.group.cpu_seconds()
        report = self.run(server, case, drop, *arguments, tls=tls)
        report["server_cpu"] = server.group.cpu_seconds() - before
        return report


@dataclass
class Goal:
    """A ratio that Restante's figure has to keep to another's."""

    limit: float
    at_most: bool = True
    text: str = ""

    def met(self, ratio):
        return ratio <= self.limit if self.at_most else ratio >= self.limit

    def __str__(self):
        return self.text or f"{'<=' if self.at_most else '>='} {self.limit:g}"


@dataclass
class Row:
    """One line of the table: one figure of a case."""

    work: str
    figure: str  # key of what the case brings back
    floor: Goal | None = None
    tuned: Goal | None = None
    popa3d: Goal | None = None
    most: float | None = None  # of Restante's figure itself: memory is the same on every machine


@dataclass
class Case:
    rows: list
    samples: dict = field(default_factory=dict)  # server -> figure -> list
    failures: dict = field(default_factory=dict)  # server -> what it did wrong
    rounds: int = 3
    for_all = False  # also for servers that take part in few cases
    tls = None  # or how its handshakes are

    def __post_init__(self):
        if self.tls:
            for row in self.rows:
                row.work = f"TLS 1.3, {row.work}"

    def takes(self, server):
        return self.tls is None or server.tls_port is not None

    def prepare(self, load, server):
        """Shows that the server sends the right octets, and warms it. Not timed."""

    def once(self, load, server):
        """One round: a dict of figures."""
        raise NotImplementedError

    def add(self, server, figures):
        for key, value in figures.items():
            self.samples.setdefault(server.name, {}).setdefault(key, []).append(value)

    def value(self, server_name, figure):
        samples = self.samples.get(server_name, {}).get(figure)
        return median(samples) if samples else None


class ShortSessions(Case):
    """Under TLS the load generator has more to do than a server: it verifies. So processor time has the goals there."""

    for_all = True
    concurrency, drop = CONCURRENCY, corpus.SMALL
    goals = {None: (Goal(1.3), Goal(1 / 6, text="<= 1/6"), Goal(0.8, at_most=False), Goal(6, at_most=False)),
             "full": (Goal(1.25), Goal(1 / 2.5, text="<= 1/2.5"), None, None),
             "resumed": (Goal(1.25), Goal(1 / 4, text="<= 1/4"), None, None)}

    def __init__(self, tls=None):
        self.tls = tls
        cpu_floor, cpu_tuned, rate_floor, rate_tuned = self.goals[tls]
        handshakes = f", {tls} handshakes" if tls else ""
        super().__init__([
            Row(f"CPU of the server for 1 000 short sessions{handshakes}", "cpu", cpu_floor, cpu_tuned),
            Row(f"short sessions a second, one worker{handshakes}", "rate", rate_floor, rate_tuned),
        ])

    def run(self, load, server, duration):
        return load.measured(server, "sessions", self.drop, "--concurrency", str(self.concurrency),
                             "--duration", duration, tls=self.tls)

    def prepare(self, load, server):
        self.run(load, server, "300ms")

    def once(self, load, server):
        report = self.run(load, server, "2s")
        return {"rate": report["done"] / report["seconds"],
                "cpu": report["server_cpu"] / report["done"] * 1000,
                "busy": report["busy"], "p99_us": report["p99_us"]}


class CrowdedSessions(ShortSessions):
    """The same, with many more at once, each with a maildrop of its own."""

    for_all = False
    concurrency, drop = 1024, corpus.IDLE

    def __init__(self, tls=None):
        self.tls = tls
        Case.__init__(self, [Row("CPU of the server for 1 000 short sessions, 1 024 at once", "cpu"),
                             Row("short sessions a second, 1 024 at once", "rate")])

    def takes(self, server):
        return super().takes(server) and (not self.tls or server.most_idle >= self.concurrency)


class WholeMaildrop(Case):
    """Login, every message of one small maildrop pipelined, QUIT; and again."""

    for_all = True

    def __init__(self, tls=None):
        self.tls = tls
        super().__init__([Row("login, RETR of 10 x 6 KB, QUIT, a second", "rate"),
                          Row("login, RETR of 10 x 6 KB, QUIT, CPU of the server for 1 000", "cpu")])

    def prepare(self, load, server):
        load.run(server, "whole", corpus.SMALL, "--window", "10", "--verify", tls=self.tls)

    def once(self, load, server):
        report = load.measured(server, "whole", corpus.SMALL, "--window", "10", "--duration", "1s", tls=self.tls)
        return {"rate": report["done"] / report["seconds"], "cpu": report["server_cpu"] / report["done"] * 1000,
                "busy": report["busy"]}


class Retrieve(Case):
    for_all = True

    def __init__(self, work, drop, window, floor=None, tuned=None, tls=None):
        self.tls = tls
        super().__init__([Row(f"{work}, octets a second", "rate", floor, tuned),
                          Row(f"{work}, CPU of the server for 1 GB", "cpu_per_gb")])
        self.drop = drop
        self.window = str(min(window, drop.messages))

    def prepare(self, load, server):
        """Messages one by one are those that were compared when they came pipelined: not all again, for a server
        that waits 40 ms before each."""
        part = ("--partial", "--duration", "1s") if self.window == "1" and self.drop.messages > 10 else ()
        load.run(server, "retrieve", self.drop, "--window", self.window, "--verify", *part, tls=self.tls)

    def once(self, load, server):
        report = load.measured(server, "retrieve", self.drop, "--window", self.window, "--partial",
                               "--duration", "700ms", tls=self.tls)
        return {"rate": report["octets"] / report["seconds"],
                "cpu_per_gb": report["server_cpu"] / report["octets"] * 1e9,
                "busy": report["busy"]}


class WarmLogin(Case):
    """Nothing has changed since the last login."""

    load_case = "logins"

    def __init__(self, work, drop, tuned=None, popa3d=None, tls=None):
        self.tls = tls
        super().__init__([Row(work, "seconds", None, tuned, popa3d)])
        self.drop, self.for_all = drop, drop is corpus.SIZED

    def takes(self, server):
        return server.serves_mail and super().takes(server)

    def prepare(self, load, server):
        for _ in range(2):
            load.run(server, "logins", self.drop, tls=self.tls)
            time.sleep(SETTLED)

    def once(self, load, server):
        report = load.measured(server, self.load_case, self.drop, "--repeat", "5", tls=self.tls)
        return {"seconds": report["p50_us"] / 1e6, "cpu": report["server_cpu"] / report["done"],
                "busy": report["busy"]}


class Listings(WarmLogin):
    """With LIST and UIDL of all messages."""

    load_case = "listings"


class FirstLogin(WarmLogin):
    """Without what the server remembers of the maildrop, and without the kernel's names and inodes; the
    octets of the files are in memory, or it would be the disk that is measured."""

    def prepare(self, load, server):
        load.context.corpus.read_all(self.drop)

    def once(self, load, server):
        load.context.corpus.forget(self.drop, *server.index)
        load.context.dropped = machine.drop_dentries()
        report = load.measured(server, "logins", self.drop, tls=self.tls)
        return {"seconds": report["p50_us"] / 1e6, "cpu": report["server_cpu"],
                "busy": report["busy"]}


def quick():
    """Order matters a little: the first logins leave behind what the warm ones need."""
    found = [ShortSessions(), ShortSessions("full"), ShortSessions("resumed"), CrowdedSessions(), CrowdedSessions("full")]
    for tls in (None, "full"):
        goals = (Goal(0.35, at_most=False), Goal(4, at_most=False)) if not tls else ()
        large = (Goal(0.45, at_most=False), Goal(4, at_most=False)) if not tls else ()
        found += [
            WholeMaildrop(tls),
            Retrieve("RETR of 2 000 x 10 KB, pipelined", corpus.MANY, 200, *goals, tls=tls),
            Retrieve("RETR of 2 000 x 10 KB, one by one", corpus.MANY, 1, tls=tls),
            Retrieve("RETR of 4 x 50 MB", corpus.HUGE, 1, *large, tls=tls),
        ]
    for tls in (None, "full"):
        found += [
            FirstLogin("first login + STAT ever on 100 000, sizes in the names, time", corpus.SIZED,
                       popa3d=None if tls else Goal(1, text="< 1"), tls=tls),
            WarmLogin("login + STAT on 100 000, unchanged since last time, time", corpus.SIZED,
                      None if tls else Goal(1 / 50, text="<= 1/50"), tls=tls),
            Listings("login + STAT + LIST + UIDL on 100 000, unchanged since last time, time", corpus.SIZED, tls=tls),
            FirstLogin("first login + STAT ever on 100 000, sizes unknown, time", corpus.BARE,
                       None if tls else Goal(1 / 5, text="<= 1/5"), tls=tls),
        ]
    return found


def attempt(case, server, say, function, *arguments):
    """Calls it, unless the server has failed in this case: then it falls out of the case, and the run goes on."""
    if server.name in case.failures:
        return None
    try:
        return function(*arguments)
    except (Wrong, OSError, subprocess.SubprocessError, ValueError) as wrong:
        case.failures[server.name] = str(wrong)
        case.samples.pop(server.name, None)
        say(f"  {server.title} falls out: {wrong}")
        return None


def measure(case, load, servers, say):
    servers = [server for server in servers if case.takes(server) and (case.for_all or not server.few_cases)]
    for server in servers:
        attempt(case, server, say, case.prepare, load, server)
    for number in range(case.rounds):
        for server in servers:
            figures = attempt(case, server, say, case.once, load, server)
            if figures is not None:
                case.add(server, figures)
        say(f"  {case.rows[0].work}: round {number + 1} of {case.rounds}")

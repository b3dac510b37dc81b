# SPDX-License-Identifier: MIT
"""The cases, each with the goals that DESIGN section 7 sets for it, and how a round of one is measured.

A case is measured on all servers in turn, several rounds (A B A B); what counts is the median."""

import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from statistics import median

import corpus
import machine

CONCURRENCY = 16


class Wrong(Exception):
    """A server sent something that is not in the corpus: its times mean nothing."""


class Load:
    """The load generator, on its own core."""

    def __init__(self, context):
        self.context = context

    def run(self, server, case, drop, *arguments):
        arguments = list(arguments)
        if server.most_at_once and "--concurrency" in arguments:
            at = arguments.index("--concurrency") + 1
            arguments[at] = str(min(int(arguments[at]), server.most_at_once))
        command = [self.context.build / "bench/load", "--case", case, "--port", str(server.port),
                   "--corpus", self.context.corpus.truth, "--name", drop.name,
                   "--users", str(drop.users or 0), "--password", corpus.PASSWORD, *arguments]
        if not drop.users:
            at = command.index("--users")
            del command[at:at + 2]
        result = subprocess.run(command, preexec_fn=self.context.settle_load, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise Wrong(f"{server.title}: {case} of {drop.name}: {result.stderr.strip()}\n"
                        f"{server.last_words()}")
        return json.loads(result.stdout)

    def measured(self, server, case, drop, *arguments):
        """The same, with the processor time of the server beside it."""
        before = server.group.cpu_seconds()
        report = self.run(server, case, drop, *arguments)
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

    def takes(self, server):
        return True

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
    for_all = True
    concurrency, drop = CONCURRENCY, corpus.SMALL

    def __init__(self, rows=None):
        super().__init__(rows or [
            Row("CPU of the server for 1 000 short sessions", "cpu",
                Goal(1.3), Goal(1 / 6, text="<= 1/6")),
            Row("short sessions a second, one worker", "rate",
                Goal(0.8, at_most=False), Goal(6, at_most=False)),
        ])

    def run(self, load, server, duration):
        return load.measured(server, "sessions", self.drop, "--concurrency", str(self.concurrency),
                             "--duration", duration)

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

    def __init__(self):
        super().__init__([Row("CPU of the server for 1 000 short sessions, 1 024 at once", "cpu"),
                          Row("short sessions a second, 1 024 at once", "rate")])


class WholeMaildrop(Case):
    """Login, every message of one small maildrop pipelined, QUIT; and again."""

    for_all = True

    def __init__(self):
        super().__init__([Row("login, RETR of 10 x 6 KB, QUIT, a second", "rate"),
                          Row("login, RETR of 10 x 6 KB, QUIT, CPU of the server for 1 000", "cpu")])

    def prepare(self, load, server):
        load.run(server, "whole", corpus.SMALL, "--window", "10", "--verify")

    def once(self, load, server):
        report = load.measured(server, "whole", corpus.SMALL, "--window", "10", "--duration", "1s")
        return {"rate": report["done"] / report["seconds"], "cpu": report["server_cpu"] / report["done"] * 1000,
                "busy": report["busy"]}


class Retrieve(Case):
    for_all = True

    def __init__(self, work, drop, window, floor=None, tuned=None):
        super().__init__([Row(f"{work}, octets a second", "rate", floor, tuned),
                          Row(f"{work}, CPU of the server for 1 GB", "cpu_per_gb")])
        self.drop = drop
        self.window = str(min(window, drop.messages))

    def prepare(self, load, server):
        """Messages one by one are those that were compared when they came pipelined: not all again, for a server
        that waits 40 ms before each."""
        part = ("--partial", "--duration", "1s") if self.window == "1" and self.drop.messages > 10 else ()
        load.run(server, "retrieve", self.drop, "--window", self.window, "--verify", *part)

    def once(self, load, server):
        report = load.measured(server, "retrieve", self.drop, "--window", self.window, "--partial",
                               "--duration", "700ms")
        return {"rate": report["octets"] / report["seconds"],
                "cpu_per_gb": report["server_cpu"] / report["octets"] * 1e9,
                "busy": report["busy"]}


class WarmLogin(Case):
    def __init__(self, work, drop, tuned=None, popa3d=None):
        super().__init__([Row(work, "seconds", None, tuned, popa3d)])
        self.drop, self.for_all = drop, drop is corpus.SIZED

    def takes(self, server):
        return server.serves_mail

    def prepare(self, load, server):
        load.run(server, "logins", self.drop)
        time.sleep(0.05)  # an index is not trusted within two clock ticks of what it describes
        load.run(server, "logins", self.drop)

    def once(self, load, server):
        report = load.measured(server, "logins", self.drop, "--repeat", "5")
        return {"seconds": report["p50_us"] / 1e6, "cpu": report["server_cpu"] / report["done"],
                "busy": report["busy"]}


class FirstLogin(WarmLogin):
    """Without what the server remembers of the maildrop, and without the kernel's names and inodes; the
    octets of the files are in memory, or it would be the disk that is measured."""

    def prepare(self, load, server):
        load.context.corpus.read_all(self.drop)

    def once(self, load, server):
        load.context.corpus.forget(self.drop, *server.index)
        load.context.dropped = machine.drop_dentries()
        report = load.measured(server, "logins", self.drop)
        return {"seconds": report["p50_us"] / 1e6, "cpu": report["server_cpu"],
                "busy": report["busy"]}


def quick():
    """Order matters a little: the first logins leave behind what the warm ones need."""
    return [
        ShortSessions(),
        CrowdedSessions(),
        WholeMaildrop(),
        Retrieve("RETR of 2 000 x 10 KB, pipelined", corpus.MANY, 200,
                 Goal(0.35, at_most=False), Goal(4, at_most=False)),
        Retrieve("RETR of 2 000 x 10 KB, one by one", corpus.MANY, 1),
        Retrieve("RETR of 4 x 50 MB", corpus.HUGE, 1,
                 Goal(0.45, at_most=False), Goal(4, at_most=False)),
        FirstLogin("first login + STAT ever on 100 000, sizes in the names, time",
                   corpus.SIZED, popa3d=Goal(1, text="< 1")),
        WarmLogin("login + STAT on 100 000, unchanged since last time, time", corpus.SIZED,
                  Goal(1 / 50, text="<= 1/50")),
        FirstLogin("first login + STAT ever on 100 000, sizes unknown, time", corpus.BARE,
                   Goal(1 / 5, text="<= 1/5")),
    ]


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

# SPDX-License-Identifier: MIT
"""System calls of a short session and of a message: strace -c -f on every process of a server that is
already warm, while the load generator does a known number of them."""

import re
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass

import corpus
from cases import CONCURRENCY, Case, Goal, Row
from table import figures


@dataclass(frozen=True)
class Work:
    title: str
    case: str
    drop: corpus.Maildrop
    arguments: tuple


SESSION = Work(f"one short session (USER PASS STAT QUIT), {CONCURRENCY} at once", "sessions",
               corpus.SMALL, ("--concurrency", str(CONCURRENCY), "--duration", "500ms"))
ALONE = Work("one short session, alone", "logins", corpus.SMALL, ("--repeat", "200"))
MESSAGE = Work("one message of 10 KB, RETR pipelined", "retrieve", corpus.MANY,
               ("--window", "200", "--duration", "1ms"))
LARGE = Work("one message of 50 MB", "retrieve", corpus.HUGE,
             ("--window", "1", "--duration", "1ms"))
LOGIN = Work("login + STAT on 100 000, unchanged", "logins", corpus.SIZED,
             ("--repeat", "5"))
WORKS = (SESSION, ALONE, MESSAGE, LARGE, LOGIN)


def parse(summary):
    """Calls by name, from strace's table: %time seconds usecs/call calls [errors] name."""
    calls = Counter()
    for line in summary.splitlines():
        match = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
        if match and match.group(2) != "total":
            calls[match.group(2)] += int(match.group(1))
    return calls


def attach(pids, summary):
    """strace on all of `pids` and what they fork; returns when it holds them all."""
    command = ["strace", "-f", "-c", "-o", summary]
    for pid in pids:
        command += ["-p", str(pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    held = set()
    while held < set(pids):
        line = tracer.stderr.readline()
        if not line:
            raise SystemExit(f"bench/run: strace did not get hold of {set(pids) - held}")
        match = re.search(r"Process (\d+) attached", line)
        if match:
            held.add(int(match.group(1)))
        elif "ptrace" in line:
            raise SystemExit(f"bench/run: {line.strip()}")
    return tracer


def count(load, server, work):
    """Calls by name of one of `work`, from all processes of the server."""
    load.run(server, work.case, work.drop, *work.arguments)
    time.sleep(0.3)
    summary = server.folder / "strace"
    tracer = attach(server.group.processes(), summary)
    try:
        done = load.run(server, work.case, work.drop, *work.arguments)["done"]
        time.sleep(0.3)  # what a session leaves to be done belongs to it
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate()
    calls = parse(summary.read_text())
    return {name: number / done for name, number in calls.items()}


class SessionCalls(Case):
    """The row of the table of goals. Counts repeat, so one round is enough."""

    for_all = True

    def __init__(self):
        super().__init__([Row("system calls of one short session, all processes", "calls",
                              Goal(2), Goal(1 / 8, text="<= 1/8"))], rounds=1)

    def once(self, load, server):
        return {"calls": sum(count(load, server, SESSION).values())}


def report(load, servers):
    """Markdown: for each work the calls of each server, most frequent first."""
    lines = []
    for work in WORKS:
        by_server = {server.title: count(load, server, work) for server in servers
                     if (server.serves_mail or work is not LOGIN)
                     and (not server.few_cases or work in (SESSION, MESSAGE))}
        lines += ["", f"## {work.title[0].upper()}{work.title[1:]}", ""]
        for title, calls in by_server.items():
            ordered = sorted(calls.items(), key=lambda item: -item[1])
            text = ", ".join(f"{name} {figures(number)}" for name, number in ordered if number >= 0.005)
            lines.append(f"- **{title}: {figures(sum(calls.values()))}**: {text}")
    return "\n".join(lines).strip() + "\n"

# SPDX-License-Identifier: MIT
"""bench/run: see bench/README.md."""

import argparse
import json
import os
import platform
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cases
import curves
import machine
import mixed
import more_cases
import packages
import peers
import retrieval
import syscalls
from corpus import Corpus
from table import markdown, replace_results, unexplained

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "bench"


def say(text):
    print(text, file=sys.stderr, flush=True)


class Context:
    """What every part needs to know: where things are, on which core they run."""

    def __init__(self, arguments):
        self.cache = Path(arguments.cache)
        self.cache.mkdir(parents=True, exist_ok=True)
        self.cache.chmod(0o755)
        self.build = Path(arguments.build_dir) if arguments.build_dir else self.cache / "build"
        self.owner = pwd.getpwnam("mail")
        self.corpus = Corpus(self.cache / "corpus", self.owner)
        self.server_core, self.load_core = machine.pick_cores()
        self.state = Path(tempfile.mkdtemp(prefix="restante-bench-", dir=self.cache))
        self.state.chmod(0o755)
        self.accounts = self.state / "accounts"
        self.peers = None
        self.load_before = os.getloadavg()[0]
        self.dropped = True
        self.wrong = []

    def prepare(self, wanted):
        packages.install("strace", "util-linux", "openssl", "gnuplot-nox", "python3-fusepy")  # before there is no network
        if not {"floor", "restante"}.issuperset(wanted):
            self.peers = packages.unpack(self.cache, peers.PACKAGES)
        self.compile()
        say("corpus ...")
        self.corpus.prepare()
        self.corpus.write_accounts(self.accounts)
        shutil.chown(self.accounts, "root", "daemon")
        self.accounts.chmod(0o640)

    def linked(self, size):
        return curves.link_drop(self, size)

    def settle_load(self):
        """For a process that asks: the core that the server does not have."""
        os.sched_setaffinity(0, {self.load_core})
        machine.go_first()

    def compile(self):
        say("build ...")
        setup = ["meson", "setup", self.build, ROOT, "-Dbench=true", "-Dtests=false",
                 "--buildtype=release"]
        if (self.build / "build.ninja").exists():
            setup.append("--reconfigure")
        for command in (setup, ["ninja", "-C", self.build],
                        ["meson", "test", "-C", self.build, "--suite", "bench"]):
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode != 0:
                raise SystemExit(f"bench/run: {command[0]} failed:\n{result.stdout[-4000:]}")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--quick", action="store_true", help="every case, small, about six minutes")
    what.add_argument("--full", action="store_true", help="every case, 10 000 idle sessions, the curves")
    what.add_argument("--curves", action="store_true", help="the curves only, into bench/curves/")
    what.add_argument("--syscalls", action="store_true",
                      help="system calls of a session and of a message, by name")
    what.add_argument("--mixed", action="store_true",
                      help="short sessions while others are slow, in three ways")
    what.add_argument("--retrieve", action="store_true",
                      help="restante fetch beside other retrievers, over two links")
    parser.add_argument("--write", action="store_true",
                        help="put the result into bench/README.md or bench/syscalls.md")
    parser.add_argument("--retrievers", default=",".join(retrieval.PROGRAMS),
                        help="with --retrieve: beside these only")
    parser.add_argument("--servers", default=",".join(s.name for s in peers.ALL),
                        help="only these, separated by commas")
    parser.add_argument("--cases", default="", help="only cases whose first row contains this text")
    parser.add_argument("--rounds", type=int, help="how often each case is measured")
    parser.add_argument("--idle", type=int, help="idle sessions, at most (default: 1 000; with --full 10 000)")
    parser.add_argument("--json", metavar="FILE", help="all samples with their absolute values")
    parser.add_argument("--cache", default="/var/tmp/restante-bench",
                        help="where corpus, peers and build are kept between runs")
    parser.add_argument("--build-dir", help="where to build (default: in the cache)")
    arguments = parser.parse_args()
    arguments.idle = arguments.idle or (10_000 if arguments.full else 1_000)
    return arguments


def measure_all(arguments, load, running):
    chosen = [case for case in [*cases.quick(), *more_cases.quick(arguments.idle), syscalls.SessionCalls()]
              if any(arguments.cases in row.work for row in case.rows)]
    part = Path(arguments.cache) / "parts.md"
    part.unlink(missing_ok=True)
    for case in chosen:
        if arguments.rounds:
            case.rounds = min(case.rounds, arguments.rounds)
        cases.measure(case, load, running, say)
        with open(part, "a", encoding="utf-8") as found:  # what is known, whatever comes
            found.write(markdown([case], [server.name for server in running], "") + "\n")
    if arguments.json:
        samples = [{"work": case.rows[0].work, "samples": case.samples} for case in chosen]
        Path(arguments.json).write_text(json.dumps(samples, indent=1) + "\n")
    return chosen


def measure_retrievers(arguments, context, network, server):
    retrieval.prepare()
    times = retrieval.measure(context, server, arguments.retrievers.split(","), say)
    about = (f"Everything is fetched into a fresh Maildir and kept on Restante's server; {network}; "
             f"{idleness(context)}.")
    return retrieval.markdown(times, retrieval.memory(context, server), about)


def measure_mixed(context, load, network, running):
    about = (f"Times of short sessions, {mixed.CONCURRENCY} at once, relative to the median of Restante's where there is "
             f"nothing else; {network}; one core for each server with all its processes, another for all clients; "
             f"{idleness(context)}.")
    return mixed.markdown(mixed.measure(context, load, [one for one in running if one.serves_mail and not one.few_cases], say), about)


def idleness(context):
    if context.load_before <= 0.7:
        return "the machine was otherwise idle"
    return (f"the machine was NOT otherwise idle (load average {context.load_before:.1f}): rows by "
            "processor time and by count hold, rows by time less so")


def conditions(context, network, running):
    cpu = "cgroup v2" if running[0].group.exact else "the process tree, in ticks"
    dropped = "names and inodes dropped" if context.dropped else "names and inodes NOT dropped"
    kernel = platform.release().partition("-")[0]
    return (f"Linux {kernel}, {os.cpu_count()} cores; one core for each server in turn, "
            f"another for the load; {network}; processor time by {cpu}; first logins: {dropped}, "
            f"the files' octets in memory; {idleness(context)}.")


def run(arguments, context):
    wanted = ["restante"] if arguments.retrieve else arguments.servers.split(",")
    chosen = [server for server in peers.ALL if server.name in wanted]
    if len(chosen) != len(set(wanted)):
        raise SystemExit(f"bench/run: servers are {', '.join(s.name for s in peers.ALL)}")
    context.prepare(wanted)
    network = machine.enter_own_network()
    machine.raise_descriptors()
    load = cases.Load(context)
    running = []
    maildrops = None
    try:
        if arguments.mixed:
            maildrops = mixed.Maildrops(context)
        for kind in chosen:
            running.append(kind(context))
            running[-1].start()
        if arguments.retrieve:
            return measure_retrievers(arguments, context, network, running[0])
        if arguments.mixed:
            return measure_mixed(context, load, network, running)
        if arguments.syscalls:
            return syscalls.report(load, running)
        if not arguments.curves:
            measured = measure_all(arguments, load, running)
            context.wrong = list(unexplained(measured, BENCH / "unmet.md"))
        if arguments.curves or arguments.full:
            drawn = [curves.Throughput(), curves.LoginTime(), curves.Memory(arguments.idle)]
            drawn = [curve for curve in drawn if arguments.cases in curve.name]
            curves.measure(drawn, load, running, BENCH / "curves", say)
        if arguments.curves:
            return conditions(context, network, running)
        return markdown(measured, [s.name for s in chosen], conditions(context, network, running))
    finally:
        for server in running:
            server.stop()
        if maildrops:
            maildrops.close()


def main():
    arguments = parse_arguments()
    context = Context(arguments)
    began = time.monotonic()
    try:
        result = run(arguments, context)
    except (cases.Wrong, retrieval.Failed) as wrong:
        say(f"bench/run: {wrong}")
        return 1
    finally:
        shutil.rmtree(context.state, ignore_errors=True)
    print(result)
    say(f"{time.monotonic() - began:.0f} s")
    for text in context.wrong:
        say(f"bench/run: {text}")
    if arguments.write and not arguments.curves:
        page = BENCH / ("syscalls.md" if arguments.syscalls else "README.md")
        kind = "--retrieve " if arguments.retrieve else "--mixed " if arguments.mixed else ""
        replace_results(page, result, kind)
    return 1 if context.wrong else 0


sys.exit(main())

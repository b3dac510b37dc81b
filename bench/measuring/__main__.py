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
from collections.abc import Callable
from dataclasses import dataclass
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
UNMET = BENCH / "unmet.md"


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

    def linked(self, size, **options):
        return more_cases.link_drop(self, size, **options)

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


PARTS = {
    "--quick": (("cases",), "the table of cases, with 1 000 idle sessions"),
    "--full": (("cases", "retrieve", "mixed", "curves"), "everything, with 10 000 idle sessions, and the curves"),
    "--retrieve": (("retrieve",), "restante fetch beside other retrievers, over two links"),
    "--mixed": (("mixed",), "short sessions while others are slow, in three ways"),
    "--syscalls": (("syscalls",), "system calls of a session and of a message, by name"),
    "--curves": (("curves",), "the curves only, into bench/curves/"),
}
EVERYTHING = ("cases", "retrieve", "mixed")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description="Without an option that says what: the three tables, "
                                     "with 1 000 idle sessions and without the slowest retrievers.")
    what = parser.add_mutually_exclusive_group()
    for option, (parts, text) in PARTS.items():
        what.add_argument(option, dest="parts", action="store_const", const=parts, help=text)
    parser.add_argument("--write", action="store_true",
                        help="put the result into bench/README.md or bench/syscalls.md")
    parser.add_argument("--retrievers", help="with --retrieve: beside these only")
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
    arguments.idle = arguments.idle or (10_000 if arguments.parts == PARTS["--full"][0] else 1_000)
    # fetchmail and getmail6 take minutes: whoever runs everything waits for mpop only, which has a goal
    slow_too = arguments.parts == PARTS["--retrieve"][0]
    arguments.retrievers = (arguments.retrievers or (",".join(retrieval.PROGRAMS) if slow_too else "mpop")).split(",")
    arguments.parts = arguments.parts or EVERYTHING
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


def tell_cases(arguments, context, load, network, running):
    measured = measure_all(arguments, load, running)
    context.wrong += unexplained(measured, UNMET)
    return markdown(measured, [server.name for server in running], conditions(context, network, running))


def tell_retrievers(arguments, context, load, network, running):
    server, = running
    times = retrieval.measure(context, server, arguments.retrievers, say)
    context.wrong += retrieval.unexplained(times, UNMET)
    about = (f"Everything is fetched into a fresh Maildir and kept on Restante's server; {network}; "
             f"{idleness(context)}.")
    return retrieval.markdown(times, retrieval.memory(context, server), about)


def tell_mixed(arguments, context, load, network, running):
    about = (f"Times of short sessions, {mixed.CONCURRENCY} at once, relative to the median of Restante's where there is "
             f"nothing else and no TLS; {network}; one core for each server with all its processes, another for all clients; "
             f"{idleness(context)}.")
    return mixed.markdown(mixed.measure(context, load, running, say), about)


def tell_syscalls(arguments, context, load, network, running):
    return syscalls.report(load, running)


def draw_curves(arguments, context, load, network, running):
    drawn = [curves.Throughput(), curves.LoginTime(), curves.Memory(arguments.idle)]
    drawn = [curve for curve in drawn if arguments.cases in curve.name]
    curves.measure(drawn, load, running, BENCH / "curves", say)
    return conditions(context, network, running)


@dataclass(frozen=True)
class Part:
    tell: Callable  # gives the Markdown of its result
    page: Path | None = None  # where --write puts that
    mark: str = ""
    takes: Callable = lambda server: True
    maildrops: Callable | None = None  # what has to be there before a server starts


WITH_MAIL = {"takes": lambda server: server.serves_mail and not server.few_cases}
KINDS = {
    "cases": Part(tell_cases, BENCH / "README.md"),
    "retrieve": Part(tell_retrievers, BENCH / "README.md", "--retrieve ", takes=lambda server: server.name == "restante"),
    "mixed": Part(tell_mixed, BENCH / "README.md", "--mixed ", maildrops=mixed.Maildrops, **WITH_MAIL),
    "syscalls": Part(tell_syscalls, BENCH / "syscalls.md"),
    "curves": Part(draw_curves),
}


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


def measure(arguments, context, network, part, chosen):
    load = cases.Load(context)
    running, maildrops = [], None
    try:
        if part.maildrops:
            maildrops = part.maildrops(context)
        for kind in chosen:
            if part.takes(kind):
                running.append(kind(context))
                running[-1].start()
        return part.tell(arguments, context, load, network, running)
    finally:
        for server in running:
            server.stop()
            shutil.rmtree(server.folder)
        if maildrops:
            maildrops.close()


def run(arguments, context):
    """Part -> its result in Markdown."""
    wanted = arguments.servers.split(",")
    chosen = [server for server in peers.ALL if server.name in wanted]
    if len(chosen) != len(set(wanted)):
        raise SystemExit(f"bench/run: servers are {', '.join(s.name for s in peers.ALL)}")
    context.prepare(wanted)
    if "retrieve" in arguments.parts:
        retrieval.prepare()
    network = machine.enter_own_network()
    machine.raise_descriptors()
    return {name: measure(arguments, context, network, KINDS[name], chosen) for name in arguments.parts}


def main():
    arguments = parse_arguments()
    context = Context(arguments)
    began = time.monotonic()
    try:
        results = run(arguments, context)
    except (cases.Wrong, retrieval.Failed) as wrong:
        say(f"bench/run: {wrong}")
        return 1
    finally:
        shutil.rmtree(context.state, ignore_errors=True)
    print("\n\n".join(results.values()))
    say(f"{time.monotonic() - began:.0f} s")
    for text in context.wrong:
        say(f"bench/run: {text}")
    for name, result in results.items() if arguments.write else ():
        if KINDS[name].page:
            replace_results(KINDS[name].page, result, KINDS[name].mark)
    return 1 if context.wrong else 0


sys.exit(main())

# SPDX-License-Identifier: MIT
"""bench/run --retrieve: Restante's retriever beside others and beside a pipe, from one and the same server."""

import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

import corpus
import packages
import relay
from cases import Goal
from table import complaints, judged

PROGRAMS = ("mpop", "fetchmail", "getmail6", "fdm")
ONE_WAY_SECONDS = 0.025
LONG_LINK = "50 ms round trip"
LINKS = (("loopback", 0), (LONG_LINK, ONE_WAY_SECONDS))


class Failed(Exception):
    """A retriever did not bring what the server has: its time means nothing."""


class Retriever:
    """Fetches everything of one account into a fresh Maildir, knowing nothing of it, and deletes nothing."""

    name = ""
    rounds = {"loopback": 3, "50 ms round trip": 2}

    def __init__(self, context):
        self.context = context

    def command(self, folder, port, user):
        raise NotImplementedError

    def run(self, drop, port):
        """Seconds, and the most memory the process had, in octets."""
        with tempfile.TemporaryDirectory(dir=self.context.state) as name:
            folder = Path(name)
            for part in ("cur", "new", "tmp"):
                (folder / "mail" / part).mkdir(parents=True)
            command = [str(part) for part in self.command(folder, port, drop.name)]
            environment = dict(os.environ, HOME=name, LC_ALL="C",
                               FETCHMAILHOME=name, XDG_STATE_HOME=str(folder / "state"))
            with open(folder / "log", "wb") as log:
                began = time.monotonic()
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           env=environment, cwd=name,
                                           preexec_fn=self.context.settle_load)
                _, status, usage = os.wait4(process.pid, 0)
                seconds = time.monotonic() - began
                process.returncode = os.waitstatus_to_exitcode(status)
            self.check(folder, drop, process.returncode)
            return seconds, usage.ru_maxrss * 1024

    def check(self, folder, drop, status):
        stored = [path.stat().st_size for part in ("new", "cur")
                  for path in (folder / "mail" / part).iterdir()]
        if status != 0 or len(stored) != drop.messages or sum(stored) < drop.messages * drop.octets * 0.9:
            words = (folder / "log").read_text(errors="replace")[-2000:]
            raise Failed(f"{self.name}: status {status}, {len(stored)} of {drop.messages} messages, "
                         f"{sum(stored)} octets\n{words}")


class Restante(Retriever):
    name = "restante"

    def command(self, folder, port, user):
        password = folder / "password"
        password.write_text(corpus.PASSWORD + "\n")
        password.chmod(0o600)
        return [self.context.build / "src/cli/restante", "fetch", "--host", "127.0.0.1", "--port", port,
                "--user", user, "--password-file", password, "--tls", "never", "--keep",
                "--maildir", folder / "mail"]


class Mpop(Retriever):
    name = "mpop"

    def command(self, folder, port, user):
        return ["mpop", "-C", "/dev/null", "--host=127.0.0.1", f"--port={port}", f"--user={user}",
                "--auth=user", f"--passwordeval=echo {corpus.PASSWORD}", "--tls=off", "--keep=on",
                f"--uidls-file={folder}/uidls", f"--delivery=maildir,{folder}/mail", "--quiet",
                "--received-header=off"]


class Fetchmail(Retriever):
    """It has no Maildir of its own: each message goes through a program, here a shell script."""

    name = "fetchmail"
    rounds = {"loopback": 1, "50 ms round trip": 1}

    def command(self, folder, port, user):
        store = folder / "store"
        store.write_text(f'#!/bin/sh\nf=$(mktemp {folder}/mail/tmp/XXXXXX) && cat >"$f" && '
                         f'mv "$f" {folder}/mail/new/\n')
        store.chmod(0o755)
        settings = folder / "fetchmailrc"
        settings.write_text(f'poll 127.0.0.1 protocol pop3 port {port} uidl\n'
                            f'  user "{user}" password "{corpus.PASSWORD}" sslproto "" keep\n'
                            f'  mda "{store}"\n')
        settings.chmod(0o600)
        return ["fetchmail", "-f", settings, "--silent", "--idfile", folder / "ids"]


class Getmail(Retriever):
    name = "getmail6"
    rounds = {"loopback": 1, "50 ms round trip": 1}

    def command(self, folder, port, user):
        (folder / "getmailrc").write_text(
            f"[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = {port}\n"
            f"username = {user}\npassword = {corpus.PASSWORD}\n"
            f"[destination]\ntype = Maildir\npath = {folder}/mail/\n"
            "[options]\nread_all = true\ndelete = false\nverbose = 0\n")
        return ["getmail", f"--getmaildir={folder}", "--rcfile=getmailrc"]


class Fdm(Retriever):
    name = "fdm"
    rounds = {"loopback": 2, "50 ms round trip": 1}

    def command(self, folder, port, user):
        settings = folder / "fdm.conf"
        settings.write_text(f'set lock-file "{folder}/lock"\n'
                            f'account "a" pop3 server "127.0.0.1" port {port} user "{user}" '
                            f'pass "{corpus.PASSWORD}" new-only cache "{folder}/cache" keep\n'
                            f'action "store" maildir "{folder}/mail"\nmatch all action "store"\n')
        settings.chmod(0o600)
        for part in (folder, *(folder / "mail").iterdir(), folder / "mail"):
            part.chmod(0o777)  # started as root, it fetches as somebody else
        return ["fdm", "-f", settings, "-q", "fetch"]


class Pipe:
    """The load generator: asks for all messages with many commands in flight, and drops what comes."""

    name = "pipe"
    rounds = {"loopback": 3, "50 ms round trip": 3}

    def __init__(self, context):
        self.context = context

    def run(self, drop, port):
        command = [self.context.build / "bench/load", "--case", "retrieve", "--port", str(port),
                   "--corpus", self.context.corpus.truth, "--name", drop.name,
                   "--password", corpus.PASSWORD, "--window", str(min(drop.messages, 1000)),
                   "--duration", "1ms"]  # once, then
        began = time.monotonic()
        result = subprocess.run(command, preexec_fn=self.context.settle_load, capture_output=True,
                                text=True, check=False)
        if result.returncode != 0:
            raise Failed(f"pipe: {result.stderr}")
        seconds = time.monotonic() - began
        if json.loads(result.stdout)["done"] != drop.messages:
            raise Failed(f"pipe: {result.stdout}")
        return seconds, 0


ALL = (Pipe, Restante, Mpop, Fdm, Getmail, Fetchmail)


def measure(context, server, wanted, say):
    """Link -> retriever -> seconds."""
    retrievers = [kind(context) for kind in ALL if kind.name in ("pipe", "restante") or kind.name in wanted]
    table = {}
    for link, delay in LINKS:
        with relay.Relay(server.port, delay) as port:
            for number in range(max(retriever.rounds[link] for retriever in retrievers)):
                for retriever in retrievers:
                    if number < retriever.rounds[link]:
                        seconds, _ = retriever.run(corpus.MANY, port)
                        table.setdefault(link, {}).setdefault(retriever.name, []).append(seconds)
                        say(f"  {link}: {retriever.name}: {seconds:.2f} s")
    return {link: {name: median(values) for name, values in row.items()} for link, row in table.items()}


def memory(context, server):
    """The most memory that Restante had, for messages of 10 KB and of 50 MB."""
    restante = Restante(context)
    return [restante.run(drop, server.port)[1] for drop in (corpus.MANY, corpus.HUGE)]


# Of Restante's time, over the long link.
GOALS = {"pipe": Goal(1.3), "mpop": Goal(1 / 2, text="<= 1/2")}


def goal_of(link, name):
    return GOALS.get(name) if link == LONG_LINK else None


def unexplained(times, page):
    """Goals that are not met and that unmet.md has no entry for."""
    for link, row in times.items():
        missed = [f"{goal} of {name}" for name in row
                  if (goal := goal_of(link, name)) and not goal.met(row["restante"] / row[name])]
        yield from complaints(f"retriever, 2 000 x 10 KB, {link}", missed, page)


def markdown(times, sizes, conditions):
    names = [kind.name for kind in ALL if kind.name in times["loopback"] and kind.name != "restante"]
    lines = ["| retriever, 2 000 x 10 KB | " + " | ".join(f"to {'the ' * (name == 'pipe')}{name}" for name in names) + " |",
             "|---" * (1 + len(names)) + "|"]
    lines += [f"| {link} | " + " | ".join(
        judged(row["restante"] / row[name], goal_of(link, name)) for name in names) + " |" for link, row in times.items()]
    lines += ["", f"The most memory that `restante fetch` had: {sizes[1] / sizes[0]:.2f} times as much for 4 "
              "messages of 50 MB as for 2 000 of 10 KB.", "", conditions]
    return "\n".join(lines)


def prepare():
    packages.install(*PROGRAMS)
    for name in ("mpop", "fdm", "fetchmail", "getmail"):
        if not shutil.which(name):
            raise SystemExit(f"bench/run: {name} is missing")
    # Retrievers open a file a message.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65536)), hard))

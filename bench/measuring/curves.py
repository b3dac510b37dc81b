# SPDX-License-Identifier: MIT
"""The curves of bench/curves/: measured on the servers that run, drawn by gnuplot. Ratios again: the ordinate is
relative to Restante's first point, so that a picture says nothing about a machine."""

import subprocess
import time
from statistics import median

import corpus
from cases import Wrong
from more_cases import Idle

STYLE = """set terminal svg size 900,520 font 'sans-serif,13' background '#ffffff'
set key below width -3 maxrows 4
set grid
set style data linespoints
"""


class Curve:
    name = title = x = y = ""
    logarithmic = "x"

    def points(self, load, server):
        """(x, y) pairs."""
        raise NotImplementedError

    def takes(self, server):
        return server.serves_mail

    def lines(self, load, server):
        """(title, its points) pairs."""
        yield server.title, self.points(load, server)


class Throughput(Curve):
    name, title = "sessions", "Short sessions a second (USER PASS STAT QUIT)"
    x, y = "connections at once", "relative to Restante alone"

    def takes(self, server):
        return True

    def points(self, load, server):
        for connections in (1, 16, 64, 256, 1024):
            drop = corpus.IDLE if connections > 64 else corpus.SMALL
            rates = []
            for _ in range(2):
                report = load.run(server, "sessions", drop, "--concurrency", str(connections),
                                  "--duration", "1s")
                rates.append(report["done"] / report["seconds"])
            yield connections, median(rates)


class LoginTime(Curve):
    name, title = "login", "Login and STAT, nothing changed since the last one: time"
    x, y = "messages in the maildrop", "relative to Restante with 10 messages"
    logarithmic = "xy"

    def points(self, load, server):
        for size in (10, 100, 1_000, 10_000, 100_000, 1_000_000):
            drop = load.context.linked(size)
            load.run(server, "logins", drop)
            time.sleep(0.05)
            load.run(server, "logins", drop)
            yield size, load.run(server, "logins", drop, "--repeat", "10" if size < 1_000_000 else "3")["p50_us"]


class Memory(Curve):
    name, title = "memory", "Memory (PSS) of the whole server with idle sessions"
    x, y = "idle sessions", "relative to Restante with 10"
    logarithmic = "xy"

    def __init__(self, most):
        self.counts = [count for count in (10, 30, 90, 300, 1_000, 3_000, 10_000) if count <= most]

    def lines(self, load, server):
        counts = [count for count in self.counts if count <= server.most_idle]
        for tls in (False, True):
            for logged_in in (False, True):
                if not tls or server.tls_port is not None:
                    where = f"{'after' if logged_in else 'before'} login{', TLS' if tls else ''}"
                    yield f"{server.title}, {where}", Idle(counts[-1], logged_in, tls).grow(server, counts)


def draw(curve, lines, folder):
    """`lines`: (server, title, points). A colour for each server, dashes for what else tells its lines apart."""
    unit = next((points[0][1] for server, _, points in lines if server == "Restante"), None) or 1
    servers = list(dict.fromkeys(server for server, _, _ in lines))
    script = [STYLE, f'set title "{curve.title}"', f'set xlabel "{curve.x}"', f'set ylabel "{curve.y}"',
              f"set logscale {curve.logarithmic}", f"set output '{folder / curve.name}.svg'"]
    drawn, dashes = [], dict.fromkeys(servers, 0)
    for number, (server, title, points) in enumerate(lines):
        script += [f"$d{number} << EOD", *(f"{x} {y / unit}" for x, y in points), "EOD"]
        dashes[server] += 1
        drawn.append(f'$d{number} title "{title}" linewidth 2 linecolor {servers.index(server) + 1} '
                     f"dashtype {dashes[server]}")
    script.append("plot " + ", ".join(drawn))
    subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, check=True)


def measure(curves, load, servers, folder, say):
    folder.mkdir(exist_ok=True)
    for curve in curves:
        lines = []
        for server in servers:
            if server.few_cases or not curve.takes(server):
                continue
            for title, line in curve.lines(load, server):
                points = []
                try:
                    points.extend(line)
                except (Wrong, OSError) as wrong:
                    say(f"  curve {curve.name}: {title} falls out: {wrong}")
                if points:
                    lines.append((server.title, title, points))
        draw(curve, lines, folder)
        say(f"  curve {curve.name}: {folder / curve.name}.svg")

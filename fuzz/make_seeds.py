#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make_seeds.py DIALOGUES OUT [server]: what the client says in each dialogue, behind 16 octets of choices, as a seed of
server_line; or what the server says, as a seed of client_reply. The notation: tests/dialogues/README.md."""

import pathlib
import re
import sys

NAMED = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\", "s": b" "}
ESCAPE = re.compile(r"\\(?:\{(\d+)\*((?:[^}\\]|\\.)*)\}|x([0-9a-f]{2})|(.))", re.S)


def unescape(text):
    out = b""
    at = 0
    for match in ESCAPE.finditer(text):
        out += text[at:match.start()].encode()
        times, repeated, octet, name = match.groups()
        if times is not None:
            out += unescape(repeated) * int(times)
        elif octet is not None:
            out += bytes([int(octet, 16)])
        else:
            out += NAMED[name]
        at = match.end()
    return out + text[at:].encode()


def client_octets(path):
    out = b""
    for line in path.read_text().split("\n"):
        if re.match(r"[Cc]:", line):
            out += unescape(line[3:]) + (b"\r\n" if line[0] == "C" else b"")
        elif line.startswith("Start: transaction"):
            out = b"USER alice\r\nPASS secret\r\n"
    return out


def server_octets(path):
    out = b"+OK ready\r\n"
    for line in path.read_text().split("\n"):
        if re.match(r"[Ss]:", line):
            greeting = line.startswith("S: +OK Restante ready")
            out = (b"" if greeting else out) + unescape(line[3:]) + b"\r\n"
        elif line.startswith("Start: transaction"):
            out += b"+OK\r\n+OK\r\n"
    return out


def main():
    out = pathlib.Path(sys.argv[2])
    said = server_octets if sys.argv[3:] == ["server"] else client_octets
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.dialogue")):
        octets = said(path)
        # Answers that succeed, all at once; everything offered and answers that vary, octet by octet.
        (out / path.stem).write_bytes(bytes([0, 0]) + b"\xff" * 14 + octets)
        (out / (path.stem + ".small")).write_bytes(bytes([0xe8, 1]) + bytes(range(37, 51)) + octets)


if __name__ == "__main__":
    main()

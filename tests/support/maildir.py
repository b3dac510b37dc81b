# SPDX-License-Identifier: MIT
"""Maildirs as an MTA writes them, and the octets that POP3 makes of them."""

import os
import pathlib


def create(folder, owner):
    for name in ("", "new", "cur", "tmp"):
        path = pathlib.Path(folder, name)
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, owner, owner)


def write(folder, octets, name, owner, place="new"):
    """A message as Maildir wants it: written in tmp/, then renamed."""
    draft = pathlib.Path(folder, "tmp", name.partition(":")[0])
    draft.write_bytes(octets)
    os.chown(draft, owner, owner)
    path = pathlib.Path(folder, place, name)
    draft.rename(path)
    return path


def files(folder):
    """Path below the folder -> octets, of all messages and of what is left in tmp/."""
    return {f"{place}/{path.name}": path.read_bytes()
            for place in ("new", "cur", "tmp")
            for path in sorted(pathlib.Path(folder, place).iterdir()) if path.is_file()}


def names(folder):
    return sorted(path.name for place in ("new", "cur")
                  for path in pathlib.Path(folder, place).iterdir())


def on_the_wire(octets):
    """What RETR must bring of a message stored with LF: CR LF, the last line ended too."""
    if octets and not octets.endswith(b"\n"):
        octets += b"\n"
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def of_size(octets, subject=b"x"):
    """A message of exactly that many octets on the wire."""
    head = b"From: sender@example.com\nTo: user@example.com\nSubject: " + subject + b"\n\n"
    left = octets - len(on_the_wire(head))
    widths = [50] * (left // 50)
    if rest := left % 50:
        # No line is shorter than its CR LF.
        widths += [rest] if rest >= 2 else [widths.pop() - 2, rest + 2]
    message = head + b"".join(b"x" * (width - 2) + b"\n" for width in widths)
    assert len(on_the_wire(message)) == octets
    return message

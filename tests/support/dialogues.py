# SPDX-License-Identifier: MIT
"""Reads tests/dialogues/*.dialogue (its README.md is the grammar)."""

import dataclasses
import pathlib
import re

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "dialogues"
ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\", b"s": b" "}
ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|\{(\d+)\*((?:[^\\}]|\\[^{])*)\}|(.))", re.DOTALL)


def unescape(text):
    def replace(match):
        if match[1]:
            return bytes([int(match[1], 16)])
        if match[2]:
            return int(match[2]) * unescape(match[3])
        return ESCAPES[match[4]]
    return ESCAPE.sub(replace, text)


@dataclasses.dataclass
class Message:
    octets: int | None
    text: bytes = b""


@dataclasses.dataclass
class Dialogue:
    name: str
    start: str = "connected"
    user: bytes = b"alice"
    password: bytes = b"secret"
    config: dict = dataclasses.field(default_factory=dict)
    drivers: str = "engine wire"
    pipelined: bool = True
    messages: list = dataclasses.field(default_factory=list)
    statements: list = dataclasses.field(default_factory=list)  # (kind, octets)


def read(path):
    dialogue = Dialogue(path.stem)
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        try:
            _take_line(dialogue, line)
        except (KeyError, ValueError) as error:
            raise ValueError(f"{path}:{number}: {error!r}") from error
    if not dialogue.statements:
        raise ValueError(f"{path}: says nothing")
    if not any(kind in ("S-", "C-") for kind, _ in dialogue.statements):
        dialogue.statements.append(("C-", b""))
    return dialogue


def _take_line(dialogue, line):
    if dialogue.messages and not dialogue.statements and line.startswith(b"|"):
        text = line[1:]
        unended = text.endswith(b"\\c")
        dialogue.messages[-1].text += unescape(text[:-2] if unended else text) + \
            (b"" if unended else b"\n")
        return
    if not line or line.startswith(b"#"):
        return
    if line in (b"S-", b"C-"):
        dialogue.statements.append((line.decode(), b""))
        return
    key, separator, text = line.partition(b":")
    if not separator:
        raise ValueError("neither a header nor a statement")
    key, text = key.decode(), text.removeprefix(b" ")
    if key in ("C", "c", "S", "s", "L", "A"):
        dialogue.statements.append((key, text if key in "LA" else unescape(text)))
    elif dialogue.statements:
        raise ValueError(f"{key} after the first statement")
    else:
        _take_header(dialogue, key, text)


def _take_header(dialogue, key, text):
    if key == "Message":
        dialogue.messages.append(Message(int(text) if text else None))
    elif key == "Config":
        name, _, value = text.decode().partition("=")
        dialogue.config[name.strip()] = value.strip()
    elif key == "Pipelined":
        dialogue.pipelined = {"yes": True, "no": False}[text.decode()]
    elif key in ("User", "Password"):
        setattr(dialogue, key.lower(), unescape(text))
    elif key in ("Start", "Drivers"):
        setattr(dialogue, key.lower(), text.decode())
    elif key not in ("Why", "RFC", "Connection"):
        raise ValueError(f"no header {key}")


def for_the_wire():
    found = [read(path) for path in sorted(FOLDER.glob("*.dialogue"))]
    return [dialogue for dialogue in found if "wire" in dialogue.drivers.split()]

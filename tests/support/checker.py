# SPDX-License-Identifier: MIT
"""A checkpassword program for tests, and what it was asked."""

import ast
import textwrap

# It takes its question from descriptor 3 and knows the people of a file with lines `name password`.
PROGRAM = """\
    #!/usr/bin/python3 -IS
    import os, signal, sys, time
    name, password, stamp, rest = os.read(3, 4096).split(b"\\0")
    assert rest == b"" and stamp.isdigit()
    environment = dict(os.environb)
    environment.pop(b"LC_CTYPE", None)  # Python's own
    with open({log!r}, "ab") as log:
        log.write(repr((name, password, environment, os.getuid(), os.getpid(),
                        sorted(map(int, os.listdir("/proc/self/fd"))))).encode() + b"\\n")
    {before}
    known = dict(line.rstrip(b"\\n").split(b" ", 1) for line in open({people!r}, "rb"))
    if name not in known:
        sys.exit(3)
    if b"AUTHORIZED" in os.environb:
        os.environb[b"AUTHORIZED"] = b"2"
    elif known[name] != password:
        sys.exit(1)
    os.environb[b"USER"] = name
    os.environb[b"HOME"] = b"/home/" + name
    {after}
    os.execv(sys.argv[1], sys.argv[1:])
"""


class Question:
    def __init__(self, line):
        (self.name, self.password, self.environment, self.uid, self.pid,
         self.descriptors) = ast.literal_eval(line)


class Checker:
    """`before` is run before it looks, `after` when it has found the password right."""

    def __init__(self, world, people, before="pass", after="pass"):
        self.world = world
        self.program = world.folder / "checker"
        self.log = world.folder / "asked"
        self.log.touch()
        self.log.chmod(0o666)
        self.people = world.folder / "people"
        self.people.write_bytes(b"".join(name + b" " + password + b"\n"
                                         for name, password in people.items()))
        self.write(before, after)

    def write(self, before="pass", after="pass"):
        draft = self.program.with_suffix(".new")
        draft.write_text(textwrap.dedent(PROGRAM).format(
            log=str(self.log), people=str(self.people), before=before, after=after))
        draft.chmod(0o755)
        draft.rename(self.program)

    def configure(self, source="file, command", **sections):
        accounts = {"source": source, "command": self.program, **sections.pop("accounts", {})}
        self.world.configure(accounts=accounts, **sections)

    def asked(self):
        return [Question(line) for line in self.log.read_text().splitlines()]

# SPDX-License-Identifier: MIT
"""Source `command`: a program with the checkpassword interface decides."""

import os
import signal
import textwrap

import pytest

import restante

# Reads what it is asked from descriptor 3 and looks it up in a file of `name password` lines.
CHECKER = """\
    #!/usr/bin/python3
    import os, sys, time
    name, password, stamp, rest = os.read(3, 4096).split(b"\\0")
    assert rest == b"" and stamp.isdigit()
    with open({log!r}, "ab") as log:
        log.write(repr((name, password, {{key: value for key, value in os.environb.items()
                                         if key != b"LC_CTYPE"}}, os.getuid(),
                        sorted(map(int, os.listdir("/proc/self/fd"))))).encode() + b"\\n")
    {before}
    known = dict(line.rstrip(b"\\n").split(b" ", 1) for line in open({people!r}, "rb"))
    if name not in known:
        sys.exit(3)
    if known[name] != password:
        sys.exit(1)
    os.environb[b"USER"] = name
    os.environb[b"HOME"] = b"/home/" + name
    {after}
    os.execv(sys.argv[1], sys.argv[1:])
"""


class Command:
    """A checker in a world, and what it was asked."""

    def __init__(self, world, people, before="pass", after="pass"):
        self.world = world
        self.program = world.folder / "checker"
        self.people = world.folder / "people"
        self.log = world.folder / "asked"
        self.log.touch()
        world.own(self.log)
        self.log.chmod(0o666)
        self.people.write_bytes(b"".join(name + b" " + password + b"\n"
                                         for name, password in people.items()))
        self.write(before, after)

    def write(self, before="pass", after="pass"):
        draft = self.program.with_suffix(".new")
        draft.write_text(textwrap.dedent(CHECKER).format(
            log=str(self.log), people=str(self.people), before=before, after=after))
        draft.chmod(0o755)
        draft.rename(self.program)

    def asked(self):
        return [eval(line) for line in self.log.read_text().splitlines()]


def configure(world, source="file, command", **accounts):
    world.configure(accounts={"source": source, "command": world.folder / "checker",
                              **{key.replace("_", "-"): value for key, value in accounts.items()}})


@pytest.mark.sanitized
def test_login(either_world):
    world = either_world
    command = Command(world, {b"bob": b"pass word"})
    configure(world)
    world.put(b"Subject: for bob\n\nx\n", user="bob")
    server = world.start()
    with server.login(b"bob", b"pass word") as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")
        client.quit()
    with server.login() as client:  # alice is in the file
        client.quit()
    asked = command.asked()
    assert [entry[:2] for entry in asked] == [(b"bob", b"pass word")]
    environment, uid, descriptors = asked[0][2:]
    assert environment == {b"PATH": b"/usr/sbin:/usr/bin:/sbin:/bin", b"PROTO": b"TCP",
                           b"SERVICE": b"pop3", b"TCPREMOTEIP": b"127.0.0.1"}
    assert uid == (1 if world.privileged else restante.PLAIN_UID)
    assert descriptors == [0, 1, 2, 3, 4, 5, 6]  # the last two are the checker's own

# SPDX-License-Identifier: MIT
"""`restante deliver USER`: from a pipe into the maildrop, durable or not at all."""

import os
import re
import shutil
import subprocess

import pytest

import maildir
import restante

MESSAGE = b"From: a@example.com\nTo: alice@example.com\nSubject: x\n\nbody\n.\n..\n"


def deliver(world, user="alice", message=MESSAGE, **options):
    return world.run("deliver", user, "-c", world.configuration_file, input=message, **options)


@pytest.fixture(scope="module")
def common():
    """A world whose server takes what is delivered, for tests that look at the maildrops only."""
    world = restante.World()
    try:
        world.start()
        yield world
    finally:
        world.close()


@pytest.fixture
def served(common):
    """That world, without maildrops."""
    for folder in common.mail.iterdir():
        shutil.rmtree(folder)
    return common


def leftovers(world):
    return [path for path in world.mail.glob("*/tmp/*")]


@pytest.mark.sanitized
def test_delivered_is_readable(either_world):
    world = either_world
    server = world.start()
    assert deliver(world).returncode == 0
    with server.login() as client:
        assert client.multiline(b"RETR 1") == maildir.on_the_wire(MESSAGE)
        client.quit()
    stored = maildir.files(world.maildrop())
    [(name, octets)] = [(n, o) for n, o in stored.items() if n.startswith(("new/", "cur/"))]
    assert octets == MESSAGE
    assert name.startswith("new/")
    sizes = dict(re.findall(r",([SW])=(\d+)", name))
    assert int(sizes["S"]) == len(MESSAGE)
    assert int(sizes["W"]) == len(maildir.on_the_wire(MESSAGE))
    assert leftovers(world) == []


@pytest.mark.sanitized
@pytest.mark.parametrize("message, stored", [
    pytest.param(b"Subject: x\r\n\r\na\r\nb\r\n", b"Subject: x\n\na\nb\n", id="crlf"),
    pytest.param(b"", b"", id="empty"),
    pytest.param(b"no newline at the end", b"no newline at the end", id="no last line end"),
    pytest.param(b"mixed\r\nand\nbare\rcr\n", b"mixed\nand\nbare\rcr\n", id="mixed"),
    # A CR before a CR LF: stored as one CR LF it would come back as one line end.
    pytest.param(b"two\r\r\n", b"two\r\r\n", id="cr crlf"),
    pytest.param(b"\0\xff\r\n.\r\n", b"\0\xff\n.\n", id="nul"),
    pytest.param(b"From: a\n\nFrom here on\n", b"From: a\n\nFrom here on\n", id="from"),
    pytest.param(b"x" * 1000000, b"x" * 1000000, id="one line"),
    pytest.param(b"\r\n" * 300000, b"\n" * 300000, id="only crlf"),
])
def test_octets(served, message, stored):
    assert deliver(served, message=message).returncode == 0
    assert [octets for name, octets in maildir.files(served.maildrop()).items()
            if name.startswith("new/")] == [stored]


@pytest.mark.sanitized
def test_first_delivery_makes_the_maildrop(either_world):
    world = either_world
    server = world.start()
    assert not (world.mail / "alice").exists()
    assert deliver(world).returncode == 0
    with server.login() as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")


@pytest.mark.sanitized
@pytest.mark.parametrize("user", ["unknown", "a/b", "..", ".alice", "", "x" * 300, "alice\n"])
def test_unknown_user(served, user):
    result = deliver(served, user)
    assert result.returncode in (64, 67) if user == "" else result.returncode == 67
    assert result.stderr
    assert list(served.mail.iterdir()) == []


@pytest.mark.sanitized
def test_no_server_is_temporary(world):
    result = deliver(world)
    assert result.returncode == 75 and result.stderr
    world.start().stop()
    assert deliver(world).returncode == 75
    assert list(world.mail.iterdir()) == []


@pytest.mark.parametrize("mistake", ["missing", "wrong"])
def test_a_mistake_in_the_configuration_is_temporary(world, mistake):
    """An operator's slip must not send people's mail back."""
    world.start()
    if mistake == "missing":
        world.configuration_file.unlink()
    else:
        world.configure(pop3={"no-such": "1"})
    result = deliver(world)
    assert result.returncode == 75 and str(world.configuration_file).encode() in result.stderr


def test_server_that_does_not_answer_is_temporary(world):
    server = world.start()
    for process in server.processes():
        os.kill(process.pid, 19)
    try:
        assert deliver(world, timeout=60).returncode == 75
    finally:
        for process in server.processes():
            os.kill(process.pid, 18)


def test_no_right_to_write_is_temporary(world):
    world.start()
    world.maildrop()
    (world.maildrop() / "tmp").chmod(0o500)
    (world.maildrop() / "new").chmod(0o500)
    result = deliver(world)
    assert result.returncode == 75 and result.stderr
    assert maildir.names(world.maildrop()) == []


@pytest.mark.sanitized
def test_file_size_limit_leaves_nothing(world):
    """A write that fails in the middle of the message."""
    world.start()
    command = f"ulimit -f 8; exec {restante.BINARY} deliver alice -c {world.configuration_file}"
    result = subprocess.run(["sh", "-c", command], input=MESSAGE + b"x" * 100000,
                            capture_output=True, cwd="/", **world.identity())
    assert result.returncode == 75, result.stderr
    assert leftovers(world) == [] and maildir.names(world.maildrop()) == []


def test_full_disk_leaves_nothing(world):
    if not restante.IS_ROOT:
        pytest.skip("needs root: mounts a file system")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "none", world.mail],
                      capture_output=True).returncode != 0:
        pytest.skip("needs root: may not mount")
    try:
        world.own(world.mail)
        server = world.start()
        result = deliver(world, message=b"x" * 1000000)
        assert result.returncode == 75 and b"No space left" in result.stderr
        assert leftovers(world) == [] and maildir.names(world.maildrop()) == []
        assert deliver(world).returncode == 0
        server.stop()
    finally:
        subprocess.run(["umount", "-l", world.mail], check=True)


def test_killed_in_the_middle_is_not_delivered(world):
    world.start()
    reader, writer = os.pipe()
    process = subprocess.Popen([restante.BINARY, "deliver", "alice", "-c",
                                world.configuration_file], stdin=reader, cwd="/",
                               **world.identity())
    os.close(reader)
    os.write(writer, MESSAGE)
    restante.wait_until(lambda: leftovers(world) or process.poll() is not None,
                        "the message begun")
    process.kill()
    process.wait()
    os.close(writer)
    assert maildir.names(world.maildrop()) == []


@pytest.mark.sanitized
def test_many_at_once(world):
    """Names never meet, and sessions that come meanwhile see whole messages only."""
    server = world.start()
    processes = [subprocess.Popen([restante.BINARY, "deliver", "alice", "-c",
                                   world.configuration_file], stdin=subprocess.PIPE, cwd="/",
                                  **world.identity()) for _ in range(30)]
    for number, process in enumerate(processes):
        process.stdin.write(MESSAGE + b"%d\n" % number * 1000)
        process.stdin.close()
        if number % 10 == 0:
            with server.login() as client:
                for message, size in client.sizes().items():
                    assert len(client.multiline(b"RETR %d" % message)) == size
                client.quit()
    assert [process.wait() for process in processes] == [0] * 30
    with server.login() as client:
        assert len(set(client.unique_ids().values())) == 30


def test_file_and_directories_are_synced(world):
    """The system calls: the file before it gets its name, the directory after, both before exit 0."""
    world.start()
    trace = world.folder / "trace"
    deliver(world)  # the maildrop is there: its making is another matter
    subprocess.run(["strace", "-f", "-y", "-o", trace, "-e",
                    "trace=fsync,fdatasync,rename,renameat,renameat2,link,linkat,syncfs",
                    restante.BINARY, "deliver", "alice", "-c", world.configuration_file],
                   input=MESSAGE, check=True, cwd="/", **world.identity())
    calls = trace.read_text()
    order = [match[0] for match in re.finditer(
        r"(fsync|fdatasync)\(\d+<[^>]*/tmp/[^>]*>|(rename|link)\w*\(|fsync\(\d+<[^>]*/new>", calls)]
    kinds = ["name" if call.startswith(("rename", "link")) else
             "new" if call.endswith("/new>") else "file" for call in order]
    assert "name" in kinds and "file" in kinds[:kinds.index("name")], calls
    assert "new" in kinds[kinds.index("name"):], calls

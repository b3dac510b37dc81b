# SPDX-License-Identifier: MIT
"""What a client sees of a maildrop that changes, breaks, or holds what should not be there."""

import gzip
import os
import subprocess

import pytest

import maildir
import restante

pytestmark = pytest.mark.sanitized
ONE, TWO, THREE = (maildir.of_size(size) for size in (400, 500, 300))


@pytest.fixture
def three(world):
    return [world.put(text) for text in (ONE, TWO, THREE)]


@pytest.fixture
def server(world, three):
    return world.start()


def test_snapshot_at_login(server, world):
    with server.login() as client:
        before = client.unique_ids()
        world.put(b"Subject: late\n\nlate\n")
        world.put(b"Subject: later, but older by its name\n\nlate\n", number=-1600000000)
        assert client.ok(b"STAT") == b"+OK 3 1200"
        assert client.unique_ids() == before
        assert client.multiline(b"RETR 1") == maildir.on_the_wire(ONE)
        client.error(b"RETR 4")
        client.quit()
    with server.login() as client:
        assert client.ok(b"STAT").startswith(b"+OK 5 ")
        assert [client.unique_ids()[n] for n in (2, 3, 4)] == [before[n] for n in (1, 2, 3)]


def test_flags_changed_by_another_program(server, world, three):
    with server.login() as client:
        ids = client.unique_ids()
        seen = world.maildrop() / "cur" / (three[0].name + ":2,S")
        three[0].rename(seen)
        assert client.multiline(b"RETR 1") == maildir.on_the_wire(ONE)
        seen.rename(seen.with_name(three[0].name + ":2,RS"))
        assert client.multiline(b"RETR 1") == maildir.on_the_wire(ONE)
        three[1].rename(world.maildrop() / "cur" / (three[1].name + ":2,"))
        client.ok(b"DELE 1")
        client.ok(b"DELE 2")
        client.quit()
    assert maildir.names(world.maildrop()) == [three[2].name]
    with server.login() as client:
        assert client.unique_ids() == {1: ids[3]}


def test_removed_by_another_program(server, three):
    with server.login() as client:
        three[1].unlink()
        client.error(b"RETR 2")
        assert client.multiline(b"RETR 1") == maildir.on_the_wire(ONE)
        assert client.multiline(b"RETR 3") == maildir.on_the_wire(THREE)
        client.ok(b"DELE 3")
        client.quit()
    with server.login() as client:
        assert client.ok(b"STAT") == b"+OK 1 400"


def test_deleted_and_then_removed_by_another_program(server, world, three):
    """What is gone already need not be removed: RFC 1939 asks that it be gone."""
    with server.login() as client:
        client.ok(b"DELE 2")
        three[1].unlink()
        client.quit()
    assert maildir.names(world.maildrop()) == [three[0].name, three[2].name]


def test_commit_that_fails_in_part(server, world, three):
    """RFC 1939 section 6: -ERR some deleted messages not removed; exactly the rest stays."""
    kept = world.maildrop() / "cur" / (three[0].name + ":2,S")
    three[0].rename(kept)
    with server.login() as client:
        for number in (1, 2):
            client.ok(b"DELE %d" % number)
        kept.parent.chmod(0o555)
        reply = client.error(b"QUIT")
        assert b"some deleted messages not removed" in reply.lower()
        client.expect_close()
    kept.parent.chmod(0o755)
    assert maildir.names(world.maildrop()) == [three[0].name + ":2,S", three[2].name]
    with server.login() as client:
        assert client.ok(b"STAT") == b"+OK 2 700"


@pytest.mark.parametrize("ending", ["close", "half-close", "reset", "quit-without-line-end",
                                    "quit-with-half-line-end"])
def test_no_removal_without_quit(server, world, three, ending):
    client = server.login()
    client.ok(b"DELE 1")
    client.ok(b"DELE 2")
    if ending == "quit-without-line-end":
        client.send(b"QUIT")
    elif ending == "quit-with-half-line-end":
        client.send(b"QUIT\r")
    if ending == "half-close":
        client.socket.shutdown(1)
        client.expect_close()
    elif ending == "reset":
        client.socket.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER, zero seconds
    client.socket.close()
    with server.login() as after:
        assert after.ok(b"STAT") == b"+OK 3 1200"
        after.quit()
    assert maildir.names(world.maildrop()) == [path.name for path in three]


def test_new_and_cur_in_order_of_arrival(world):
    world.put(b"Subject: 2\n\n", number=1000, place="cur", name="1000.M1P1.host:2,S")
    world.put(b"Subject: 1\n\n", name="999.M2P1.host")
    world.put(b"Subject: 4\n\n", name="20000.M3P1.host", place="cur")
    world.put(b"Subject: 3\n\n", name="1000.M4P1.host")
    world.put(b"Subject: 0\n\n", name="no-number")
    with world.start().login() as client:
        for number in range(1, 6):
            assert client.multiline(b"RETR %d" % number) == b"Subject: %d\r\n\r\n" % (number - 1)


def test_no_maildrop_is_an_empty_one(world):
    server = world.start()
    with server.login() as client:
        assert client.ok(b"STAT") == b"+OK 0 0"
        assert client.lines(b"LIST") == [] and client.lines(b"UIDL") == []
        client.quit()
    assert not (world.mail / "alice").exists()


def test_missing_parent_is_an_error(world):
    """An unmounted disk must not look like deleted mail."""
    server = world.start()
    world.mail.rename(world.folder / "unmounted")
    with server.client() as client:
        client.ok(b"USER alice")
        assert client.error(b"PASS secret").startswith(b"-ERR [SYS/TEMP]")


def test_what_is_no_message(server, world, three):
    secret = world.folder / "elsewhere"
    secret.write_bytes(b"Subject: not yours\n\nsecret\n")
    restante.World.own(world, secret)
    (world.maildrop() / "new" / "1800000001.M1P1.host").mkdir()
    (world.maildrop() / "new" / "1800000002.M1P1.host").symlink_to(secret)
    os.mkfifo(world.maildrop() / "new" / "1800000003.M1P1.host")
    os.chown(world.maildrop() / "new" / "1800000003.M1P1.host", world.owner, world.owner)
    (world.maildrop() / "new" / ".hidden").write_bytes(b"x")
    with server.login() as client:
        count = int(client.ok(b"STAT").split()[1])
        for number in range(4, count + 1):
            client.error(b"RETR %d" % number)
            client.error(b"DELE %d" % number)
        assert client.multiline(b"RETR 3") == maildir.on_the_wire(THREE)
        client.quit()
    assert secret.exists()
    assert (world.maildrop() / "new" / "1800000001.M1P1.host").exists()


COMPRESSED = {
    "gzip": gzip.compress(ONE),
    "bzip2": b"BZh91AY&SY" + bytes(60),
    "lz4": b"\x04\x22\x4d\x18" + bytes(60),
    "zstd": b"\x28\xb5\x2f\xfd" + bytes(60),
    "mail_crypt": b"CRYPTED\x03\x07\x02" + bytes(60),
}


@pytest.mark.parametrize("kind", COMPRESSED)
def test_compressed_by_another_server(server, world, kind):
    path = world.put(COMPRESSED[kind])
    with server.login() as client:
        assert client.sizes()[4] == len(COMPRESSED[kind])
        client.error(b"RETR 4")
        client.error(b"TOP 4 0")
        client.error(b"DELE 4")
        assert client.multiline(b"RETR 1") == maildir.on_the_wire(ONE)
        client.quit()
    assert path.read_bytes() == COMPRESSED[kind]
    assert path.name.partition(".")[0] in server.log()


def test_unreadable_message(server, three):
    three[1].chmod(0)
    with server.login() as client:
        assert client.sizes()[2] > 0
        for command in (b"RETR 2", b"TOP 2 0", b"DELE 2"):
            client.error(command)
        assert client.multiline(b"RETR 1") == maildir.on_the_wire(ONE)
        client.quit()
    assert three[1].exists()


@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_file_system(world, kind):
    """Reading needs no room: only what must be removed or written can fail."""
    if not restante.IS_ROOT:
        pytest.skip("needs root: mounts a file system")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "none", world.mail],
                             capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("needs root: may not mount")
    try:
        world.own(world.mail)
        path = world.put(ONE)
        if kind == "full":
            with pytest.raises(OSError):
                (world.mail / "ballast").write_bytes(bytes(1 << 20))
        else:
            subprocess.run(["mount", "-o", "remount,ro", world.mail], check=True)
        server = world.start()
        with server.login() as client:
            assert client.ok(b"STAT") == b"+OK 1 400"
            assert client.lines(b"UIDL")[0].split()[1] == path.name.encode()
            assert client.multiline(b"RETR 1") == maildir.on_the_wire(ONE)
            client.ok(b"DELE 1")
            if kind == "full":
                client.quit()
            else:
                client.error(b"QUIT")
                client.expect_close()
        assert path.exists() == (kind == "read-only")
        delivered = world.run("deliver", "alice", "-c", world.configuration_file,
                              input=ONE * 100)
        assert delivered.returncode == 75, delivered.stderr
        server.stop()
    finally:
        subprocess.run(["umount", "-l", world.mail], check=True)


def test_octets(world):
    """RETR's octets are LIST's, for everything a message may be made of."""
    texts = [b"", b"\n", b".", b".\n", b"..\n.\n", b"no header end", b"a\n\nno last line end",
             b"Subject: dots\n\n.\n..\n...\n.x\n", b"nul \0 \0\n\n\0\n", b"cr\r\ncrlf\r\n\r\nx\r\n",
             b"bare\rcr\n\na\r.\rb\n", b"8bit \xff\xfe\n\n\xe2\x82\xac\n", b"\n" * 5000,
             b"Subject: long\n\n" + b"y" * 200000 + b"\n", b".\n" * 40000,
             b"Subject: x\n\n" + b"z" * 65535 + b"\n." + b"\n", b"\r\n.\r\n"]
    for text in texts:
        world.put(text)
    server = world.start()
    for _ in range(2):
        with server.login() as client:
            sizes = client.sizes()
            bodies = {n: client.multiline(b"RETR %d" % n) for n in sizes}
            assert {n: len(body) for n, body in bodies.items()} == sizes
            assert client.ok(b"STAT") == b"+OK %d %d" % (len(sizes), sum(sizes.values()))
            for number, text in enumerate(texts, 1):
                if b"\r." not in text:
                    assert bodies[number] == maildir.on_the_wire(text), number
            client.quit()


@pytest.mark.parametrize("name", ["1700000000.M1P1.host,S=900,W=999", "1700000000.M1P1.host,S=5,W=999"],
                         ids=["size", "octets"])
def test_a_name_that_lies(world, name):
    """The message is sent whole, which is logged, and the next login has its row right."""
    world.put(b"a\nbc\n", name=name)
    server = world.start()
    with server.login() as client:
        assert client.ok(b"LIST 1") == b"+OK 1 999"
        assert client.multiline(b"RETR 1") == b"a\r\nbc\r\n"
        assert client.ok(b"LIST 1") == b"+OK 1 999"
        client.quit()
    assert server.log().count("message 1 is not as large as its file's name says") == 1
    with server.login() as client:
        assert client.ok(b"LIST 1") == b"+OK 1 7"
        client.multiline(b"RETR 1")
        client.quit()
    assert server.log().count("is not as large") == 1


def test_unique_ids_outlive_everything(either_world):
    world = either_world
    names = ["1700000000.M1P1.host", "1700000001.M2P1.host,S=5,W=6", "1700000001.M2P1.host,S=7",
             "1700000002." + "long" * 20, "=begins-with-equals", "1700000003.with space"]
    for name in names:
        world.put(ONE, name=name)
    server = world.start()
    with server.login() as client:
        ids = client.unique_ids()
        client.quit()
    assert len(set(ids.values())) == len(names)
    assert b"1700000000.M1P1.host" in ids.values()
    server.stop()
    for path in world.maildrop().iterdir():
        if path.is_file() and path.name != "ids":
            path.unlink()
    server = world.start()
    with server.login() as client:
        assert client.unique_ids() == ids
        client.ok(b"DELE 1")
        client.quit()
    with server.login() as client:
        assert list(client.unique_ids().values()) == [ids[n] for n in range(2, len(names) + 1)]


def test_the_longest_unique_ids_are_listed(world):
    for number in range(3000):
        world.put(b"x\n", name=f"{1700000000 + number}." + "u" * 59)
    server = world.start()
    with server.login() as client:
        ids = client.unique_ids()
        assert len(ids) == 3000 and list(ids) == list(range(1, 3001))
        assert all(len(unique_id) == 70 for unique_id in ids.values())
        assert len(client.sizes()) == 3000


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_million_messages(world):
    """Two listings of them are made as the socket drains; a session costs no memory of their number."""
    count = 1_000_000
    world.configure(server={"workers": "1"}, maildrop={"in-use-wait": "600s"},
                    pop3={"idle-timeout": "30m", "write-timeout": "30m"})
    folder = world.maildrop() / "new"
    for number in range(count):
        path = folder / f"{1700000000 + number}.M1P1.host,S=2,W=3"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(descriptor, b"x\n")
        os.close(descriptor)
    server = world.start()
    server.client().quit()
    before = server.workers()[0].resident_octets
    for _ in range(2):
        with server.client() as client:
            client.socket.settimeout(600)
            client.login()
            assert client.ok(b"STAT") == b"+OK %d %d" % (count, 3 * count)
            assert len(client.lines(b"LIST")) == count
            ids = client.lines(b"UIDL")
            assert len(set(ids)) == count
            assert client.multiline(b"RETR %d" % count) == b"x\r\n"
            client.ok(b"DELE 1")
            client.quit()
        (folder / "1699999999.M1P1.host,S=2,W=3").write_bytes(b"x\n")
        os.chown(folder / "1699999999.M1P1.host,S=2,W=3", world.owner, world.owner)
    assert server.workers()[0].resident_octets - before < 600 << 20
    assert len(os.listdir(folder)) == count

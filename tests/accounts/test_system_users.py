# SPDX-License-Identifier: MIT
"""Mail of system users: read by a process that is that user, for whom auth let in, and for nobody else."""

import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

import maildir
import restante
import scram

pytestmark = pytest.mark.skipif(not restante.IS_ROOT, reason="needs root")

BUILD = pathlib.Path(os.environ.get("RESTANTE_BUILD", restante.ROOT / "build"))
INTRUDER = BUILD / "tests/sandbox/intruder"
UIDS = {"alice": 61001, "bob": 61002, "carol": 61003}


class Site:
    """A world whose people have homes of their own that nobody else may enter."""

    def __init__(self, world):
        self.world = world
        self.homes = world.folder / "home"
        self.homes.mkdir(mode=0o755)
        for user, uid in UIDS.items():
            home = self.homes / user
            home.mkdir(mode=0o700)
            os.chown(home, uid, uid)
        self.write_accounts()
        self.configure()

    def line(self, user, uid=None, gid=None, home=None, extra=""):
        uid = UIDS.get(user, "") if uid is None else uid
        gid = uid if gid is None else gid
        home = self.homes / user if home is None else home
        return f"{{PLAIN}}{user}'s password:{uid}:{gid}::{home}::{extra}"

    def write_accounts(self, **lines):
        accounts = {user: self.line(user) for user in UIDS}
        self.world.write_accounts({**accounts, **lines})

    def configure(self, **sections):
        maildrop = {"path": "~/Maildir", "as-user": "yes", **sections.pop("maildrop", {})}
        self.world.configure(maildrop=maildrop, **sections)

    def start(self):
        return self.world.start()

    def maildrop(self, user):
        folder = self.homes / user / "Maildir"
        if not folder.exists():
            maildir.create(folder, UIDS[user])
        return folder

    def put(self, user, octets, number):
        return maildir.write(self.maildrop(user), octets, f"{1700000000 + number}.M1P1.host",
                             UIDS[user])

    def left(self, user):
        folder = self.maildrop(user)
        return sum(len(os.listdir(folder / place)) for place in ("new", "cur"))


@pytest.fixture
def site(make_world):
    return Site(make_world(privileged=True))


def password(user):
    return f"{user}'s password".encode()


def login(server, user, **options):
    return server.login(user.encode(), password(user), **options)


def refused(server, user):
    """The answer to PASS."""
    with server.client() as client:
        client.ok(b"USER " + user.encode())
        return client.error(b"PASS " + password(user))


def delegates(server, user=None):
    return [process for process in server.children() if "delegate" in process.command
            and process.state != "Z" and (user is None or process.uid == UIDS[user])]


def letter(user, number):
    lines = b"".join(b"%d. line, for %s\n" % (n, user.encode()) for n in range(number * 700))
    return b"Subject: %d\n\n.dot\n%s" % (number, lines)


def on_the_wire(octets):
    return octets.replace(b"\n", b"\r\n")


@pytest.mark.sanitized
def test_surrogates(site):
    """RFC 6858: who did not say UTF8 is shown them, with their octets."""
    site.configure(pop3={"utf8": "yes"})
    original = "From: é@example.com\nSubject: привет\n\n".encode() + b"line\n" * 20000
    site.put("alice", original, 1)
    server = site.start()
    with login(server, "alice") as client:
        surrogate = client.multiline(b"RETR 1")
        assert client.sizes() == {1: len(surrogate)} and surrogate.isascii()
        assert client.ok(b"STAT") == b"+OK 1 %d" % len(surrogate)
        assert surrogate.endswith(on_the_wire(b"\n\n" + b"line\n" * 20000))
        client.quit()
    with server.client() as client:
        client.ok(b"UTF8")
        client.login(b"alice", password("alice"))
        assert client.multiline(b"RETR 1") == on_the_wire(original)
        assert client.sizes() == {1: len(on_the_wire(original))}
        client.quit()


@pytest.mark.sanitized
def test_three_users_at_once(site):
    for user in UIDS:
        for number in (1, 2, 3):
            site.put(user, letter(user, number), number)
    server = site.start()

    def read(user):
        with login(server, user) as client:
            assert client.ok(b"STAT").startswith(b"+OK 3 ")
            for number in (1, 2, 3):
                assert client.multiline(b"RETR %d" % number) == on_the_wire(letter(user, number))
            assert len(client.multiline(b"UIDL").splitlines()) == 3
            client.ok(b"DELE 2")
            processes = delegates(server, user)
            assert len(processes) == 1
            client.quit()
        return processes[0].pid

    with concurrent.futures.ThreadPoolExecutor(len(UIDS)) as pool:
        pids = list(pool.map(read, UIDS))
    assert len(set(pids)) == len(UIDS)
    assert [site.left(user) for user in UIDS] == [2, 2, 2]
    for user, uid in UIDS.items():
        for path in site.maildrop(user).rglob("*"):
            assert path.stat().st_uid == uid, path
    for worker in server.workers():
        assert worker.uid == restante.PLAIN_UID


@pytest.mark.sanitized
def test_others_are_served_as_before(site):
    """Who has no uid has mail that belongs to the workers' user."""
    world = site.world
    site.write_accounts(dave=f"{{PLAIN}}dave's password::::::userdb_mail={world.mail}/dave",
                        erin="{PLAIN}erin's password:::::")
    site.configure(maildrop={"roots": world.mail})
    world.put(b"Subject: x\n\nx\n", user="dave")
    site.put("alice", b"Subject: y\n\ny\n", 1)
    server = site.start()
    for _ in range(2):
        with login(server, "dave") as client:
            assert client.ok(b"STAT").startswith(b"+OK 1 ")
            client.quit()
    assert not delegates(server)
    with login(server, "alice") as client:
        assert client.sizes() == {1: 17}
        client.quit()
    assert refused(server, "erin").startswith(b"-ERR")
    assert server.wait_log(r"user=erin: the account has no home folder")


def test_the_same_path_rule_for_all(site):
    """A path that is no home's: still as each one's user."""
    world = site.world
    site.configure(maildrop={"path": world.mail / "%u"})
    folder = world.mail / "alice"
    maildir.create(folder, UIDS["alice"])
    folder.chmod(0o700)
    maildir.write(folder, b"Subject: x\n\nx\n", "1.M1P1.host", UIDS["alice"])
    server = site.start()
    with login(server, "alice") as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")
        assert len(delegates(server, "alice")) == 1
        client.quit()


@pytest.mark.parametrize("uid, gid", [(0, 0), (0, 61001), (1, 1), (999, 999), (61001, 0)])
def test_root_and_services_are_not_served(site, uid, gid):
    site.write_accounts(alice=site.line("alice", uid, gid))
    os.chown(site.maildrop("alice"), uid, gid)
    server = site.start()
    assert refused(server, "alice").startswith(b"-ERR [SYS/PERM]")
    assert server.wait_log(rf"login of user=alice refused: uid {uid}, gid {gid}: as-user-minimum")
    assert not delegates(server)
    with login(server, "bob") as client:
        client.quit()


def test_a_lower_minimum(site):
    site.write_accounts(alice=site.line("alice", 999, 998))
    site.configure(maildrop={"as-user-minimum": "999"})
    os.chown(site.homes / "alice", 999, 998)
    server = site.start()
    with login(server, "alice") as client:
        assert client.ok(b"STAT").startswith(b"+OK 0 ")
        process = delegates(server)[0]
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        assert re.search(r"^Uid:\t999\t999\t999\t999$", status, re.M)
        assert re.search(r"^Gid:\t998\t998\t998\t998$", status, re.M)
        assert re.search(r"^Groups:\t998 $", status, re.M)
        assert re.search(r"^NoNewPrivs:\t1$", status, re.M)
        assert re.search(r"^Seccomp:\t2$", status, re.M)
        assert re.search(r"^CapEff:\t0+$", status, re.M)
        client.quit()


def test_mistakes_are_told(site):
    world = site.world

    def check(**options):
        said = world.run("check-config", "-c", world.configuration_file, **options)
        return said.returncode, (said.stdout + said.stderr).decode()

    assert check()[0] == 0
    site.write_accounts(bob=site.line("bob", 33), carol="{PLAIN}carol's password:::::")
    status, said = check()
    assert status == 0
    assert re.search(r"1 accounts have a uid below as-user-minimum \(1000\) and cannot log in, the "
                     r"first in line 2: bob; write a lower", said)
    assert re.search(r"1 accounts have no number in the uid field or no home and cannot log in, the "
                     r"first in line 3: carol; write both", said)
    site.configure(maildrop={"as-user": "no"})
    status, said = check()
    assert status != 0
    assert re.search(r"restante\.conf:\d+: path = ~/Maildir: homes are only entered as their "
                     r"owners; write as-user = yes", said)
    site.configure()
    world.accounts_file.chmod(0o644)
    status, said = check(user=restante.PLAIN_UID)
    assert status != 0
    assert re.search(r"restante\.conf:\d+: as-user = yes: only root can read each one's mail as that "
                     r"user, and this is uid \d+; start it as root", said)


@pytest.mark.sanitized
def test_a_killed_delegate(site):
    """An error for who reads by it; nothing is lost, and the next login has a new one."""
    for number in (1, 2):
        site.put("alice", letter("alice", number), number)
    server = site.start()
    client = login(server, "alice")
    client.ok(b"DELE 1")
    first = delegates(server, "alice")[0].pid
    os.kill(first, signal.SIGKILL)
    server.wait_log(rf"delegate {first} for uid 61001 was ended by signal 9")
    with login(server, "bob") as other:
        assert client.error(b"RETR 2").startswith(b"-ERR [SYS/TEMP]")
        other.quit()
    assert client.command(b"QUIT").startswith(b"-ERR")
    client.expect_close()
    assert site.left("alice") == 2
    with login(server, "alice") as client:
        assert client.multiline(b"RETR 2") == on_the_wire(letter("alice", 2))
        assert delegates(server, "alice")[0].pid != first
        client.ok(b"DELE 2")
        client.quit()
    assert site.left("alice") == 1


def test_a_delegate_that_hangs(site):
    """Nobody else waits for it, and it does not stay."""
    site.put("alice", letter("alice", 1), 1)
    server = site.start()
    reader = login(server, "alice")
    hanging = delegates(server, "alice")[0].pid
    os.kill(hanging, signal.SIGSTOP)
    reader.send(b"RETR 1\r\n")
    with server.client() as waiting:
        waiting.ok(b"USER alice")
        waiting.send(b"PASS " + password("alice") + b"\r\n")
        for user in ("bob", "carol", "bob"):
            with login(server, user) as client:
                client.ok(b"STAT")
                client.quit()
        assert waiting.reply().startswith(b"-ERR [SYS/TEMP]")
    assert reader.reply().startswith(b"-ERR [SYS/TEMP]")
    server.wait_log(rf"delegate {hanging} for uid 61001 does not answer; it is killed")
    with login(server, "alice") as client:
        assert client.multiline(b"RETR 1") == on_the_wire(letter("alice", 1))
        client.quit()


def test_who_goes_away_frees_the_maildrop(site):
    site.put("alice", letter("alice", 1), 1)
    server = site.start()
    for _ in range(3):
        client = login(server, "alice")
        client.ok(b"DELE 1")
        client.socket.close()
        restante.wait_until(lambda: logged_in(server, "alice"), "the maildrop is free")
    assert site.left("alice") == 1


def logged_in(server, user):
    """Logs in and out, unless the maildrop is in use."""
    with server.client() as client:
        client.ok(b"USER " + user.encode())
        answer = client.command(b"PASS " + password(user))
        assert answer.startswith((b"+OK", b"-ERR [IN-USE]"))
        return answer.startswith(b"+OK")


@pytest.mark.sanitized
def test_a_silent_holder_loses_it(site):
    site.put("alice", letter("alice", 1), 1)
    site.configure(server={"workers": "3"}, maildrop={"in-use-wait": "20s", "take-over-idle": "1s"})
    server = site.start()
    silent = login(server, "alice")
    silent.ok(b"DELE 1")
    with login(server, "alice") as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")
        client.quit()
    assert silent.rest().startswith((b"", b"-ERR"))
    assert site.left("alice") == 1
    site.configure(maildrop={"in-use-wait": "0s", "take-over-idle": "2m"})
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded ")
    with login(server, "alice"):
        assert refused(server, "alice").startswith(b"-ERR [IN-USE]")


@pytest.mark.sanitized
def test_idle_delegates_end(site):
    site.configure(maildrop={"as-user-idle": "300ms"})
    site.put("alice", letter("alice", 1), 1)
    server = site.start()
    before = set()
    for _ in range(3):
        with login(server, "alice") as client:
            client.ok(b"STAT")
            process = delegates(server, "alice")[0]
            assert process.pid not in before
            before.add(process.pid)
            time.sleep(1)  # three times as long as it waits without a session
            assert [process.pid for process in delegates(server)] == [process.pid]
            assert client.multiline(b"RETR 1") == on_the_wire(letter("alice", 1))
            client.quit()
        restante.wait_until(lambda: not delegates(server), "the delegate ends")
    assert "was ended" not in server.log() and "ended with" not in server.log()


def test_logins_while_delegates_end(site):
    """Whenever it is that a delegate goes, no login is lost with it."""
    site.configure(maildrop={"as-user-idle": "1ms", "in-use-wait": "20s"})
    server = site.start()
    for _ in range(60):
        with login(server, "alice") as client:
            client.quit()
    assert "does not answer" not in server.log()


@pytest.mark.sanitized
def test_reload(site):
    for number in (1, 2):
        site.put("alice", letter("alice", number), number)
    server = site.start()
    client = login(server, "alice")
    client.ok(b"DELE 1")
    before = delegates(server, "alice")[0].pid
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded ")
    with login(server, "bob") as other:
        assert other.ok(b"STAT").startswith(b"+OK 0 ")
        other.quit()
    assert client.multiline(b"RETR 2") == on_the_wire(letter("alice", 2))
    client.quit()
    assert site.left("alice") == 1
    restante.wait_until(lambda: before not in [process.pid for process in delegates(server)],
                        "the old delegate ends with its workers")
    with login(server, "alice") as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")
        client.quit()


def test_stop_lets_sessions_finish(site):
    for number in (1, 2):
        site.put("alice", letter("alice", number), number)
    site.configure(server={"grace": "20s"})
    server = site.start()
    client = login(server, "alice")
    client.ok(b"DELE 1")
    server.terminate()
    server.wait_log("stopping")
    assert client.multiline(b"RETR 2") == on_the_wire(letter("alice", 2))
    client.quit()
    server.stop()
    assert site.left("alice") == 1


def test_links_to_others(site):
    """A user makes what links he likes in his home: the delegate is him, so the kernel says no."""
    site.put("bob", letter("bob", 1), 1)
    os.symlink(site.maildrop("bob"), site.homes / "alice" / "Maildir")
    folder = site.maildrop("carol")
    for place in ("new", "cur"):
        os.symlink(site.maildrop("bob") / "new" / "1700000001.M1P1.host",
                   folder / place / f"17000000{len(place)}.M1P1.host")
    server = site.start()
    assert refused(server, "alice").startswith(b"-ERR [SYS/")
    with login(server, "carol") as client:
        count = int(client.ok(b"STAT").split()[1])
        for number in range(1, count + 1):
            assert client.command(b"RETR %d" % number).startswith(b"-ERR")
            client.command(b"DELE %d" % number)
        client.command(b"QUIT")
    shutil.rmtree(folder / "cur")
    os.symlink(site.maildrop("bob") / "cur", folder / "cur")
    assert refused(server, "carol").startswith(b"-ERR [SYS/")
    assert site.left("bob") == 1
    with login(server, "bob") as client:
        assert client.multiline(b"RETR 1") == on_the_wire(letter("bob", 1))
        client.quit()


def test_no_home_looks_like_no_disk(site):
    """A missing Maildir is an empty one; a missing home may be a disk that is not mounted."""
    server = site.start()
    with login(server, "alice") as client:
        assert client.ok(b"STAT").startswith(b"+OK 0 ")
        client.quit()
    site.put("alice", letter("alice", 1), 1)
    with login(server, "alice") as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")
        client.quit()
    (site.homes / "bob").rmdir()
    assert refused(server, "bob").startswith(b"-ERR [SYS/TEMP]")


def test_no_worker_lets_in_by_itself(site):
    """Who has no uid is let in from a worker's memory while auth is away; a system user never is."""
    world = site.world
    site.write_accounts(dave=f"{{PLAIN}}dave's password::::::userdb_mail={world.mail}/dave")
    site.configure(server={"workers": "1"}, maildrop={"roots": world.mail})
    world.maildrop("dave")
    server = site.start()
    for user in ("dave", "alice"):
        login(server, user).quit()
    auth = [process for process in server.children() if process.command.endswith("auth ")]
    assert len(auth) == 1
    os.kill(auth[0].pid, signal.SIGSTOP)
    try:
        login(server, "dave").quit()
        assert refused(server, "alice").startswith(b"-ERR [SYS/TEMP]")
    finally:
        os.kill(auth[0].pid, signal.SIGCONT)
    login(server, "alice").quit()


@pytest.mark.sanitized
def test_every_way_to_log_in(site):
    """By a digest or an exchange as by a password; and wrong ones are told nothing of whose mail it is."""
    site.put("alice", letter("alice", 1), 1)
    server = site.start()

    def apop(client, secret):
        return client.command(scram.apop(b"alice", secret, client.greeting))

    def exchange(client, secret):
        return scram.authenticate(scram.Speaker(client),
                                  scram.Scram("SCRAM-SHA-256", b"alice", secret))

    for way in (apop, exchange):
        with server.client() as client:
            assert way(client, b"wrong").startswith(b"-ERR [AUTH]")
            assert way(client, password("alice")).startswith(b"+OK"), way
            assert client.multiline(b"RETR 1") == on_the_wire(letter("alice", 1))
            client.quit()
    site.write_accounts(alice=site.line("alice", 33))
    restante.wait_until(lambda: "accounts read again" in server.log(), "the new accounts")
    for way in (apop, exchange):
        with server.client() as client:
            assert way(client, b"wrong").startswith(b"-ERR [AUTH]")
            assert way(client, password("alice")).startswith(b"-ERR [SYS/PERM]"), way


def intrude(worker, *arguments):
    result = subprocess.run([INTRUDER, str(worker), *map(str, arguments)], capture_output=True,
                            text=True, timeout=100)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.splitlines()


@pytest.mark.sanitized
def test_an_intruder_in_a_worker_gets_nothing_of_the_master(site):
    """The worker that asks is ended; the maildrop stays shut."""
    site.put("alice", letter("alice", 1), 1)
    server = site.start()
    login(server, "alice").quit()  # so there is a delegate that could be asked
    worker = server.workers()[0].pid
    assert intrude(worker, "master", UIDS["alice"], site.maildrop("alice")) == ["NOTHING"]
    server.wait_log(rf"worker {worker} said what it may not say; it is killed")
    restante.wait_until(lambda: len(server.workers()) == 2, "a new worker")
    with login(server, "alice") as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")
        client.quit()


@pytest.mark.sanitized
def test_an_intruder_in_a_worker_gets_nothing_of_auth(site):
    site.configure(server={"workers": "1"})
    server = site.start()
    login(server, "alice").quit()
    restante.wait_until(lambda: not sessions(server), "the session is over")
    worker = server.workers()[0].pid
    assert intrude(worker, "auth", "alice") == ["NOTHING"] * 4
    restante.wait_until(lambda: server.workers() and server.workers()[0].pid != worker,
                        "a new worker")
    login(server, "alice").quit()


def sessions(server):
    """Descriptors of the only worker that are channels to delegates."""
    folder = pathlib.Path(f"/proc/{server.workers()[0].pid}/fd")
    count = 0
    for descriptor in folder.iterdir():
        try:
            count += os.readlink(descriptor).startswith("socket:")
        except FileNotFoundError:
            pass
    # listening, to the master, to auth
    return max(0, count - 3)


@pytest.mark.sanitized
def test_an_intruder_in_a_worker_asks_a_delegate_for_nonsense(site):
    """Each ends that one channel; the delegate serves the others, and the mail is as it was."""
    site.configure(server={"workers": "1"}, maildrop={"in-use-wait": "20s"})
    site.put("alice", letter("alice", 1), 1)
    server = site.start()
    worker = server.workers()[0].pid
    first = None
    for turn in range(100):
        with login(server, "alice") as client:
            process = delegates(server, "alice")[0].pid
            assert first in (None, process)
            first = process
            said = intrude(worker, "delegate", turn)
            if said == ["OVER"]:
                break
            assert said == ["NOTHING"], turn
            assert client.error(b"RETR 1").startswith(b"-ERR [SYS/TEMP]")
        restante.wait_until(lambda: not sessions(server), "the session is over")
    assert turn == 13
    assert site.left("alice") == 1


def deliver(site, user, octets, uid=None):
    result = site.world.run("deliver", user, "-c", site.world.configuration_file, input=octets,
                            user=uid)
    return result.returncode, result.stderr.decode()


@pytest.mark.sanitized
def test_delivery(site):
    """As root, deliver becomes the user; it makes his Maildir if there is none."""
    server = site.start()
    assert deliver(site, "alice", b"Subject: 1\n\none\n") == (os.EX_OK, "")
    assert deliver(site, "alice", b"Subject: 2\n\ntwo\n") == (os.EX_OK, "")
    for path in (site.homes / "alice").rglob("*"):
        assert (path.stat().st_uid, path.stat().st_gid) == (UIDS["alice"], UIDS["alice"]), path
        assert path.stat().st_mode & 0o077 == 0, path
    with login(server, "alice") as client:
        assert client.multiline(b"RETR 2") == b"Subject: 2\r\n\r\ntwo\r\n"
        client.quit()
    os.symlink(site.maildrop("alice"), site.homes / "bob" / "Maildir")
    status, said = deliver(site, "bob", b"Subject: 3\n\nthree\n")
    assert status == os.EX_TEMPFAIL and "Permission denied" in said
    assert site.left("alice") == 2


def test_delivery_by_another_user(site):
    """Only root, or the user himself, can write there; mail waits until the MTA's configuration is right."""
    site.start()
    status, said = deliver(site, "alice", b"Subject: 1\n\none\n", restante.PLAIN_UID)
    assert status == os.EX_TEMPFAIL
    assert re.search(r"the mail of alice belongs to uid 61001, and this is uid \d+: have it started by "
                     r"root", said)
    site.write_accounts(alice=site.line("alice", 0, 0))
    status, said = deliver(site, "alice", b"Subject: 1\n\none\n")
    assert status == os.EX_TEMPFAIL and "as-user-minimum" in said

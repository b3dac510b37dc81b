# SPDX-License-Identifier: MIT
"""Switching to restante fetch: what is on the server already is not fetched again."""

import configparser
import sqlite3
import subprocess

import pytest

import maildir
import packages
import restante
from clients import GETMAIL, Reader
from retriever import Home
from scripted import Scripted


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def message(number):
    return (b"id%d" % number, b"From: somebody@example.org\r\nSubject: %d\r\n\r\nhello\r\n" % number)


def subjects(home, name="box"):
    return sorted(int(text.split(b"Subject: ")[1].split()[0]) for text in home.mail(name))


@pytest.fixture
def scripted():
    servers = []

    def make(*arguments, **options):
        servers.append(Scripted(*arguments, **options))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def mark(home, port, *arguments):
    return home.fetch(port, "--mark-seen-all", *arguments)


@pytest.mark.sanitized
def test_what_is_marked_is_neither_fetched_nor_deleted(scripted, home):
    server = scripted([message(number) for number in range(3)])
    dry = mark(home, server.port, "--dry-run")
    assert dry.returncode == 0 and b"3 of 3 messages would be marked as seen" in dry.stdout, dry.stderr
    for count in (3, 0):
        result = mark(home, server.port)
        assert result.returncode == 0, result.stderr
        assert b"%d of 3 messages are marked as seen" % count in result.stdout
    server.messages[4] = message(9)
    for policy in ("--keep=no", "--keep=1d", "--keep=newest:1"):
        assert home.fetch(server.port, policy).returncode == 0
        assert subjects(home) == [9]
        assert [octets[0] for octets in server.messages.values()][:3] == [b"id0", b"id1", b"id2"]
    assert sum(line.startswith(b"RETR") for line in server.commands) == 1


def test_what_was_fetched_stays_what_it_is(scripted, home):
    """Marking does not take from a stored message that it may be deleted."""
    server = scripted([message(1)])
    assert home.fetch(server.port, "--keep").returncode == 0
    server.messages[2] = message(2)
    assert b"1 of 2 messages" in mark(home, server.port).stdout
    assert home.fetch(server.port).returncode == 0
    assert subjects(home) == [1] and list(server.messages) == [2]


def test_an_id_that_is_listed_twice_is_marked_twice(scripted, home):
    server = scripted([message(1), message(1)])
    assert b"2 of 2 messages are" in mark(home, server.port).stdout
    assert home.fetch(server.port).returncode == 0
    assert home.mail() == [] and len(server.messages) == 2


def test_without_ids_nothing_can_be_marked(scripted, home):
    server = scripted([message(1)], answers={b"UIDL": b"-ERR no\r\n"})
    result = mark(home, server.port)
    assert result.returncode == 69 and b"no unique id (UIDL), so they cannot be marked" in result.stderr
    assert home.fetch(server.port, "--keep").returncode == 0
    assert subjects(home) == [1]


def test_marking_says_its_result_in_json(scripted, home):
    server = scripted([message(1)])
    events = home.events(mark(home, server.port, "--json"))
    assert [event["text"] for event in events if event["event"] == "result"] == ["1 of 1 messages are marked as seen"]


def test_a_state_of_version_1_is_taken_over(scripted, home):
    server = scripted([message(1)])
    assert home.fetch(server.port, "--keep").returncode == 0
    path, = home.state.glob("*.db")
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 1")
    database.close()
    server.messages[2] = message(2)
    assert home.fetch(server.port, "--keep").returncode == 0
    assert subjects(home) == [1, 2]
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (2,)
    database.close()


class Person(Reader):
    """One who has fetched with another program, and switches. What restante fetch keeps is in the same home."""

    def __init__(self, world, server):
        super().__init__(world, server)
        self.retriever = Home(self.home)

    def fetchmail(self, keep="keep"):
        script = self.write("deliver", f'#!/bin/sh\nexec cat > "$(mktemp {self.mail}/new/XXXXXXXX)"\n', 0o700)
        rc = self.write(".fetchmailrc", f"""# mine
set no syslog
poll label via {self.host} with proto pop3, port {self.port}, and options uidl auth password
    user "alice" there with password 'secret' is nobody here and wants {keep} sslproto "" mda "{script}"
""")
        return rc, lambda: self.run("fetchmail", "-f", rc, "--pidfile", self.home / "pid", "--nodetach", "--nosyslog")

    def mpop(self, keep="on"):
        rc = self.write(".mpoprc", f"""
defaults
tls off
host {self.host}
keep {keep}
account work
port {self.port}
user alice
password "secret"
auth user
delivery maildir {self.mail}
account default : work
""")
        return rc, lambda: self.run("mpop", "-C", rc)

    def getmail(self, delete="False"):
        folder = self.home / ".config/getmail"
        folder.mkdir(parents=True, exist_ok=True)
        self.world.own(folder)
        rc = self.write(".config/getmail/getmailrc", f"""
[retriever]
type: SimplePOP3Retriever
Server = {self.host}
port = {self.port}
username = alice
password = secret
[destination]
type = Maildir
path = {self.mail}/
[options]
read_all = no
delete = {delete}
""")
        return rc, lambda: self.run("/usr/bin/python3", GETMAIL, "-g", folder)

    def fdm(self, keep="keep"):
        program = packages.TEST_PEERS / "peers/usr/bin/fdm"
        assert program.exists(), "scripts/bootstrap test unpacks it"
        rc = self.write(".fdm.conf", f"""
set lock-file "{self.home}/lock"
$place = "{self.mail}"
account "work" pop3 server "{self.host}" port {self.port} user "alice" pass "secret"
    new-only cache "{self.home}/cache" no-apop {keep}
action "keep it" maildir "${{place}}"
match all action "keep it"
""")
        self.environment["LD_LIBRARY_PATH"] = str(next((program.parent.parent / "lib").glob("*-linux-gnu")))
        return rc, lambda: self.run(program, "-f", rc, "fetch")

    def restante(self, *arguments):
        result = self.retriever.run(*arguments)
        assert b"secret" not in result.stdout + result.stderr
        return result

    def has(self):
        return sorted(int(octets.split(b"Subject: ")[1].split()[0]) for octets in maildir.files(self.mail).values())


@pytest.fixture
def person(make_world):
    world = make_world()
    for number in range(3):
        world.put(b"From: a@example.org\nSubject: %d\n\nhello\n" % number)
    return Person(world, world.start())


def put(person, number):
    person.world.put(b"From: a@example.org\nSubject: %d\n\nhello\n" % number)


def on_server(person):
    with person.server.login() as client:
        count = int(client.ok(b"STAT").split()[1])
        client.ok(b"QUIT")
    return count


def everything(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def blocks_of_page():
    """What docs/switching.md says to type, by the program that it is about."""
    page = (restante.ROOT / "docs/switching.md").read_text()
    blocks = {}
    for part in page.split("\n## ")[1:]:
        heading = part.splitlines()[0]
        blocks[heading] = "".join(line[4:] + "\n" for line in part.splitlines() if line.startswith("    "))
    return blocks


@pytest.mark.parametrize("heading", ["fetchmail", "getmail6", "mpop", "fdm"])
def test_the_page_is_right(person, heading):
    _, fetch = getattr(person, heading.rstrip("6"))()
    assert fetch().returncode == 0
    put(person, 3)
    binaries = person.home / "bin"
    binaries.mkdir()
    (binaries / "restante").symlink_to(restante.BINARY)
    result = subprocess.run(["sh", "-e", "-c", blocks_of_page()[heading]], capture_output=True, timeout=100,
                            env=person.retriever.environment(PATH=f"{binaries}:/usr/bin:/bin"))
    assert result.returncode == 0, result.stderr
    assert person.has() == [0, 1, 2, 3] and b"secret" not in result.stdout + result.stderr


PROGRAMS = ["fetchmail", "mpop", "getmail", "fdm"]


@pytest.mark.sanitized
@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_comes_twice_after_switching(person, program):
    rc, fetch = getattr(person, program)()
    before = fetch()
    assert before.returncode == 0 and person.has() == [0, 1, 2], before
    put(person, 3)
    put(person, 4)
    files = everything(person.home)
    dry = person.restante("--import", rc, "--dry-run")
    assert dry.returncode == 0 and b"3 messages of" in dry.stdout and b"would be known" in dry.stdout, dry
    assert everything(person.home) == files
    result = person.restante("--import", rc)
    assert result.returncode == 0 and b" 3 messages of" in result.stdout, result
    for path in (person.home / ".config/restante").rglob("*"):
        assert path.is_dir() or path.parent.name == "passwords" or b"secret" not in path.read_bytes()
    fetched = person.restante()
    assert fetched.returncode == 0, fetched.stderr
    assert person.has() == [0, 1, 2, 3, 4]
    again = person.restante("--import", rc)
    assert again.returncode == 0 and b" 0 messages of" in again.stdout and b"3 were before" in again.stdout, again
    assert person.restante().returncode == 0
    assert person.has() == [0, 1, 2, 3, 4] and on_server(person) == 5


@pytest.mark.parametrize("program,off,left", [("mpop", "off", 0), ("getmail", "True", 0), ("fetchmail", "nokeep", 3),
                                              ("fdm", "", 3)])
def test_what_is_held_is_deleted_where_the_other_program_would(person, program, off, left):
    """mpop and getmail delete what an earlier run has retrieved, fetchmail and fdm do not."""
    _, fetch = getattr(person, program)()
    assert fetch().returncode == 0
    rc, _ = getattr(person, program)(off)
    put(person, 3)
    assert person.restante("--import", rc).returncode == 0
    result = person.restante()
    assert result.returncode == 0, result.stderr
    assert person.has() == [0, 1, 2, 3] and on_server(person) == left
    assert person.restante("--keep=1d").returncode == 0
    assert on_server(person) == left


def test_ids_that_getmail_spells_otherwise(person, scripted):
    """getmail6 remembers "-" for "/"."""
    letters = [(b"a/b/%d" % number, message(number)[1]) for number in range(2)] + [message(7)]
    person.server = scripted(letters)
    rc, fetch = person.getmail()
    assert fetch().returncode == 0 and person.has() == [0, 1, 7]
    assert person.restante("--import", rc).returncode == 0
    person.server.messages[9] = (b"a-b-9", message(8)[1])
    person.server.messages[10] = (b"a/b/9", message(9)[1])
    assert person.restante("--dry-run").stdout.count(b"would be fetched") == 2
    for _ in range(2):
        assert person.restante().returncode == 0
        assert person.has() == [0, 1, 7, 8, 9]


def sections(home, text, name="rc", *arguments):
    """The options of each account that an import would write."""
    path = home.folder / name
    path.write_text(text)
    result = home.run("--import", path, "--dry-run", *arguments)
    assert result.returncode == 0, result.stderr
    parser = configparser.RawConfigParser(delimiters=("=",))
    parser.read_string("".join(line for line in result.stdout.decode().splitlines(keepends=True)
                               if " = " in line or line.startswith(("[", "#"))))
    return {name: dict(parser[name]) for name in parser.sections()}, result


def test_settings_of_fetchmail(home):
    text = r"""
set daemon 300
set no bouncemail
defaults proto pop3 timeout 60 user "jsmith" limit 100000
poll pop.example.net port 3111
    pass "secret1", mda "/usr/bin/procmail -d %T" ssl
poll second.example.net via real.example.net no dns:
    user jones with pass "secret 2" is jj here nokeep lmtp smtphost "lmtp.example.org/24" ssl;
    user 'keep' has password keep keep ssl sslcertfile /etc/ca.pem fetchlimit 5
    user me here is jack there ssl
skip imap.example.net proto imap user x pass y
"""
    accounts, result = sections(home, text)
    passwords = home.folder / ".config/restante/passwords"
    assert accounts == {
        "pop.example.net": {
            "timeout": "60s", "user": "jsmith", "max-size": "100000", "port": "3111", "host": "pop.example.net",
            "pipe": '/usr/bin/procmail -d "$RECIPIENT"', "password-file": f"{passwords}/pop.example.net"},
        "second.example.net": {
            "timeout": "60s", "user": "jones", "max-size": "100000", "host": "real.example.net", "rcpt": "jj",
            "lmtp": "lmtp.example.org:24", "password-file": f"{passwords}/second.example.net"},
        "second.example.net-2": {
            "timeout": "60s", "user": "keep", "max-size": "100000", "host": "real.example.net", "keep": "yes",
            "ca-file": "/etc/ca.pem", "password-file": f"{passwords}/second.example.net-2"},
        "second.example.net-3": {
            "timeout": "60s", "user": "jack", "max-size": "100000", "host": "real.example.net",
            "rcpt": "me@localhost", "smtp": "smtp://localhost", "smtp-tls": "no"}}
    assert b"line 9: fetchlimit has no counterpart" in result.stdout
    assert b"imap.example.net is not fetched by POP3: left out" in result.stderr
    assert b"set daemon 300" in result.stderr
    assert b"secret1" not in result.stdout + result.stderr


def test_a_password_is_taken_as_it_was_meant(home):
    (home.folder / "rc").write_text(r"""poll h proto pop3 user u pass "a\x20\98\0143\\z\q" ssl""")
    assert home.run("--import", home.folder / "rc").returncode == 0
    path = home.folder / ".config/restante/passwords/h"
    assert path.read_bytes() == b"a b\x0c3\\zq" and path.stat().st_mode & 0o777 == 0o600
    assert (home.folder / ".config/restante/conf.d/h.conf").stat().st_mode & 0o777 == 0o600


def test_settings_of_mpop(home):
    text = """
defaults
tls on
timeout off
account base
host pop.example.org
user joe
passwordeval "gpg -q -d ~/.secret.gpg"
tls_fingerprint """ + ":".join(["AB"] * 32) + """
delivery mbox ~/Mail/inbox
skipsize 5m
account more : base
  tls_starttls off
user jane
auth xoauth2
filter if [ %S -gt 5 ]; then exit 2; fi
delivery mda "/usr/bin/procmail -f '%F' -d $USER"
killsize 9k
uidls_file ~/uids-%U-%H
account default : base
"""
    accounts, result = sections(home, text)
    base = {"host": "pop.example.org", "user": "joe", "fingerprint": ":".join(["AB"] * 32), "max-size": "5M",
            "mbox": "~/Mail/inbox", "tls": "stls", "password-command": "gpg -q -d ~/.secret.gpg"}
    assert accounts["base"] == base and sorted(accounts) == ["base", "more"]
    more = accounts["more"]
    assert more["token-command"] == base["password-command"] and "password-command" not in more
    assert "tls" not in more and "mbox" not in more and more["user"] == "jane" and more["auth"] == "xoauth2"
    assert more["pipe"] == "/usr/bin/procmail -f 'MAILER-DAEMON' -d $USER"
    assert more["filter"] == ("( if [ $RESTANTE_OCTETS -gt 5 ]; then exit 2; fi ) >/dev/null; "
                              "case $? in 0) echo take;; 1) echo delete;; 2) echo leave;; esac")
    assert b"killsize has no counterpart" in result.stdout
    assert b"uids-jane-pop.example.org does not exist" in result.stderr


def test_settings_of_getmail(home):
    text = """
[retriever]
type = SimplePOP3SSLRetriever
server = pop.example.org
username = me@example.org
password_command = ("/usr/bin/pass", "show it",
    'a"b')
ca_certs = ${HOME}/ca.pem
ssl_fingerprints = ('""" + "ab" * 32 + """',)
[destination]
type = MDA_external
path = /usr/bin/maildrop
arguments = ("-d", "%(recipient)")
[options]
delete_after = 14
max_message_size = 1000000
[filter-1]
type = Filter_external
"""
    accounts, result = sections(home, text, "work")
    assert accounts == {"work": {
        "host": "pop.example.org", "user": "me@example.org", "password-command": "/usr/bin/pass 'show it' 'a\"b'",
        "ca-file": "~/ca.pem", "fingerprint": "ab" * 32, "pipe": "/usr/bin/maildrop -d '%(recipient)'",
        "keep": "14d", "max-size": "1000000"}}
    assert b"%(sender) or %(recipient)" in result.stdout and b"a filter has no counterpart" in result.stdout
    assert b"oldmail-pop.example.org-995-me@example.org does not exist" in result.stderr


def test_settings_of_fdm(home):
    (home.folder / "more.conf").write_text("""
account "second" disabled pop3s server $host user "x" pass $(pass show "mail (x)") no-verify
""")
    text = r"""
set maximum-size 20M
$host = "pop.\xexample.org" # macro
%port = 1110
ifdef $none
account "hidden" pop3 server "hidden.example.org"
endif
account "first" users { "a" "b" } pop3 server "${host}" port %port user "me\"" pass 'p"${host}' starttls
    new-only cache "%h/.fdm.cache" keep
include "more.conf"
account "letters" imaps server "imap.example.org"
action "in" mbox "%h/mbox"
action "other" { maildir "x" keep }
match account "first" action "other"
match all action "in"
"""
    accounts, result = sections(home, text)
    passwords = home.folder / ".config/restante/passwords"
    assert accounts == {
        "first": {"host": "pop.xexample.org", "port": "1110", "user": 'me"', "tls": "stls", "keep": "yes",
                  "max-size": "20971520", "password-file": f"{passwords}/first"},
        "second": {"host": "pop.xexample.org", "user": "x", "password-command": 'pass show "mail (x)"',
                   "max-size": "20971520"}}
    assert b"restante has no rules" in result.stdout and b"no-verify" in result.stdout
    assert b"not fetched by POP3 is left out" in result.stderr


@pytest.mark.parametrize("program,text,said", [
    ("fetchmail", 'poll h proto pop3\nuser "x', "rc:2: a quoted text is not closed; write"),
    ("fetchmail", "poll h\nuser x pass my:topsecret", "rc:2: there is a word that fetchmail has not; put"),
    ("fetchmail", "poll h port many", "rc:1: the port is not known; write its number"),
    ("mpop", "host h", "rc:1: a command before the first account; write"),
    ("mpop", "account a\nhosts h", "rc:2: mpop has no such command; mpop(1) lists them"),
    ("mpop", "account a : b", "rc:1: this account is to be like one that is not above it; move"),
    ("mpop", "account a\neval echo host x", "rc:2: eval is not run here; write what it prints"),
    ("getmail", "[retriever\n", "rc:1: a section's name is not closed; write its ]"),
    ("getmail", "[options]\nno value", "rc:2: neither a section nor a value; write"),
    ("getmail", "[retriever]\ntype=SimplePOP3Retriever\nserver=h\nport=x", "rc:4: port takes a number"),
    ("fdm", 'account "a" pop3 server', "is missing here; correct it, as fdm.conf(5) has it"),
    ("fdm", 'include "nowhere.conf"', "rc:1: the included file cannot be read; correct its name"),
    ("fdm", "endif", "rc:1: endif without ifdef; remove it"),
])
def test_mistakes_name_line_and_remedy(home, program, text, said):
    path = home.folder / "rc"
    path.write_text(text)
    result = home.run("--import", path, "--import-from", program)
    assert result.returncode == 78 and said in result.stderr.decode(), result.stderr
    assert b"topsecret" not in result.stderr
    assert not (home.folder / ".config").exists()


@pytest.mark.parametrize("program,ids,said", [
    ("fetchmail", b"u@h one\nnonsense\n", "ids:2: this is no line of fetchmail's"),
    ("mpop", b" 2 h u\none\n", "ids:2: the file ends before the list does"),
    ("mpop", b"one\n", "ids:1: a list of ids is shorter or longer"),
    ("fdm", b"3 one\n9 two\n", "ids:2: this is no line of fdm's"),
    ("fdm", b"2 one\n", "ids:1: the id is longer than its length says"),
])
def test_mistakes_in_what_was_remembered(home, program, ids, said):
    path = home.folder / "ids"
    path.write_bytes(ids)
    text = {"fetchmail": f'set idfile "{path}"\npoll h proto pop3 user u ssl',
            "mpop": f"account a\nhost h\nuser u\nuidls_file {path}",
            "fdm": f'account "a" pop3 server "h" user "u" pass "x" cache "{path}"\nmatch all action "x"'}[program]
    (home.folder / "rc").write_text(text)
    result = home.run("--import", home.folder / "rc")
    assert result.returncode == 78 and said in result.stderr.decode(), result.stderr
    assert not (home.folder / ".config").exists()


def test_an_account_that_is_there_stays_as_it_is(home):
    path = home.configure({"mine": {"host": "h", "user": "u", "keep": "yes"}, "label": {"host": "other", "user": "x"}})
    before = path.read_bytes()
    (home.folder / "ids").write_text("u@h one\nu@h two\nx@elsewhere three\n")
    (home.folder / "rc").write_text(f'set idfile "{home.folder}/ids"\npoll label via h proto pop3 user u pass x ssl\n'
                                    "poll label2 via elsewhere proto pop3 user x ssl\npoll other-label via third proto "
                                    "pop3 user label ssl\n")
    result = home.run("--import", home.folder / "rc")
    assert result.returncode == 0, result.stderr
    assert b"mine: it stays as it is in " in result.stdout and b"mine: 2 messages of " in result.stdout
    assert path.read_bytes() == before
    assert sorted(p.name for p in (home.folder / ".config/restante/conf.d").iterdir()) == ["label2.conf",
                                                                                           "other-label.conf"]
    assert (home.state / "mine.db").exists()
    assert not (home.folder / ".config/restante/passwords").exists()


def test_what_is_no_configuration_of_theirs(home):
    (home.folder / "rc").write_text("nothing\n")
    result = home.run("--import", home.folder / "rc")
    assert result.returncode == 78 and b"write --import-from PROGRAM if it is one" in result.stderr
    assert home.run("--import", home.folder / "rc", "--import-from", "mutt").returncode == 64
    assert home.run("--import", home.folder / "rc", "account").returncode == 64
    assert home.run("--import", home.folder / "none").returncode != 0

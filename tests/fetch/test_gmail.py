# SPDX-License-Identifier: MIT
"""restante fetch --gmail, against a server that behaves as Google's reference says."""

import calendar
import re
import subprocess

import pytest

import maildir
import provider
import restante
from gmail_provider import GmailProvider
from letters import LETTERS
from retriever import Home
from scripted import Scripted

OCTETS = b"Message-ID: <m%d@x.example>\r\nDate: Mon, 2 Jan 2023 03:04:05 +0100\r\nSubject: %d\r\n\r\n.body\r\n"


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    (home.folder / "token").write_text("good\n")
    return home


def messages(count):
    return [(b"m%d" % number, OCTETS % (number, number)) for number in range(1, count + 1)]


def arguments(home, pop3, gmail, *more):
    return home.account(pop3.port, "--gmail-url", gmail.base, "--gmail-token-command", f"cat {home.folder}/token", *more,
                        target=("--gmail", gmail.user))


def fetch(home, pop3, gmail, *more):
    return home.run(*arguments(home, pop3, gmail, *more))


@pytest.mark.sanitized
def test_the_whole_corpus_arrives_octet_for_octet(home):
    letters = [maildir.on_the_wire(octets) for octets in LETTERS.values()]
    with GmailProvider() as gmail, Scripted([(b"l%d" % n, octets) for n, octets in enumerate(letters)]) as pop3:
        result = fetch(home, pop3, gmail)
        assert result.returncode == 0, result.stderr
        assert not pop3.messages
    own = re.compile(rb"\AMessage-ID: <[0-9a-f]{32}@restante\.invalid>\r\n")
    without = [octets for octets in letters if not re.search(rb"(?im)^message-id:", octets.partition(b"\r\n\r\n")[0])]
    come = gmail.raw()
    assert sorted(own.sub(b"", octets) for octets in come) == sorted(letters)
    assert sum(bool(own.match(octets)) for octets in come) == len(without)


@pytest.mark.sanitized
def test_labels_and_dates(home):
    with GmailProvider() as gmail, Scripted(messages(2)) as pop3:
        result = fetch(home, pop3, gmail, "--gmail-label", 'Old "place"')
        assert result.returncode == 0, result.stderr
        assert [message["labelIds"] for message in gmail.mail] == [["INBOX", "UNREAD", "Label_3"]] * 2
        assert {message["internalDate"] for message in gmail.mail} == {calendar.timegm((2023, 1, 2, 2, 4, 5))}
        assert {message["neverMarkSpam"] for message in gmail.mail} == {"false"}
        pop3.messages.update({3: messages(3)[2]})
        assert fetch(home, pop3, gmail, "--gmail-label", 'old "PLACE"', "--gmail-never-spam").returncode == 0
        assert gmail.mail[2]["labelIds"] == ["INBOX", "UNREAD", "Label_3"]
        assert gmail.mail[2]["neverMarkSpam"] == "true" and len(gmail.labels) == 4


@pytest.mark.sanitized
def test_a_large_message_goes_on_where_it_was_cut(home):
    large = OCTETS % (1, 1) + b"x" * 70 * 90000 + b"\r\n"
    with GmailProvider() as gmail, Scripted([(b"a", large)]) as pop3:
        gmail.cut_upload_at = 1_000_000
        result = fetch(home, pop3, gmail)
        assert result.returncode == 0, result.stderr
        assert gmail.raw() == [large] and not pop3.messages
        assert [method for method, _ in gmail.requests] == ["POST", "PUT", "PUT", "PUT"]


@pytest.mark.parametrize("fault", ["lost", "late", "short", (503, "backendError", {}), (500, "backendError", {})])
def test_what_is_unclear_is_looked_up(home, fault):
    with GmailProvider() as gmail, Scripted(messages(2)) as pop3:
        gmail.faults.append(("POST", "import", fault))
        result = fetch(home, pop3, gmail)
        assert result.returncode == 0, result.stderr
        assert gmail.raw() == [OCTETS % (n, n) for n in (1, 2)]
        assert sum("rfc822msgid" in path for _, path in gmail.requests) == 1


@pytest.mark.parametrize("fault", [(429, "rateLimitExceeded", {"Retry_After": "1"}), (403, "userRateLimitExceeded", {})])
def test_a_limit_is_waited_for(home, fault):
    with GmailProvider() as gmail, Scripted(messages(2)) as pop3:
        gmail.faults.append(("POST", "import", fault))
        result = fetch(home, pop3, gmail)
        assert result.returncode == 0, result.stderr
        assert len(gmail.mail) == 2 and not any("rfc822msgid" in path for _, path in gmail.requests)


def test_a_limit_of_the_day_ends_the_run_softly(home):
    with GmailProvider() as gmail, Scripted(messages(3)) as pop3:
        gmail.faults.append(("POST", "import", (403, "dailyLimitExceeded", {"Retry_After": "3600"})))
        result = fetch(home, pop3, gmail)
        assert result.returncode == 75 and b"dailyLimitExceeded" in result.stderr, result.stderr
        assert b"\x1b" not in result.stderr and set(pop3.messages) == {1, 2, 3}
        assert fetch(home, pop3, gmail).returncode == 0
        assert gmail.raw() == [OCTETS % (n, n) for n in (1, 2, 3)] and not pop3.messages


@pytest.mark.sanitized
def test_a_token_that_is_refused_is_asked_for_once_more(home):
    command = f"cat {home.folder}/token; echo good >{home.folder}/token"
    (home.folder / "token").write_text("old\n")
    with GmailProvider() as gmail, Scripted(messages(2)) as pop3:
        result = home.run(*home.account(pop3.port, "--gmail-url", gmail.base, "--gmail-token-command", command,
                                        target=("--gmail", gmail.user)))
        assert result.returncode == 0, result.stderr
        assert len(gmail.mail) == 2
        pop3.messages.update({3: messages(3)[2]})
        (home.folder / "token").write_text("bad\n")
        result = fetch(home, pop3, gmail)
        assert result.returncode == 77 and b"Gmail says 401" in result.stderr, result.stderr
        assert set(pop3.messages) == {3} and b"bad" not in result.stderr


def test_the_token_of_somebody_else(home):
    with GmailProvider(user="you@gmail.com") as gmail, Scripted(messages(1)) as pop3:
        gmail.user, named = "me@gmail.com", gmail.user
        process = arguments(home, pop3, gmail)
        result = home.run(*[named if word == gmail.user else word for word in process])
        assert result.returncode == 69 and b"Delegation denied" in result.stderr, result.stderr
        assert gmail.mail == [] and set(pop3.messages) == {1}


@pytest.mark.sanitized
@pytest.mark.parametrize("fault", [(400, "invalidArgument", {}), (413, "uploadTooLarge", {})])
def test_a_message_that_is_refused(home, fault):
    with GmailProvider() as gmail, Scripted(messages(3)) as pop3:
        for run in range(1, 4):
            gmail.faults.append(("POST", "import", fault))
            result = fetch(home, pop3, gmail, "--json")
            assert result.returncode == 69, result.stderr
            outcomes = [event["outcome"] for event in home.events(result) if event["event"] == "message"
                        and event["number"] == 1]
            assert outcomes == ["refused" if run < 3 else "quarantined"]
        assert set(pop3.messages) == {1} and gmail.raw() == [OCTETS % (n, n) for n in (2, 3)]
    copy, = (home.state / "alice@127.0.0.1.quarantine").glob("*.eml")
    assert copy.read_bytes() == OCTETS % (1, 1)


def test_an_endpoint_that_hangs_or_is_not_there(home):
    with Scripted(messages(1)) as pop3:
        with GmailProvider() as gmail:
            pass
        result = fetch(home, pop3, gmail)
        assert result.returncode == 75 and set(pop3.messages) == {1}, result.stderr
        with GmailProvider() as gmail:
            gmail.faults.append(("POST", "import", "hang"))
            process = home.start(*arguments(home, pop3, gmail))
            restante.wait_until(lambda: any("import" in path for _, path in gmail.requests), "the import")
            process.kill()
            process.communicate(timeout=60)
            assert gmail.mail == [] and set(pop3.messages) == {1}
            assert fetch(home, pop3, gmail).returncode == 0
            assert len(gmail.mail) == 1 and not pop3.messages


@pytest.mark.sanitized
@pytest.mark.parametrize("faults,where", [
    ([("GET", "labels", "hang")], "labels"),
    ([("POST", "import", "hang")], "import"),
    ([("POST", "import", "late"), ("GET", "rfc822msgid", "hang")], "rfc822msgid"),
])
def test_a_signal_ends_the_waiting_for_an_answer(home, faults, where):
    """Google's stand-in is silent for a minute, and may be for longer; the next run finds out what came of it."""
    with GmailProvider() as gmail, Scripted(messages(2)) as pop3:
        gmail.faults += faults
        process = home.start(*arguments(home, pop3, gmail, "--gmail-label", "old"))
        restante.wait_until(lambda: any(where in path for _, path in gmail.requests), where)
        process.terminate()
        _, said = process.communicate(timeout=40)
        assert process.returncode == 75 and b"interrupted; what Gmail has confirmed is stored" in said, said
        assert not restante.REPORT.search(said.decode()) and set(pop3.messages) == {1, 2}
        assert fetch(home, pop3, gmail, "--gmail-label", "old").returncode == 0
        assert sorted(gmail.raw()) == [OCTETS % (n, n) for n in (1, 2)] and not pop3.messages


def test_a_signal_ends_the_waiting_for_a_token(home):
    with GmailProvider() as gmail, Scripted(messages(1)) as pop3:
        process = home.start(*home.account(pop3.port, "--gmail-url", gmail.base, "--gmail-token-command",
                                           f"echo >{home.folder}/asked; exec sleep 60", target=("--gmail", gmail.user)))
        restante.wait_until((home.folder / "asked").exists, "the command")
        process.terminate()
        process.communicate(timeout=40)
        assert process.returncode == 75 and set(pop3.messages) == {1}
        assert gmail.requests == []


@pytest.mark.parametrize("fault", ["lost", "late"])
def test_a_run_that_is_killed_gives_each_message_once(home, fault):
    """Killed while Google has, or has not, what was sent."""
    with GmailProvider() as gmail, Scripted(messages(4)) as pop3:
        gmail.faults += [("POST", "import", fault), ("GET", "rfc822msgid", "hang")]
        process = home.start(*arguments(home, pop3, gmail))
        restante.wait_until(lambda: any("rfc822msgid" in path for _, path in gmail.requests), "the look-up")
        process.kill()
        process.communicate(timeout=60)
        assert set(pop3.messages) == {1, 2, 3, 4} and len(gmail.mail) == (1 if fault == "late" else 0)
        result = fetch(home, pop3, gmail)
        assert result.returncode == 0, result.stderr
        assert sorted(gmail.raw()) == [OCTETS % (n, n) for n in (1, 2, 3, 4)] and not pop3.messages


@pytest.mark.parametrize("lines,words", [
    ("gmail = me", b"write the address of the mailbox"),
    ("gmail = me@gmail.com", b"oauth-client-id"),
    ("gmail = me@gmail.com\ngmail-url = http://example.org\ngmail-token-command = x", b"write https://"),
    ("gmail = me@gmail.com\ngmail-token-command = x\nmaildir = x", b"mail can go to one place"),
    ("maildir = x\ngmail-label = u", b"write gmail = ADDRESS too"),
])
def test_mistakes(home, lines, words):
    path = home.folder / "fetch.conf"
    path.write_text(f"[work]\nhost = pop.example.org\nuser = alice\n{lines}\n")
    result = home.run("-c", path)
    assert result.returncode == 78 and words in result.stderr and b"fetch.conf:" in result.stderr, result.stderr


PAGE = (restante.ROOT / "docs/gmail.md").read_text()
STEPS = ["secrets", "authorize", "first", "cron"]


def block(kind):
    return re.search(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]


class Google(provider.Provider):
    """Takes the secret in the body, as Google does, and gives the token that the mailbox wants."""

    def _is_known(self, request, form):
        return (form.get("client_id"), form.get("client_secret")) == (provider.CLIENT, self.secret)

    def _tokens(self, refresh=None):
        status, answer = super()._tokens(refresh)
        self.gmail.token = answer["access_token"]
        return status, answer


@pytest.mark.sanitized
def test_the_page_word_by_word(home):
    """docs/gmail.md; only the places of the servers, and the client's id, are others."""
    assert re.findall(r"^```sh (\w+)$", PAGE, re.MULTILINE) == STEPS
    binaries = home.folder / "bin"
    binaries.mkdir()
    (binaries / "restante").symlink_to(restante.BINARY)
    table = home.folder / "crontab"
    (binaries / "crontab").write_text(f'#!/bin/sh\ncase $1 in -l) cat {table} ;; -) cat >{table}.new && mv {table}.new {table} ;; esac\n')
    (binaries / "crontab").chmod(0o755)
    with GmailProvider() as gmail, Google() as google, Scripted(messages(3)) as pop3:
        google.gmail = gmail
        environment = home.environment(PATH=f"{binaries}:{home.environment()['PATH']}", CLIENT_SECRET=google.secret,
                                       OLD_PASSWORD="secret")

        def run(text):
            return subprocess.run(["sh", "-ec", text], env=environment, capture_output=True, timeout=60)
        result = run(block("sh secrets"))
        assert result.returncode == 0, result.stderr
        configuration = block("conf account").replace("pop.example.org", "127.0.0.1").replace(
            "1234567890-abc.apps.googleusercontent.com", provider.CLIENT)
        configuration += (f"port = {pop3.port}\ntls = never\ngmail-url = {gmail.base}\n"
                          f"oauth-authorize-url = {google.base}/authorize\noauth-token-url = {google.base}/token\n")
        (home.folder / ".config/restante/fetch.conf").write_text(configuration)
        process = subprocess.Popen(["sh", "-ec", block("sh authorize")], env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        url = next(line for line in process.stderr if line.startswith(b"http")).decode().strip()
        asked = provider.pieces(url.partition("?")[2])["scope"].split()
        assert asked == re.findall(r"`(https://www\.googleapis\.com/auth/[^`]+)`", PAGE) and len(asked) == 3
        assert google.browse(google.visit(url)) == 200
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        dry, real = block("sh first").splitlines()
        result = run(dry)
        assert result.returncode == 0 and gmail.mail == [], result.stderr
        result = run(real)
        assert result.returncode == 0, result.stderr
        assert gmail.raw() == [OCTETS % (n, n) for n in (1, 2, 3)] and not pop3.messages
        assert {tuple(message["labelIds"]) for message in gmail.mail} == {("INBOX", "UNREAD", gmail.labels["old"])}
        result = run("set +e\n" + block("sh cron"))  # as typed: `crontab -l' fails where there is no table yet
        assert result.returncode == 0, result.stderr
        line = table.read_text()
        assert line.startswith("*/5 * * * * ")
        pop3.messages.update({4: messages(4)[3]})
        assert run(line.removeprefix("*/5 * * * * ")).returncode == 0
        assert gmail.raw()[3:] == [OCTETS % (4, 4)]

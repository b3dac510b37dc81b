# SPDX-License-Identifier: MIT
"""restante fetch --status, the commands on-new and on-error, and the metrics: nobody is left unaware that fetching
stopped."""

import fcntl
import json
import re
import stat
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

import retriever
from scripted import Scripted

EX_USAGE, EX_TEMPFAIL, EX_NOPERM, EX_CONFIG = 64, 75, 77, 78
REFUSED = {b"PASS": b"-ERR [AUTH] no such luck\r\n"}


@pytest.fixture
def home(tmp_path):
    return retriever.Home(tmp_path)


def messages(*numbers):
    return [(b"m%d" % number, b"Subject: %d\r\n\r\nbody\r\n" % number) for number in numbers]


def status(home, *arguments, exit_status=0):
    result = home.run("--status", "--json", *arguments)
    assert result.returncode == exit_status, result
    return {row["account"]: row for row in map(json.loads, result.stdout.splitlines())}


@pytest.mark.sanitized
def test_of_several_accounts(home):
    with Scripted(messages(1, 2)) as good, Scripted(answers=REFUSED) as bad:
        home.configure({"home": home.section(good.port, "home"), "work": home.section(bad.port, "work"),
                        "new": home.section(good.port, "new")})
        before = int(time.time())
        assert home.run("home", "work").returncode == EX_NOPERM
        rows = status(home, exit_status=EX_NOPERM)
        assert {name: row["state"] for name, row in rows.items()} == {
            "home": "well", "work": "failing", "new": "never fetched"}
        assert before <= rows["home"]["last_success"] <= time.time()
        assert rows["home"]["stored"] == 2 and rows["home"]["stored_octets"] == 40
        assert rows["home"]["next_attempt"] == 0 and "reason" not in rows["home"]
        assert rows["work"]["status"] == EX_NOPERM and rows["work"]["failures"] == 1
        assert "no such luck" in rows["work"]["reason"] and rows["work"]["last_success"] == 0
        assert status(home, "home") == {"home": rows["home"]}
        status(home, "new", exit_status=EX_TEMPFAIL)
        shown = home.run("--status").stdout.decode()
        assert re.search(r"^home +well +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d .* 2 \(40 octets\)$", shown, re.MULTILINE)
        assert re.search(r"^work +failing +- ", shown, re.MULTILINE)
        assert re.search(r"^ +since \d{4}-.*: .*no such luck$", shown, re.MULTILINE)
        bad.answers.clear()
        assert home.run("work").returncode == 0
        assert status(home, "home", "work")["work"]["state"] == "well"


def test_stale_after_a_time(home):
    with Scripted() as server:
        home.configure({"home": home.section(server.port, "home")})
        assert home.run().returncode == 0
        kept = home.state / "home.status"
        kept.write_text(re.sub(r"(?m)^success \d+$", f"success {int(time.time()) - 7200}", kept.read_text()))
        assert home.run("--status").returncode == 0  # nothing says how often it should be
        assert home.run("--status=3h").returncode == 0
        assert home.run("--status=1h").returncode == EX_TEMPFAIL
        # What a watcher left that no longer is.
        kept.write_text(re.sub(r"(?m)^interval \d+$", "interval 300", kept.read_text()))
        assert status(home, exit_status=EX_TEMPFAIL)["home"]["state"] == "stale"
        assert home.run("--status=soon").returncode == EX_USAGE


def test_while_a_run_has_the_state(home):
    with Scripted(messages(1)) as server:
        assert home.fetch(server.port).returncode == 0
        with open(home.state / "alice@127.0.0.1.lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            account = home.account(server.port)
            attempted = status(home, *account)["alice@127.0.0.1"]["last_attempt"]
            result = home.run(*account)
            assert result.returncode == EX_TEMPFAIL and b"another run" in result.stderr
            row = status(home, *account)["alice@127.0.0.1"]  # which is no failure of fetching
            assert row["state"] == "well" and row["last_attempt"] >= attempted


def test_what_broke_the_state_is_told(home):
    """The status is apart from the state, so that it can say that the state is broken."""
    with Scripted(messages(1)) as server:
        assert home.fetch(server.port).returncode == 0
        (home.state / "alice@127.0.0.1.db").write_bytes(b"no database" * 100)
        failed = home.fetch(server.port).returncode
        row = status(home, *home.account(server.port), exit_status=failed)["alice@127.0.0.1"]
        assert failed != 0 and row["failures"] == 1 and row["status"] == failed


def test_a_message_that_cannot_be_had_is_a_failure(home):
    with Scripted(messages(1, 2), {b"RETR 1": b"-ERR it is broken\r\n"}) as server:
        failed = home.fetch(server.port).returncode
        row = status(home, *home.account(server.port), exit_status=failed)["alice@127.0.0.1"]
        assert failed != 0 and row["stored"] == 1 and "it is broken" in row["reason"]


def test_what_changes_nothing_is_not_counted(home):
    with Scripted(messages(1)) as server:
        for option in ("--dry-run", "--headers"):
            assert home.fetch(server.port, option, "--on-new", f"touch {home.folder}/ran").returncode == 0
        assert not home.state.exists() and not (home.folder / "ran").exists()


def variables(path):
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if re.match(r"RESTANTE_\w+=", line))


@pytest.mark.sanitized
def test_on_new(home):
    path = home.folder / "told"
    with Scripted(messages(1, 2)) as server:
        command = f"env >>{path}; echo much; yes | head -c 20000"
        result = home.fetch(server.port, "--on-new", command)
        assert result.returncode == 0 and b"on-new" not in result.stderr
        assert variables(path).items() >= {
            "RESTANTE_ACCOUNT": "alice@127.0.0.1", "RESTANTE_STORED": "2", "RESTANTE_OCTETS": "40",
            "RESTANTE_TARGET": str(home.maildir)}.items()
        assert "secret" not in path.read_text()
        path.unlink()
        assert home.fetch(server.port, "--on-new", command).returncode == 0
        assert not path.exists()  # nothing is new


@pytest.mark.sanitized
def test_on_error(home):
    path = home.folder / "told"
    command = f"env | grep ^RESTANTE_ >>{path}"

    def fetch():
        path.unlink(missing_ok=True)
        home.fetch(server.port, "--on-error", command)
        return variables(path) if path.exists() else None

    with Scripted(answers=REFUSED) as server:
        told = fetch()
        assert told["RESTANTE_ACCOUNT"] == "alice@127.0.0.1" and told["RESTANTE_STATUS"] == str(EX_NOPERM)
        assert "no such luck" in told["RESTANTE_ERROR"]
        assert fetch() is None  # it is known
        server.answers[b"PASS"] = b"-ERR [SYS/TEMP] later\r\n"
        assert fetch()["RESTANTE_STATUS"] == str(EX_TEMPFAIL)  # another kind
        server.answers[b"PASS"] = b"-ERR [IN-USE] another has it\r\n"
        assert fetch() is None
        server.answers[b"PASS"] = b"-ERR [SYS/TEMP] later\r\n"
        assert fetch() is None  # as before
        del server.answers[b"PASS"]
        assert fetch() is None
        server.answers |= REFUSED
        assert fetch()["RESTANTE_STATUS"] == str(EX_NOPERM)


def test_commands_that_fail_change_nothing(home):
    with Scripted(messages(1)) as server:
        result = home.fetch(server.port, "--on-new", "exit 3")
        assert result.returncode == 0 and b"on-new: `exit 3' ended with status 3" in result.stderr
        server.answers |= REFUSED
        result = home.fetch(server.port, "--on-error", "kill -9 $$")
        assert result.returncode == EX_NOPERM and b"on-error: `kill -9 $$' was ended by signal 9" in result.stderr


def samples(path):
    """As Prometheus reads it; a line that it would not take is an error."""
    families = list(text_string_to_metric_families(path.read_text()))
    assert all(family.documentation and family.type in ("gauge", "counter") for family in families)
    assert len({family.name for family in families}) == len(families)
    return {(sample.name, sample.labels["account"]): sample.value for family in families for sample in family.samples}


@pytest.mark.sanitized
def test_metrics(home):
    path = home.folder / "restante.prom"
    odd = 'a "b" \\c'
    with Scripted(messages(1, 2)) as server:
        home.configure({name: home.section(server.port, "box") for name in ("home", odd)})
        before = int(time.time())
        assert home.run("home", "--prometheus", path).returncode == 0
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert {account for _, account in samples(path)} == {"home"}  # of this run
        server.answers |= REFUSED
        assert home.run("--prometheus", path, "-j", "1").returncode == EX_NOPERM
        got = samples(path)
        assert {account for _, account in got} == {"home", odd}
        assert before <= got["restante_fetch_last_success_timestamp_seconds", "home"] <= time.time()
        assert got["restante_fetch_last_success_timestamp_seconds", odd] == 0
        assert got["restante_fetch_last_attempt_timestamp_seconds", odd] >= before
        assert got["restante_fetch_consecutive_failures", odd] == 1
        assert got["restante_fetch_up", "home"] == got["restante_fetch_up", odd] == 0
        assert got["restante_fetch_stored_messages_total", "home"] == 2
        assert got["restante_fetch_stored_bytes_total", "home"] == 40
        path.unlink()
        assert home.run("--status", "--prometheus", path).returncode == EX_NOPERM
        assert samples(path) == got


def test_metrics_that_cannot_be_written_are_told(home):
    with Scripted(messages(1)) as server:
        result = home.fetch(server.port, "--prometheus", home.folder / "nowhere/x.prom")
        assert result.returncode == 0 and len(home.mail()) == 1
        assert b"the metrics cannot be written: " in result.stderr


def test_a_status_that_cannot_be_kept_is_told(home):
    with Scripted(messages(1)) as server:
        assert home.fetch(server.port).returncode == 0
        (home.state / "alice@127.0.0.1.status").unlink()
        (home.state / "alice@127.0.0.1.status").mkdir()
        server.answers |= REFUSED
        result = home.fetch(server.port, "--on-error", f"touch {home.folder}/told")
        assert result.returncode == EX_NOPERM and b"the status cannot be kept: " in result.stderr
        assert (home.folder / "told").exists()
        assert home.run("--status", *home.account(server.port)).returncode != 0

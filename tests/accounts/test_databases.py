# SPDX-License-Identifier: MIT
"""Accounts in SQLite and in a real PostgreSQL: one query, bound parameters, and what goes wrong."""

import re
import secrets
import time

import pytest

import databases
import memory
import restante
from authority import Authority
from scram import Scram, Speaker, apop, authenticate, b64, verifier

AUTH = b"-ERR [AUTH]"
TEMPORARY = b"-ERR [SYS/TEMP]"
HOSTILE = ["O'Brien", "'", "''", "\"", "a\"b", "100%", "%", "_", "*", "*()", "(|(uid=*))", "back\\slash", "\\", "\\'",
           "'; DROP TABLE people; --", "' OR '1'='1", "alice'--", "alice';", "a;b", ":user", ":name::text", "$1",
           "?1", "$$", "{PLAIN}", "a:b", "a,b", "a=b", "a b", "\u00e4\u20ac\U0001f4ec", "\u00e9", "%n%u%s",
           "alice@example.org", "a@b@c", "--", "NULL", "a" * 255]


@pytest.fixture(scope="module")
def postgresql():
    database = databases.PostgreSQL()
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, world):
    """With alice and her password in it."""
    if request.param == "sqlite":
        made = databases.Sqlite(world)
        request.addfinalizer(made.close)
    else:
        made = request.getfixturevalue("postgresql")
        made.execute("DELETE FROM people")
    made.put(name="alice", password="{PLAIN}secret")
    return made


def configure(world, database, source=None, accounts=None, **sections):
    world.configure(accounts={"source": source or database.name, "file": None, "source-processes": "2",
                              **database.settings(), **(accounts or {})}, **sections)


def serve(world, database, **options):
    configure(world, database, **options)
    return world.start()


def try_plain(server, user, password):
    """The answer to AUTH PLAIN, which takes any octets."""
    octets = [part if isinstance(part, bytes) else part.encode() for part in (user, password)]
    with server.client() as client:
        return client.command(b"AUTH PLAIN " + b64(b"\0" + b"\0".join(octets)))


def log_in(server, user, password):
    reply = try_plain(server, user, password)
    assert reply.startswith(b"+OK"), (user, reply, server.log())


@pytest.mark.sanitized
def test_mail_is_read(world, database):
    world.put(b"Subject: hello\n\nhi\n")
    server = serve(world, database)
    with server.login() as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")
        client.quit()
    assert try_plain(server, "alice", "wrong").startswith(AUTH)
    assert try_plain(server, "bob", "secret").startswith(AUTH)


@pytest.mark.sanitized
def test_no_octet_of_a_name_is_read_as_sql(world, database):
    # The check of a name that is not there takes as long as one of this, and it is done often.
    database.put(name="alice", password=verifier("SCRAM-SHA-256", b"secret", iterations=4096))
    server = serve(world, database)
    log_in(server, "alice", "secret")
    for name in HOSTILE:
        for password in ("secret", "", name, "' OR 1=1 --"):
            assert try_plain(server, name, password).startswith(AUTH), name
    assert database.rows() == 1
    passwords = {name: secrets.token_hex(8) for name in HOSTILE}
    database.put_all({"name": name, "password": "{PLAIN}" + password} for name, password in passwords.items())
    for name, password in passwords.items():
        log_in(server, name, password)
        assert try_plain(server, name, "secret").startswith(AUTH), name
    assert database.rows() == 1 + len(HOSTILE)


def test_names_that_are_no_text_are_nobodys(world, database):
    server = serve(world, database)
    for name in (b"\xff", b"alice\x80", b"\xed\xa0\x80", b"\xc0\xa7 OR 1=1", b"a\xf4\x90\x80\x80"):
        assert try_plain(server, name, "secret").startswith(AUTH), name
    log_in(server, "alice", "secret")


@pytest.mark.parametrize("password", ["plain", "scram"])
def test_exchanges_that_do_not_send_the_password(world, database, password):
    row = "{PLAIN}secret" if password == "plain" else verifier("SCRAM-SHA-256", b"secret")
    database.put(name="alice", password=row)
    server = serve(world, database, pop3={"mechanisms": "SCRAM-SHA-256, APOP, PLAIN"})
    for word, good in ((b"secret", True), (b"wrong", False)):
        with server.client() as client:
            exchange = Scram("SCRAM-SHA-256", b"alice", word)
            reply = authenticate(Speaker(client), exchange)
            assert reply.startswith(b"+OK" if good else AUTH), (reply, server.log())
        with server.client() as client:
            reply = client.command(apop(b"alice", word, client.greeting))
            assert reply.startswith(b"+OK" if good and password == "plain" else AUTH), (reply, server.log())
    log_in(server, "alice", "secret")


def test_a_changed_row_counts_at_once(world, database):
    server = serve(world, database)
    log_in(server, "alice", "secret")
    database.put(name="alice", password="{PLAIN}other")
    assert try_plain(server, "alice", "secret").startswith(AUTH)
    log_in(server, "alice", "other")
    database.put(name="alice", password=None)
    assert try_plain(server, "alice", "other").startswith(AUTH)
    assert try_plain(server, "alice", "").startswith(AUTH)
    database.execute("DELETE FROM people")
    assert try_plain(server, "alice", "other").startswith(AUTH)


def test_the_name_in_the_row_is_the_name(world, database):
    """Whoever types a name in another way has the same maildrop, lock and limits."""
    world.put(b"Subject: hello\n\nhi\n")
    server = serve(world, database, accounts={
        f"{database.name}-query": "SELECT name, password FROM people WHERE name = lower(:user)"})
    with server.login(b"ALICE") as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")
        assert try_plain(server, "alice", "secret").startswith(b"-ERR [IN-USE]")


def test_delivery_finds_the_maildrop(world, database):
    """Also of an account that is locked, and below a home."""
    shared = world.folder / "shared"
    home = world.folder / "home"
    for folder in (shared, home):
        folder.mkdir()
        world.own(folder)
    database.put_all([{"name": "alice", "password": "{PLAIN}secret", "maildrop": shared / "alice"},
                      {"name": "bob", "password": None, "maildrop": "~/Maildir", "home": home},
                      {"name": "carol", "password": "{PLAIN}secret"}])
    server = serve(world, database, maildrop={"roots": f"{shared}, {home}"})
    for user, folder in (("alice", shared / "alice"), ("bob", home / "Maildir"), ("carol", world.mail / "carol")):
        result = world.run("deliver", "-c", world.configuration_file, user, input=b"Subject: hello\n\nhi\n")
        assert result.returncode == 0, result.stderr
        assert len(list((folder / "new").iterdir())) == 1
    result = world.run("deliver", "-c", world.configuration_file, "dave", input=b"Subject: hello\n\nhi\n")
    assert result.returncode == 67, result.stderr
    with server.login() as client:
        assert client.ok(b"STAT").startswith(b"+OK 1 ")


def test_every_parameter_is_bound(world, database):
    """The query sees who asks, from where and for what."""
    cast = "host(:address::inet)" if database.name == "postgresql" else ":address"
    database.put(name="alice", password="{PLAIN}secret", extra="127.0.0.9")
    database.put(name="al'ice@example.org", password="{PLAIN}secret", extra="127.0.0.1")
    path = world.folder / "query.sql"
    path.write_text(f"""
-- it's a query of several lines, with :user in a comment
SELECT name, password /* " */
FROM people
WHERE name = :user AND (name = :name OR name = :name || '@' || :domain)
    AND :service = 'pop3' AND extra = {cast};
""")
    server = serve(world, database, accounts={f"{database.name}-query": path})
    log_in(server, "al'ice@example.org", "secret")
    assert try_plain(server, "alice", "secret").startswith(AUTH)
    with server.client(source="127.0.0.9") as client:
        client.login(b"alice")


def test_what_is_wrong_with_a_row_is_in_the_log(world, database):
    database.put(name="alice", password="secret")
    database.put(name="bob", password="{PLAIN}secret", maildrop="mail/bob")
    server = serve(world, database)
    assert try_plain(server, "alice", "secret").startswith(b"-ERR [SYS/")
    server.wait_log(rf"source {database.name}: user=alice: .*scheme")
    assert try_plain(server, "bob", "secret").startswith(b"-ERR [SYS/")
    server.wait_log(rf"source {database.name}: user=bob: .*Maildir")
    assert "secret" not in server.log()


def test_two_rows_let_nobody_in(world, database):
    server = serve(world, database, accounts={
        f"{database.name}-query": "SELECT :user AS name, password FROM people"})
    log_in(server, "alice", "secret")
    database.put(name="bob", password="{PLAIN}secret")
    assert try_plain(server, "alice", "secret").startswith(b"-ERR [SYS/")
    server.wait_log("more than one row")


def test_sources_are_asked_in_their_order(world, database):
    """Who is in both is the first's; a name that the first does not know is the second's."""
    world.write_accounts({"alice": "filed", "bob": "filed"})
    database.put(name="carol", password="{PLAIN}secret")
    both = {"file": world.accounts_file}
    server = serve(world, database, source=f"file, {database.name}", accounts=both)
    log_in(server, "alice", "filed")
    assert try_plain(server, "alice", "secret").startswith(AUTH)
    log_in(server, "carol", "secret")
    server.stop()
    server = serve(world, database, source=f"{database.name}, file", accounts=both)
    log_in(server, "alice", "secret")
    assert try_plain(server, "alice", "filed").startswith(AUTH)
    log_in(server, "bob", "filed")


def test_one_that_hangs_stalls_nobody_else(world, database):
    world.write_accounts({"bob": "filed"})
    server = serve(world, database, source=f"file, {database.name}",
                   accounts={"file": world.accounts_file, "source-timeout": "3s"})
    log_in(server, "alice", "secret")
    database.hang()
    try:
        with server.client() as waiting:
            waiting.ok(b"USER alice")
            waiting.send(b"PASS secret\r\n")
            for _ in range(5):
                log_in(server, "bob", "filed")
            assert waiting.reply().startswith(TEMPORARY)
    finally:
        database.go_on()
    restante.wait_until(lambda: try_plain(server, "alice", "secret").startswith(b"+OK"), "alice comes in again")


def test_a_temporary_error_is_no_unknown_name(world, database):
    """Else who is in the second source would come in under a name of the first."""
    world.write_accounts({"alice": "filed"})
    server = serve(world, database, source=f"{database.name}, file",
                   accounts={"file": world.accounts_file, "source-timeout": "3s"})
    log_in(server, "alice", "secret")
    database.hang()
    try:
        assert try_plain(server, "alice", "filed").startswith(TEMPORARY)
    finally:
        database.go_on()


def seconds_of(server, user, times):
    taken = []
    for _ in range(times):
        with server.client() as client:
            client.ok(b"USER " + user)
            begun = time.monotonic()
            assert client.command(b"PASS wrong").startswith(AUTH)
            taken.append(time.monotonic() - begun)
    return min(taken)


@pytest.mark.alone
def test_an_unknown_name_takes_as_long_as_a_known_one(world, database):
    """The check of this password takes a quarter of a second or more; a look-up some milliseconds."""
    database.put(name="alice", password=verifier("SCRAM-SHA-256", b"secret", iterations=500000))
    server = serve(world, database)
    log_in(server, "alice", "secret")
    known, unknown = seconds_of(server, b"alice", 5), seconds_of(server, b"nobody", 5)
    assert 0.5 < unknown / known < 2, (known, unknown)


def test_an_unknown_name_has_a_salt_too(world, database):
    """The same each time, and with the iterations that others have."""
    database.put(name="alice", password=verifier("SCRAM-SHA-256", b"secret", iterations=12345))
    server = serve(world, database, pop3={"mechanisms": "SCRAM-SHA-256, PLAIN"})
    log_in(server, "alice", "secret")
    seen = {}
    for name in (b"alice", b"alice", b"nobody", b"nobody", b"somebody"):
        with server.client() as client:
            exchange = Scram("SCRAM-SHA-256", name, b"wrong")
            assert authenticate(Speaker(client), exchange).startswith(AUTH)
            assert exchange.iterations == 12345 and len(exchange.salt) == 16
            assert seen.setdefault(name, exchange.salt) == exchange.salt
    assert len(set(seen.values())) == 3


@pytest.mark.skipif(not restante.IS_ROOT, reason="needs root: reads the memory of other processes")
def test_a_password_is_forgotten(world, database):
    password = secrets.token_hex(24)
    database.put(name="alice", password="{PLAIN}" + password)
    server = serve(world, database)
    log_in(server, "alice", password)
    with server.client() as client:
        client.ok(b"USER alice")
        assert client.command(b"PASS " + password[:-1].encode() + b"!").startswith(AUTH)
    for process in server.processes():
        found = memory.find(process.pid, password.encode(), password[4:20].encode())
        assert found == [], f"the password is in {process.command}"
    assert password not in server.log()


def check(world):
    result = world.run("check-config", "-c", world.configuration_file)
    return result.returncode, (result.stdout + result.stderr).decode()


@pytest.mark.parametrize("query, says", [
    ("SELECT name, password FROM people WHERE name = :usr", "write :user, :name, :domain"),
    ("/nonexistent/query.sql", "/nonexistent/query.sql"),
    (None, "-query is missing in section"),
])
def test_a_wrong_query_is_found_before_the_start(world, database, query, says):
    key = f"{database.name}-query"
    configure(world, database, accounts={key: query})
    line = next(number for number, text in
                enumerate(world.configuration_file.read_text().splitlines(), 1)
                if text.startswith((key, "source =") if query is None else key))
    code, text = check(world)
    assert code == 2 and re.search(rf"restante.conf:{line}: .*{re.escape(says)}", text), text


@pytest.mark.parametrize("query, says", [
    ("SELECT name, pass FROM people", "no such column: pass"),
    ("SELECT name, password FROM persons", "no such table"),
    ("SELECT name, password, name AS alias FROM people", "column alias that means nothing"),
    ("DELETE FROM people", "write SELECT"),
])
def test_sqlite_prepares_the_query_when_the_configuration_is_checked(world, query, says):
    database = databases.Sqlite(world)
    configure(world, database, accounts={"sqlite-query": query})
    code, text = check(world)
    assert code == 2 and re.search(rf"restante.conf:\d+: sqlite-query.*{re.escape(says)}", text), text
    database.path.unlink()
    code, text = check(world)  # it may come later
    assert code == 0 and "accounts.db" in text, text
    database.close()


def test_postgresql_says_what_is_wrong_with_a_query(world, postgresql):
    server = serve(world, postgresql, accounts={"postgresql-query": "SELECT name, pass FROM people"})
    assert try_plain(server, "alice", "secret").startswith(b"-ERR [SYS/")
    server.wait_log(r'source postgresql: user=alice: PostgreSQL: column "pass" does not exist')


@pytest.mark.parametrize("connection, says", [
    ("host=/run password=hunter2 dbname=x", "passfile="),
    ("postgresql://restante:hunter2@localhost/x", "passfile="),
    ("hunter2", "connection string"),
    ("hostname=/run", "hostname"),
])
def test_postgresql_passwords_are_not_in_the_configuration(world, postgresql, connection, says):
    configure(world, postgresql, accounts={"postgresql-connection": connection})
    code, text = check(world)
    assert code == 2 and re.search(rf"restante.conf:\d+: postgresql-connection.*{says}", text), text
    assert "hunter2" not in text


def over_tcp(database, **more):
    return database.connection(host="127.0.0.1", **more)


def private(world, name, text):
    path = world.folder / name
    path.write_text(text)
    path.chmod(0o600)
    world.own(path)
    return path


@pytest.mark.parametrize("how", ["passfile", "file"])
def test_postgresql_asks_for_a_password_from_a_private_file(world, postgresql, how):
    postgresql.execute("DELETE FROM people")
    postgresql.put(name="alice", password="{PLAIN}secret")
    if how == "passfile":
        path = private(world, "passfile", f"127.0.0.1:*:*:restante:{postgresql.password}\n")
        connection = over_tcp(postgresql, passfile=path)
    else:
        connection = private(world, "connection", over_tcp(postgresql, password=postgresql.password) + "\n")
    server = serve(world, postgresql, accounts={"postgresql-connection": connection})
    log_in(server, "alice", "secret")
    for process in server.processes():
        assert postgresql.password not in process.command
    assert postgresql.password not in server.log()
    postgresql.execute("ALTER ROLE restante PASSWORD 'another'")
    try:
        postgresql.stop()
        postgresql.start()
        assert try_plain(server, "alice", "secret").startswith(TEMPORARY)
        server.wait_log("password authentication failed")
        assert postgresql.password not in server.log()
    finally:
        postgresql.execute(f"ALTER ROLE restante PASSWORD '{postgresql.password}'")


def test_postgresql_connection_files_of_everybody_are_refused(world, postgresql):
    path = private(world, "connection", over_tcp(postgresql, password="hunter2"))
    path.chmod(0o644)
    configure(world, postgresql, accounts={"postgresql-connection": path})
    code, text = check(world)
    assert code == 2 and "chmod o=" in text and "hunter2" not in text, text


def test_postgresql_that_restarts_is_found_again(world, postgresql):
    postgresql.put(name="alice", password="{PLAIN}secret")
    server = serve(world, postgresql)
    log_in(server, "alice", "secret")
    postgresql.stop()
    assert try_plain(server, "alice", "secret").startswith(TEMPORARY)
    postgresql.start()
    log_in(server, "alice", "secret")
    postgresql.stop()  # this time nobody asks meanwhile
    postgresql.start()
    for _ in range(8):
        log_in(server, "alice", "secret")


def test_postgresql_that_is_away_lets_the_server_start(world, postgresql):
    postgresql.put(name="alice", password="{PLAIN}secret")
    configure(world, postgresql)
    postgresql.stop()
    try:
        server = world.start()
        assert try_plain(server, "alice", "secret").startswith(TEMPORARY)
    finally:
        postgresql.start()
    log_in(server, "alice", "secret")


def test_only_who_asks_postgresql_has_its_libraries(world, postgresql):
    postgresql.put(name="alice", password="{PLAIN}secret")
    server = serve(world, postgresql)
    log_in(server, "alice", "secret")
    for process in server.processes():
        try:
            with open(f"/proc/{process.pid}/maps") as maps:
                has_libpq = "libpq.so" in maps.read()
        except PermissionError:
            pytest.skip("needs root: looks at other processes")
        assert has_libpq == ("source" in process.command), process.command


def test_postgresql_over_tls(world):
    authority = Authority(world.folder)
    certificate, key = authority.issue("localhost", names="DNS:localhost,IP:127.0.0.1")
    world.own(key)
    other = world.folder / "other"
    other.mkdir()
    stranger = Authority(other)
    database = databases.PostgreSQL(certificate, key)
    try:
        database.put(name="alice", password=verifier("SCRAM-SHA-256", b"secret"))  # its connection is kept
        passfile = private(world, "passfile", f"127.0.0.1:*:*:restante:{database.password}\n")
        for root, good in ((authority.certificate, True), (stranger.certificate, False)):
            connection = over_tcp(database, passfile=passfile, sslmode="verify-full", sslrootcert=root)
            path = private(world, "connection", connection)
            server = serve(world, database, accounts={"postgresql-connection": path})
            assert try_plain(server, "alice", "secret").startswith(b"+OK" if good else TEMPORARY), server.log()
            if good:
                database.execute("DO $$ BEGIN ASSERT (SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity"
                                 " USING (pid) WHERE ssl AND usename = 'restante') > 0; END $$")
            else:
                server.wait_log("certificate verify failed")
            server.stop()
    finally:
        database.close()


PAGE = (restante.ROOT / "docs/database.md").read_text()


def block(kind):
    return re.search(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1]


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_docs_database_works_as_it_is_written(request, world, name):
    """Its SQL and its settings, but for the places."""
    if name == "sqlite":
        database = databases.Sqlite(world)
        request.addfinalizer(database.close)
        database.execute("DROP TABLE people")
        places = {"/var/lib/restante-accounts/accounts.db": database.path}
    else:
        database = databases.PostgreSQL()
        request.addfinalizer(database.close)
        database.execute("DROP TABLE people")
        places = {"host=/run/postgresql dbname=mail": f"host={database.folder} port={database.port} dbname=postgres"}
    database.execute(block(f"sql {name}"))
    text = block(f"ini {name}")
    for written, here in places.items():
        assert written in text
        text = text.replace(written, str(here))
    settings = dict(line.split(" = ", 1) for line in text.splitlines()[1:])
    world.configure(accounts={"file": None, **settings})
    server = world.start()
    log_in(server, "alice", "secret")
    log_in(server, "Alice", "secret")
    assert try_plain(server, "alice", "wrong").startswith(AUTH)
    if name == "postgresql":
        database.execute("SET ROLE \"restante-auth\"; DO $$ BEGIN PERFORM * FROM people; ASSERT false;"
                         " EXCEPTION WHEN insufficient_privilege THEN NULL; END $$")

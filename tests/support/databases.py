# SPDX-License-Identifier: MIT
"""Databases with accounts: an SQLite file, and Debian's PostgreSQL, unpacked by scripts/bootstrap.

Both have one table: what the columns of a query are called, `name` first."""

import os
import pathlib
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile

import packages
import peers
import restante

COLUMNS = ("name", "password", "maildrop", "uid", "gid", "home", "extra")
TABLE = ("CREATE TABLE people (name text PRIMARY KEY, password text, maildrop text, uid integer, gid integer,"
         " home text, extra text)")
QUERY = "SELECT * FROM people WHERE name = :user"


def quoted(value):
    """A value of SQL; only for tests, which know what is in it."""
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


class Database:
    """What both can do. `world` is whose server asks it."""

    def put(self, **row):
        """One row; all at once with `put_all`."""
        self.put_all([row])

    def put_all(self, rows):
        statements = []
        for row in rows:
            statements.append(f"DELETE FROM people WHERE name = {quoted(row['name'])}")
            statements.append(f"INSERT INTO people ({', '.join(row)})"
                              f" VALUES ({', '.join(map(quoted, row.values()))})")
        self.execute(";\n".join(statements))


class Sqlite(Database):
    name = "sqlite"

    def __init__(self, world):
        self.world = world
        self.folder = world.folder / "database"
        self.folder.mkdir()
        self.path = self.folder / "accounts.db"
        self.writer = sqlite3.connect(self.path, isolation_level=None)
        self.execute(TABLE)
        self.folder.chmod(0o755)
        self.path.chmod(0o644)

    def settings(self, query=QUERY):
        return {"sqlite-file": self.path, "sqlite-query": query}

    def execute(self, sql):
        self.writer.executescript(sql)

    def rows(self):
        return self.writer.execute("SELECT count(*) FROM people").fetchone()[0]

    def hang(self):
        """Nobody else can read it."""
        self.writer.execute("BEGIN EXCLUSIVE")

    def go_on(self):
        self.writer.execute("COMMIT")

    def close(self):
        self.writer.close()


def run_as_owner(command, **options):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True,
                          timeout=120, stdin=options.pop("stdin", subprocess.DEVNULL) if "input" not in options
                          else None, **PostgreSQL.identity(), **options)


class PostgreSQL(Database):
    """A cluster of its own in a temporary folder; at a socket in that folder and at a port of 127.0.0.1, where
    restante's password is asked for."""

    name = "postgresql"
    programs = packages.TEST_PEERS / "peers/usr/lib/postgresql/15/bin"

    def __init__(self, certificate=None, key=None):
        assert (self.programs / "postgres").exists(), \
            f"no {self.programs}/postgres: scripts/bootstrap test unpacks it"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="restante-pg-"))
        self.folder.chmod(0o755)
        if restante.IS_ROOT:  # PostgreSQL does not run as root
            os.chown(self.folder, restante.PLAIN_UID, restante.PLAIN_UID)
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self.port = peers.free_ports(1)[0]
        self.password = secrets.token_hex(12)
        self.process = None
        try:
            run_as_owner([self.programs / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust",
                          "--auth-host=scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"],
                         env=self.environment())
            (self.data / "postgresql.auto.conf").write_text(self.configuration(certificate, key))
            self.start()
            self.execute(TABLE)
            self.execute(f"CREATE ROLE restante LOGIN PASSWORD '{self.password}';"
                         "GRANT SELECT ON people TO restante")
        except BaseException:
            self.close()
            raise

    def configuration(self, certificate, key):
        lines = [f"port = {self.port}", "listen_addresses = '127.0.0.1'", "max_connections = 60",
                 f"unix_socket_directories = '{self.folder}'", "fsync = off", "shared_buffers = '1MB'",
                 "dynamic_shared_memory_type = mmap", "timezone = 'GMT'", "log_timezone = 'GMT'",
                 "max_wal_senders = 0", "wal_level = minimal", "autovacuum = off"]
        if certificate:
            lines += ["ssl = on", f"ssl_cert_file = '{certificate}'", f"ssl_key_file = '{key}'"]
        return "\n".join(lines) + "\n"

    @staticmethod
    def identity():
        if not restante.IS_ROOT:
            return {}
        return {"user": restante.PLAIN_UID, "group": restante.PLAIN_UID, "extra_groups": []}

    @staticmethod
    def environment():
        libraries = sorted((packages.TEST_PEERS / "peers/usr/lib").glob("*-linux-gnu"))
        return {"PATH": f"{PostgreSQL.programs}:/usr/bin:/bin", "LC_ALL": "C", "HOME": "/nonexistent",
                "LD_LIBRARY_PATH": ":".join(map(str, libraries))}

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=self.environment(), cwd="/", **self.identity())
        peers.await_sign(self.answers, self.process, self.log)

    def answers(self):
        return subprocess.run([self.programs / "pg_isready", "-q", "-h", self.folder, "-p", str(self.port)],
                              env=self.environment(), timeout=60, check=False).returncode == 0

    def stop(self):
        """At once, whoever is connected."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def connection(self, **more):
        """Through the socket, where nobody is asked for a password."""
        words = {"host": self.folder, "port": self.port, "dbname": "postgres", "user": "restante", **more}
        return " ".join(f"{key}={value}" for key, value in words.items())

    def settings(self, query=QUERY, connection=None):
        return {"postgresql-connection": connection or self.connection(), "postgresql-query": query}

    def execute(self, sql):
        run_as_owner([self.programs / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-p",
                      self.port, "-U", "postgres", "postgres"], input=sql, env=self.environment())

    def rows(self):
        return int(run_as_owner([self.programs / "psql", "-X", "-A", "-t", "-h", self.folder, "-p", self.port,
                                 "-U", "postgres", "-c", "SELECT count(*) FROM people", "postgres"],
                                env=self.environment()).stdout)

    def processes(self):
        """Itself and those that it made for who is connected."""
        found = [self.process.pid]
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    if restante.Process(name).parent == self.process.pid:
                        found.append(int(name))
                except (FileNotFoundError, ProcessLookupError):
                    pass
        return found

    def signal(self, number):
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def hang(self):
        """It takes connections still, for its kernel does, and says nothing."""
        self.signal(signal.SIGSTOP)

    def go_on(self):
        self.signal(signal.SIGCONT)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.go_on()
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

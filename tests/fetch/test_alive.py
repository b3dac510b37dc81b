# SPDX-License-Identifier: MIT
"""alive-url: who waits for a sign of life gets one after each run that went well, and nothing else with it."""

import http.server
import signal
import threading
import time

import pytest

import restante
import retriever
from scripted import Scripted

EX_NOPERM, EX_USAGE, EX_CONFIG = 77, 64, 78
REFUSED = {b"PASS": b"-ERR [AUTH] no such luck\r\n"}


@pytest.fixture
def home(tmp_path):
    return retriever.Home(tmp_path)


class Waiting:
    """An HTTP server that notes what it is asked."""

    def __init__(self, status=200):
        self.requests = []
        self.status = status
        self.hold = threading.Event()
        self.hold.set()
        waiting = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                waiting.requests.append((self.command, self.path, dict(self.headers), body))
                waiting.hold.wait(60)
                self.send_response(waiting.status)
                self.end_headers()

            do_POST = do_PUT = do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path="/ping/0123-secret?from=me"):
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()


def messages(*numbers):
    return [(b"m%d" % number, b"Subject: %d\r\n\r\nbody\r\n" % number) for number in numbers]


@pytest.mark.sanitized
def test_after_each_success(home):
    with Scripted(messages(1)) as server, Waiting() as waiting:
        option = ("--alive-url", waiting.url())
        assert home.fetch(server.port, *option, "--dry-run").returncode == 0
        assert waiting.requests == []
        assert home.fetch(server.port, *option).returncode == 0
        assert home.fetch(server.port, *option).returncode == 0  # nothing new is a success
        server.answers |= REFUSED
        assert home.fetch(server.port, *option).returncode == EX_NOPERM
        assert len(waiting.requests) == 2
        for method, path, fields, body in waiting.requests:
            assert method == "GET" and path == "/ping/0123-secret?from=me" and body == b""
            assert set(fields) <= {"Host", "User-Agent", "Accept"}
            assert not any(word in str(fields) for word in ("alice", "secret", "Subject"))


@pytest.mark.parametrize("status", [301, 404, 500])
def test_another_answer_is_told(home, status):
    with Scripted(messages(1)) as server, Waiting(status) as waiting:
        result = home.fetch(server.port, "--alive-url", waiting.url())
        assert result.returncode == 0 and len(home.mail()) == 1
        assert f"alive-url: 127.0.0.1 answered with status {status}".encode() in result.stderr
        assert b"0123" not in result.stderr and len(waiting.requests) == 1  # its path is a secret


def test_nobody_there_is_told(home):
    with Waiting() as waiting:
        url = waiting.url()
    with Scripted(messages(1)) as server:
        result = home.fetch(server.port, "--alive-url", url)
        assert result.returncode == 0 and b"alive-url: " in result.stderr and b"0123" not in result.stderr


@pytest.mark.sanitized
def test_one_that_does_not_answer_stops_nobody(home):
    with Scripted() as one, Scripted() as two, Waiting() as waiting:
        waiting.hold.clear()
        slow = {f"slow{number}": home.section(one.port, "box", **{"alive-url": waiting.url()}) for number in range(4)}
        home.configure(slow | {"two": home.section(two.port, "two")})
        process = home.start("--watch", "1s")
        try:
            deadline = time.monotonic() + 30
            while not waiting.requests and time.monotonic() < deadline:
                time.sleep(0.02)
            seen = two.sessions
            while two.sessions < seen + 3 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert waiting.requests and two.sessions >= seen + 3
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)  # at once
            _, said = process.communicate(timeout=30)
            assert process.returncode == 0 and not restante.REPORT.search(said.decode()), said
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()


@pytest.mark.parametrize("url", ["http://example.org/ping", "ftp://example.org/", "example.org/ping",
                                 "https://me:secret@example.org/", "https:///ping", "https://example.org/a b"])
def test_what_is_no_url_for_it(home, url):
    result = home.run(*home.account(1, "--alive-url", url))
    assert result.returncode == EX_USAGE and b"https://" in result.stderr
    home.configure({"box": home.section(1, "box", **{"alive-url": url})})
    result = home.run()
    assert result.returncode == EX_CONFIG and b"fetch.conf:8: alive-url = " in result.stderr

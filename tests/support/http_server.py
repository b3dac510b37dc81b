# SPDX-License-Identifier: MIT
"""A small HTTP server on the loopback, on threads: what it answers is its owner's matter."""

import http.server
import ssl
import threading


class HttpServer:
    """`answer(request)`, of a subclass, is called for each request, a BaseHTTPRequestHandler; `hang` waits for the end.
    `certificate`: its file and its key's, for TLS."""

    def __init__(self, certificate=None):
        self.released = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                try:
                    outer.answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the client did not wait

            do_POST = do_PUT = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.base = f"http://127.0.0.1:{self.port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.base = f"https://localhost:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(20)

    def hang(self):
        self.released.wait(60)

    def answer(self, request):
        raise NotImplementedError

    @staticmethod
    def body(request):
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))

    @staticmethod
    def send(request, status, body=b"", kind="application/json", **fields):
        request.send_response(status)
        for name, value in fields.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

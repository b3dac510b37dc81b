# SPDX-License-Identifier: MIT
"""A link with a delay: every octet is held back for a while each way, and nothing else of it is narrowed."""

import collections
import contextlib
import socket
import threading
import time


class Way:
    """One direction of one connection: a thread that reads at once, another that writes in time."""

    def __init__(self, source, sink, delay):
        self.source, self.sink, self.delay = source, sink, delay
        self.held = collections.deque()
        self.change = threading.Condition()
        for work in (self.read, self.write):
            threading.Thread(target=work, daemon=True).start()

    def read(self):
        octets = b"x"
        while octets:
            try:
                octets = self.source.recv(1 << 20)
            except OSError:
                octets = b""
            with self.change:
                self.held.append((time.monotonic() + self.delay, octets))
                self.change.notify()

    def write(self):
        with contextlib.suppress(OSError):
            while True:
                with self.change:
                    while not self.held:
                        self.change.wait()
                    due, octets = self.held.popleft()
                wait = due - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
                if not octets:
                    self.sink.shutdown(socket.SHUT_WR)
                    return
                self.sink.sendall(octets)


class Relay:
    """`with Relay(port, seconds) as other_port`: what is the server's port becomes one that is far away. With
    no delay, the port itself."""

    def __init__(self, port, delay):
        self.port, self.delay = port, delay
        self.listener = None

    def __enter__(self):
        if self.delay == 0:
            return self.port
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, daemon=True).start()
        return self.listener.getsockname()[1]

    def __exit__(self, *reason):
        if self.listener:
            self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.port))
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Way(near, far, self.delay)
                Way(far, near, self.delay)

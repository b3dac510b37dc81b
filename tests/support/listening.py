# SPDX-License-Identifier: MIT
"""What the servers that tests play have in common: a port of loopback, one connection after the other."""

import contextlib
import socket
import threading


class Listening:
    """`_session(connection)` is a subclass's; an OSError in it ends the session alone."""

    def __init__(self):
        self.sessions = 0
        self.connection = None  # the last one
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # close alone does not wake accept
        self.listener.close()
        self.thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.sessions += 1
            self.connection = connection
            with connection, contextlib.suppress(OSError):
                connection.settimeout(30)
                self._session(connection)

    def _session(self, connection):
        raise NotImplementedError

# SPDX-License-Identifier: MIT
"""An Internet of a test's own, in a network namespace: names, mail servers and web servers at their real ports, and
nothing else. Needs root.

Run as a program it is the process that holds the namespace and serves."""

import json
import os
import pathlib
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import threading

NAME_SERVER = "127.0.0.1"
A, SRV = 1, 33
NO_SUCH_NAME, SERVER_FAILURE = 3, 2


class Internet:
    """`hosts`: {name: {"pop3s": greeting, "pop3": greeting, "stls": answer, "https": {path: [status, body]},
    "certificate": another name}}, each at an address of its own. `records`: {name: [[priority, weight, port, target],
    ...]}, or a word, for an answer that is none: see Names."""

    def __init__(self, folder, authority, hosts=None, records=None):
        hosts = dict(hosts or {})
        for name, host in hosts.items():
            host["files"] = [str(path) for path in authority.issue(host.get("certificate", name))]
        plan = folder / "internet.json"
        plan.write_text(json.dumps({"hosts": hosts, "records": records or {}, "folder": str(folder)}))
        self.log = folder / "internet.log"
        with open(folder / "internet.stderr", "wb") as stderr:
            self.process = subprocess.Popen(["unshare", "--net", "--mount", sys.executable, __file__, plan],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
        assert self.process.stdout.readline() == b"ready\n", (folder / "internet.stderr").read_text()
        self.inside = ["nsenter", f"--target={self.process.pid}", "--net", "--mount", "--"]

    def asked(self):
        """What was asked of the name server and of web servers, a line each."""
        return self.log.read_text().splitlines()

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(20)


def name_on_the_wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


class Names:
    """The name server. Words that stand for records: "silent": no answer; "failure": SERVFAIL; "junk": octets that
    are no message; "loop": a name that is compressed into itself; "many": five hundred, over TCP; "blank": a target
    with a blank and a line end."""

    def __init__(self, plan, addresses, log):
        self.records, self.addresses, self.log = plan["records"], addresses, log

    @staticmethod
    def question(message):
        labels, at = [], 12
        while message[at]:
            labels.append(message[at + 1:at + 1 + message[at]].decode())
            at += 1 + message[at]
        kind, = struct.unpack("!H", message[at + 1:at + 3])
        return ".".join(labels).lower(), kind, message[12:at + 5]

    @staticmethod
    def answer_row(kind, data):
        return b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data

    def srv_rows(self, word):
        if word == "loop":
            at = 12 + len(self.asked) + 12 + 6
            return [self.answer_row(SRV, struct.pack("!HHHH", 0, 0, 995, 0xc000 | at))]
        if word == "blank":
            return [self.answer_row(SRV, struct.pack("!HHH", 0, 0, 995) + b"\x0ca b\nuser = x\0")]
        if word == "many":
            word = [[1, 1, 995, f"host-{number}.example.net"] for number in range(500)]
        return [self.answer_row(SRV, struct.pack("!HHH", *row[:3]) + name_on_the_wire(row[3])) for row in word]

    def answer(self, message, is_datagram):
        name, kind, self.asked = self.question(message)
        self.log(f"dns {kind} {name}")
        word = self.records.get(name) if kind == SRV else None
        if word == "silent":
            return None
        if word == "junk":
            return message[:2] + b"\x81\x80\0\1\0\x09\0\0\0\0" + b"\xff" * 40
        rows = self.srv_rows(word) if word not in (None, "failure") else []
        if kind == A and name in self.addresses:
            rows = [self.answer_row(A, socket.inet_aton(self.addresses[name]))]
        code = SERVER_FAILURE if word == "failure" else 0 if rows or name in self.addresses else NO_SUCH_NAME
        is_cut = is_datagram and len(rows) > 20
        flags = 0x8180 | code | (0x0200 if is_cut else 0)
        rows = [] if is_cut else rows
        return message[:2] + struct.pack("!HHHHH", flags, 1, len(rows), 0, 0) + self.asked + b"".join(rows)

    def serve(self):
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind((NAME_SERVER, 53))
        streams = socket.create_server((NAME_SERVER, 53))
        threading.Thread(target=self.serve_datagrams, args=(datagrams,), daemon=True).start()
        threading.Thread(target=self.serve_streams, args=(streams,), daemon=True).start()

    def serve_datagrams(self, datagrams):
        while True:
            message, peer = datagrams.recvfrom(4096)
            if answer := self.answer(message, True):
                datagrams.sendto(answer, peer)

    def serve_streams(self, streams):
        while True:
            connection, _ = streams.accept()
            with connection:
                size, = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))
                answer = self.answer(connection.recv(size, socket.MSG_WAITALL), False)
                connection.sendall(struct.pack("!H", len(answer)) + answer)


def serve(address, port, session):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            try:
                session(self.request)
            except OSError:
                pass  # a client that goes away, or does not like the certificate

    server = socketserver.ThreadingTCPServer((address, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


def serve_host(name, host, address, log):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*host["files"])

    def secure(connection):
        return context.wrap_socket(connection, server_side=True)

    def implicit(connection):
        with secure(connection) as tls:
            tls.sendall(host["pop3s"].encode() + b"\r\n")
            tls.recv(512)

    def explicit(connection):
        connection.sendall(host["pop3"].encode() + b"\r\n")
        if connection.recv(512) == b"STLS\r\n":
            connection.sendall(host.get("stls", "+OK").encode() + b"\r\n")
            with secure(connection) as tls:
                tls.recv(512)

    def web(connection):
        with secure(connection) as tls:
            request = b""
            while b"\r\n\r\n" not in request:
                request += tls.recv(4096) or b"\r\n\r\n"
            target = request.split(b" ")[1].decode()
            log(f"https {name} {target}")
            status, body = host["https"].get(target.partition("?")[0], [404, ""])
            extra = f"Location: {body}\r\n" if status == 302 else ""
            body = "" if extra else body.replace("@@@", "x" * 1000000)
            tls.sendall(f"HTTP/1.1 {status} -\r\n{extra}Content-Length: {len(body.encode())}\r\n"
                        f"Connection: close\r\n\r\n{body}".encode())

    for key, port, session in (("pop3s", 995, implicit), ("pop3", 110, explicit), ("https", 443, web)):
        if key in host:
            serve(address, port, session)


def main():
    plan = json.loads(pathlib.Path(sys.argv[1]).read_text())
    folder = pathlib.Path(plan["folder"])
    lines = open(folder / "internet.log", "w", buffering=1)

    def log(line):
        lines.write(line + "\n")

    (folder / "resolv.conf").write_text(f"nameserver {NAME_SERVER}\n")
    (folder / "hosts").write_text("127.0.0.1 localhost\n")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for name in ("resolv.conf", "hosts"):
        subprocess.run(["mount", "--bind", folder / name, os.path.realpath(f"/etc/{name}")], check=True)
    addresses = {name: f"127.0.1.{number}" for number, name in enumerate(plan["hosts"], 1)}
    Names(plan, addresses, log).serve()
    for name, host in plan["hosts"].items():
        serve_host(name, host, addresses[name], log)
    print("ready", flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()

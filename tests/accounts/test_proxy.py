# SPDX-License-Identifier: MIT
"""Debian's HAProxy, nginx and Dovecot in front of the server, with the snippets of docs/behind-haproxy.md."""

import base64
import http.server
import pathlib
import re
import shutil
import socket
import subprocess
import ssl
import tempfile
import threading
import urllib.parse

import pytest

import authority
import packages
import peers
import pop3
import restante

PAGE = (restante.ROOT / "docs/behind-haproxy.md").read_text()
CLIENT = "127.0.0.77"
LETTER = b"From: a@example.org\nSubject: hello\n\n.dot\nbody\n"


def snippet(language, part):
    """The block of that language that has `part` in it."""
    (found,) = [block for block in re.findall(rf"```{language}\n(.*?)```", PAGE, re.S) if part in block]
    return found


def replaced(text, **changes):
    for before, after in changes.items():
        assert before in text, f"{before!r} is not on the page"
        text = text.replace(before, str(after))
    return text


def settings(text):
    """The sections of an INI snippet."""
    found = {}
    for line in text.splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line:
            key, _, value = line.partition(" = ")
            section[key] = value
    return found


class Program:
    """A proxy of Debian's, unpacked, run where it lies over /usr."""

    def __init__(self, name, ports, configuration, *command):
        peers.need(f"usr/sbin/{name}")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"restante-{name}-"))
        self.folder.chmod(0o755)
        self.log = self.folder / "log"
        path = self.folder / "configuration"
        path.write_text(configuration(self.folder))
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*packages.as_if_installed(peers.TREE), f"/usr/sbin/{name}", *command, path],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": "/usr/sbin:/usr/bin"})
        try:
            peers.await_sign(lambda: all(map(listens, ports)), self.process, self.log)
        except AssertionError:
            self.close()
            raise

    def close(self):
        peers.end(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except OSError:
        return False


@pytest.fixture
def run():
    programs = []

    def start(*arguments):
        programs.append(Program(*arguments))
        return programs[-1]

    yield start
    for program in programs:
        print(program.log.read_text(errors="replace")[-4000:])
        program.close()


@pytest.fixture
def proxy_world(make_world):
    world = make_world()
    world.authority = authority.Authority(world.folder)
    world.certificate, world.key = world.authority.issue("mail.example.org")
    world.own(world.key)
    world.put(LETTER)
    return world


def serve(world, text, **sections):
    given = settings(text)
    for key in ("listen", "listen-tls"):
        if key in given["proxy"]:
            given["proxy"][key] = "127.0.0.1:0"
    if "pop3" in given:
        given["pop3"]["listen"] = "127.0.0.1:0"
    world.configure(tls={"certificate": world.certificate, "key": world.key}, **{**sections, **given})
    return world.start()


def client_context(world):
    return ssl.create_default_context(cafile=world.authority.certificate)


def read_mail(client):
    client.login()
    assert client.multiline(b"RETR 1") == LETTER.replace(b"\n", b"\r\n")
    client.quit()


def session_of(server, client=CLIENT):
    return server.wait_log(rf" session user=alice address={re.escape(client)}:\d+ .* end=quit "
                           r"proxy=127\.0\.0\.1:\d+$")


def secured(world, address):
    client = pop3.Client(address, greeting=False, source=CLIENT)
    client.socket = client_context(world).wrap_socket(client.socket, server_hostname="mail.example.org")
    client.greeting = client.line()
    return client


def test_haproxy_forwards_tls(proxy_world, run):
    server = serve(proxy_world, snippet("ini", "listen-tls"), pop3={"plaintext-login": "never"})
    plain, tls = peers.free_ports(2)
    run("haproxy", (plain, tls), lambda _: replaced(snippet("haproxy", "listen pop3s\n    bind :995\n"), **{
        ":110\n": f"127.0.0.1:{plain}\n", ":995": f"127.0.0.1:{tls}",
        "127.0.0.1:10110": "%s:%d" % server.proxy_address,
        "127.0.0.1:10995": "%s:%d" % server.proxy_tls_address}), "-db", "-f")
    with secured(proxy_world, ("127.0.0.1", tls)) as client:
        read_mail(client)
    session_of(server)
    with pop3.Client(("127.0.0.1", plain), source=CLIENT) as client:
        assert client.command(b"USER alice").startswith(b"-ERR")
        client.ok(b"STLS")
        client.socket = client_context(proxy_world).wrap_socket(
            client.socket, server_hostname="mail.example.org")
        read_mail(client)


def test_haproxy_ends_tls(proxy_world, run):
    ini = snippet("ini", "told") + "\n".join(snippet("ini", "listen-tls").splitlines()[1:]) + "\n"
    server = serve(proxy_world, ini, pop3={"plaintext-login": "never"})
    (port,) = peers.free_ports(1)

    def configuration(folder):
        (folder / "mail.pem").write_bytes(proxy_world.certificate.read_bytes() + proxy_world.key.read_bytes())
        defaults = snippet("haproxy", "defaults").split("listen")[0]
        return defaults + replaced(snippet("haproxy", "crt"), **{
            ":995": f"127.0.0.1:{port}", "/etc/haproxy/mail.pem": folder / "mail.pem",
            "127.0.0.1:10110": "%s:%d" % server.proxy_address})

    run("haproxy", (port,), configuration, "-db", "-f")
    with secured(proxy_world, ("127.0.0.1", port)) as client:
        assert b"STLS" not in client.lines(b"CAPA")
        read_mail(client)
    session_of(server)


class AuthHttp(http.server.BaseHTTPRequestHandler):
    """Lets everybody through to the one server, as nginx's auth_http asks."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Auth-Status", "OK")
        self.send_header("Auth-Server", self.server.backend[0])
        self.send_header("Auth-Port", str(self.server.backend[1]))
        self.end_headers()
        self.server.asked.append(urllib.parse.unquote_to_bytes(self.headers["Auth-User"]))

    def log_message(self, *_):
        pass


@pytest.fixture
def nginx(proxy_world, run):
    ini = snippet("ini", "always")
    server = serve(proxy_world, ini, pop3={"plaintext-login": "never"})
    auth = http.server.ThreadingHTTPServer(("127.0.0.1", 0), AuthHttp)
    auth.backend, auth.asked = server.proxy_address, []
    thread = threading.Thread(target=auth.serve_forever)
    thread.start()
    (server.nginx_port,) = peers.free_ports(1)

    def configuration(folder):
        return (f"load_module /usr/lib/nginx/modules/ngx_mail_module.so;\nuser root;\ndaemon off;\n"
                f"pid {folder}/pid;\nerror_log {folder}/log;\nevents {{}}\n"
                + replaced(snippet("nginx", "mail"), **{
                    "127.0.0.1:9000": "127.0.0.1:%d" % auth.server_port,
                    "listen 110": f"listen 127.0.0.1:{server.nginx_port}"}))

    try:
        run("nginx", (server.nginx_port,), configuration, "-e", "stderr", "-c")
        server.asked = auth.asked
        yield server
    finally:
        auth.shutdown()
        thread.join()
        auth.server_close()


def nginx_client(server):
    return pop3.Client(("127.0.0.1", server.nginx_port), source=CLIENT)


def test_nginx(nginx):
    with nginx_client(nginx) as client:
        read_mail(client)
    session_of(nginx)
    with nginx_client(nginx) as client:
        client.ok(b"USER alice")
        client.send(b"PASS wrong\r\n")
        assert client.line().startswith(b"-ERR [AUTH]")
    nginx.wait_log(rf'login failed user="alice" address={re.escape(CLIENT)}:')


@pytest.mark.parametrize("name, password", [
    (b"alice\r\nPASS secret\r\nDELE 1\r\nQUIT", b"x"),
    (b"alice\nPASS secret\nDELE 1\nQUIT", b"x"),
    (b"alice", b"secret\r\nDELE 1\r\nQUIT"),
    (b"\r\nUSER alice\r\nPASS secret", b"x"),
    (b"a\x01\r\nXCLIENT ADDR=127.0.0.1\r\nUSER alice\r\nPASS secret", b"x"),
])
def test_nginx_smuggles_nothing(nginx, proxy_world, name, password):
    """What stands behind a CR LF in a name or a password is no command."""
    with nginx_client(nginx) as client:
        client.send(b"AUTH PLAIN\r\n")
        assert client.line().startswith(b"+")
        client.send(base64.b64encode(b"\0" + name + b"\0" + password) + b"\r\n")
        try:
            octets = client.rest()
        except ConnectionResetError:
            octets = client.buffer
        assert b"+OK" not in octets, octets
    restante.wait_until(lambda: nginx.asked, "nginx asked whereto")
    if b"\r\n" in nginx.asked[0]:  # as it came; some versions refuse it themselves
        nginx.wait_log(" session user=- .* end=pipelined ")
    assert "user=alice" not in nginx.log()
    with nginx_client(nginx) as client:
        read_mail(client)  # it is still there


def test_dovecot_says_xclient(proxy_world):
    server = serve(proxy_world, snippet("ini", "xclient"))

    class Proxy(peers.Dovecot):
        def configuration(self, certificate, key):
            return replaced(super().configuration(certificate, key), **{
                "args = password=secret":
                f"args = proxy=y host={server.address[0]} port={server.port} nopassword=y"})

    dovecot = Proxy()
    try:
        with pop3.Client(("127.0.0.1", dovecot.port), source=CLIENT) as client:
            read_mail(client)
        session_of(server)
    finally:
        dovecot.close()

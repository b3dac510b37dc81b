# SPDX-License-Identifier: MIT
"""The client's end of SCRAM (RFC 5802, 7677), of CRAM-MD5 and of APOP, written from the RFCs with nothing but
hashlib and hmac, so that it shares no mistake with the server."""

import base64
import hashlib
import hmac
import secrets

HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}


def b64(octets):
    return base64.b64encode(octets)


def keys(name, password, salt, iterations):
    """StoredKey, ServerKey and ClientKey."""
    digest = HASHES[name.removesuffix("-PLUS")]
    salted = hashlib.pbkdf2_hmac(digest, password, salt, iterations)
    client = hmac.digest(salted, b"Client Key", digest)
    return hashlib.new(digest, client).digest(), hmac.digest(salted, b"Server Key", digest), client


def verifier(name, password, iterations=4096, salt=None):
    """A line's second field in Dovecot's notation."""
    salt = salt or secrets.token_bytes(16)
    stored, server, _ = keys(name, password, salt, iterations)
    return f"{{{name}}}{iterations},{b64(salt).decode()},{b64(stored).decode()},{b64(server).decode()}"


class Scram:
    """One exchange; `flag` opens the GS2 header: b"n", b"y" or b"p=TYPE", with the channel's octets."""

    def __init__(self, name, user, password, flag=b"n", binding=b"", identity=b"", nonce=None):
        self.name, self.password = name, password
        self.digest = HASHES[name.removesuffix("-PLUS")]
        self.header = flag + b"," + (b"a=" + identity if identity else b"") + b","
        self.binding = binding
        self.nonce = nonce or secrets.token_urlsafe(18).encode()
        self.bare = b"n=" + user.replace(b"=", b"=3D").replace(b",", b"=2C") + b",r=" + self.nonce

    def first(self):
        return self.header + self.bare

    def final(self, server_first):
        fields = dict(field.split(b"=", 1) for field in server_first.split(b","))
        assert fields[b"r"].startswith(self.nonce) and len(fields[b"r"]) >= len(self.nonce) + 18
        self.salt, self.iterations = base64.b64decode(fields[b"s"], validate=True), int(fields[b"i"])
        stored, server, client = keys(self.name, self.password, self.salt, self.iterations)
        without = b"c=" + b64(self.header + self.binding) + b",r=" + fields[b"r"]
        text = b",".join((self.bare, server_first, without))
        signature = hmac.digest(stored, text, self.digest)
        proof = bytes(a ^ b for a, b in zip(client, signature))
        self.server_signature = hmac.digest(server, text, self.digest)
        return without + b",p=" + b64(proof)

    def is_signed(self, server_final):
        """Does the server know the password, too?"""
        return server_final == b"v=" + b64(self.server_signature)


def authenticate(client, scram, initial=True, empty=b""):
    """The dialogue over POP3; gives the last reply. `empty`: how the last, empty answer is written."""
    command = b"AUTH " + scram.name.encode()
    if initial:
        line = client.command_line(command + b" " + b64(scram.first()))
    else:
        line = client.command_line(command)
        assert line == b"+ "
        line = client.command_line(b64(scram.first()))
    if not line.startswith(b"+ "):
        return line
    line = client.command_line(b64(scram.final(base64.b64decode(line[2:], validate=True))))
    if not line.startswith(b"+ "):
        return line
    assert scram.is_signed(base64.b64decode(line[2:], validate=True))
    return client.command_line(empty)


def cram_md5(user, password, challenge):
    return user + b" " + hmac.new(password, challenge, "md5").hexdigest().encode()


def apop(user, password, greeting):
    timestamp = greeting[greeting.index(b"<"):greeting.index(b">") + 1]
    return b"APOP " + user + b" " + hashlib.md5(timestamp + password).hexdigest().encode()


class Speaker:
    """Lets `authenticate` speak over any pop3.Client, whose replies are +OK and -ERR only."""

    def __init__(self, client):
        self.client = client

    def command_line(self, line):
        self.client.send(line + b"\r\n")
        return self.client.line(limit=None)

# SPDX-License-Identifier: MIT
"""An issuer of access tokens: signs JWTs, publishes its keys in a file, and answers introspections by HTTP (RFC
7662)."""

import base64
import json
import secrets
import time
import urllib.parse

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

import http_server

NAME = "https://id.example.org"
AUDIENCE = "mail"


def url64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def number(value, size):
    return url64(value.to_bytes(size, "big"))


class Key:
    """A key of the issuer's, for RS256 or ES256."""

    def __init__(self, identifier, algorithm="ES256"):
        self.identifier, self.algorithm = identifier, algorithm
        self.private = (rsa.generate_private_key(65537, 2048) if algorithm == "RS256"
                        else ec.generate_private_key(ec.SECP256R1()))

    def public(self):
        numbers = self.private.public_key().public_numbers()
        named = {"kid": self.identifier, "use": "sig", "alg": self.algorithm}
        if self.algorithm == "RS256":
            return named | {"kty": "RSA", "n": number(numbers.n, 256), "e": "AQAB"}
        return named | {"kty": "EC", "crv": "P-256", "x": number(numbers.x, 32), "y": number(numbers.y, 32)}

    def sign(self, octets):
        if self.algorithm == "RS256":
            return self.private.sign(octets, padding.PKCS1v15(), hashes.SHA256())
        r, s = utils.decode_dss_signature(self.private.sign(octets, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def claims(**more):
    """Those of a token that lets alice in; None leaves one out."""
    now = int(time.time())
    usual = {"iss": NAME, "aud": AUDIENCE, "exp": now + 3600, "nbf": now - 10, "email": "alice"}
    return {key: value for key, value in (usual | more).items() if value is not None}


def jwt(key, body=None, sign=None, **header):
    header = {"alg": key.algorithm, "kid": key.identifier, "typ": "at+jwt"} | header
    text = ".".join(url64(json.dumps(part).encode()) for part in (header, claims() if body is None else body))
    return f"{text}.{url64((sign or key.sign)(text.encode()))}"


def hs256(secret):
    """Signs with a secret, as if what everybody has were one."""
    def sign(octets):
        mac = hmac.HMAC(secret, hashes.SHA256())
        mac.update(octets)
        return mac.finalize()
    return sign


def write_keys(path, *keys):
    """As an issuer's script does it: a new file in the old one's place."""
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"keys": [key.public() for key in keys]}))
    draft.chmod(0o644)
    draft.rename(path)


class Introspection(http_server.HttpServer):
    """`tokens`: what is said of each; an Exception's name in its place: `hang`, `redirect`, `error`, `flood`, `text`."""

    def __init__(self, client="restante", secret="s3cret+ /"):
        self.client, self.secret = client, secret
        self.tokens = {}
        self.asked = []
        super().__init__()
        self.url = f"{self.base}/introspect"

    def issue(self, size=40, **more):
        token = secrets.token_urlsafe(size)[:size]
        body = claims(**more)
        del body["iss"]
        self.tokens[token] = {"active": True} | body
        return token

    def _is_known(self, request):
        kind, _, code = request.headers.get("Authorization", "").partition(" ")
        name, _, password = base64.b64decode(code).decode().partition(":")
        return kind == "Basic" and (urllib.parse.unquote(name), urllib.parse.unquote(password)) == (
            self.client, self.secret)

    def answer(self, request):
        form = urllib.parse.parse_qs(self.body(request).decode())
        token = form["token"][0]
        self.asked.append(token)
        said = self.tokens.get(token, {"active": False})
        status, body, fields = 200, json.dumps(said).encode(), {}
        if not self._is_known(request):
            status = 401
        elif said == "hang":
            self.hang()
        elif said == "error":
            status = 500
        elif said == "redirect":
            status, fields = 307, {"Location": self.url.replace("introspect", "elsewhere")}
        elif said == "flood":
            body = b" " * 1_000_000 + body
        elif said == "text":
            body = b"true"
        self.send(request, status, body, **fields)

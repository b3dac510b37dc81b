# SPDX-License-Identifier: MIT
"""A provider of OAuth 2.0: pages where a person authorizes, codes, devices, tokens that are signed (issuer.py), and what
may go wrong with them."""

import base64
import hashlib
import json
import secrets
import threading
import time
import urllib.parse
import urllib.request

import http_server
import issuer

CLIENT, SECRET = "restante-test", "s3cret+ /&"


def pieces(query):
    return {key: values[0] for key, values in urllib.parse.parse_qs(query, keep_blank_values=True).items()}


class Provider(http_server.HttpServer):
    """`fault` is what the token endpoint does instead: a key of FAULTS, or a status and a body."""

    FAULTS = ("hang", "junk", "huge", "cut")

    def __init__(self, secret=SECRET, certificate=None):
        self.key = issuer.Key("provider", "RS256")
        self.secret = secret
        self.lives_s, self.padding = 3600, 0
        self.rotates = False
        self.fault = None
        self.tokens_left = None  # so many refreshes are granted; None: all
        self.spoilt = False      # the next access token is one that no server takes
        self.iss = None
        self.refresh_tokens, self.codes, self.devices = set(), {}, {}
        self.device_answers = []  # errors before a device gets its tokens
        self.interval = 1
        self.lock = threading.Lock()
        self.forms = []           # of the token endpoint
        self.delay_s = 0
        self.on_refresh = None
        super().__init__(certificate)

    # What a person does.

    def visit(self, url, state=None, **more):
        """A browser at the authorization endpoint: the query that it brings back to the redirection."""
        question = pieces(urllib.parse.urlsplit(url).query)
        assert question["response_type"] == "code" and question["client_id"] == CLIENT
        assert question["code_challenge_method"] == "S256" and len(question["code_challenge"]) == 43
        code = secrets.token_urlsafe(24)
        self.codes[code] = question
        answer = {"code": code, "state": question["state"] if state is None else state} | more
        if self.iss:
            answer["iss"] = self.iss
        return question["redirect_uri"] + "?" + urllib.parse.urlencode(answer)

    @staticmethod
    def browse(url):
        """The status of the page that the browser comes back to."""
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=30) as page:
                return page.status
        except urllib.error.HTTPError as error:
            return error.code

    # The endpoints.

    def _is_known(self, request, form):
        if self.secret is None:
            return form.get("client_id") == CLIENT
        kind, _, code = request.headers.get("Authorization", "").partition(" ")
        name, _, password = base64.b64decode(code).decode().partition(":")
        return kind == "Basic" and (urllib.parse.unquote(name), urllib.parse.unquote(password)) == (CLIENT, self.secret)

    def _tokens(self, refresh=None):
        claims = issuer.claims(x="x" * self.padding)
        if self.spoilt:
            self.spoilt, claims["exp"] = False, int(time.time()) - 1000
        answer = {"access_token": issuer.jwt(self.key, claims), "token_type": "Bearer", "expires_in": self.lives_s}
        if refresh is not None:
            answer["refresh_token"] = refresh
        return 200, answer

    def new_refresh_token(self):
        token = "refresh-" + secrets.token_urlsafe(30)
        self.refresh_tokens.add(token)
        return token

    def _by_code(self, form):
        question = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if (question is None or issuer.url64(digest) != question["code_challenge"]
                or form["redirect_uri"] != question["redirect_uri"]):
            return 400, {"error": "invalid_grant", "error_description": "the code " + form["code"]}
        return self._tokens(self.new_refresh_token())

    def _by_refresh(self, form):
        old = form["refresh_token"]
        if self.on_refresh:
            self.on_refresh()
        time.sleep(self.delay_s)
        if old not in self.refresh_tokens:
            return 400, {"error": "invalid_grant", "error_description": "no such token\n\033[31m" + old}
        if not self.rotates:
            return self._tokens()
        self.refresh_tokens.discard(old)
        return self._tokens(self.new_refresh_token())

    def _by_device(self, form):
        assert form["device_code"] in self.devices
        if self.device_answers:
            return 400, {"error": self.device_answers.pop(0)}
        return self._tokens(self.new_refresh_token())

    def _by_assertion(self, form):
        header, claims, signature = (base64.urlsafe_b64decode(part + "==") for part in form["assertion"].split("."))
        self.assertion = json.loads(claims)
        signed = form["assertion"].rpartition(".")[0].encode()
        self.service_key.public_key().verify(signature, signed, issuer.padding.PKCS1v15(), issuer.hashes.SHA256())
        assert json.loads(header)["alg"] == "RS256" and self.assertion["aud"] == f"{self.base}/token"
        return self._tokens()

    def answer(self, request):
        form = pieces(self.body(request).decode())
        if request.path == "/device":
            code = secrets.token_urlsafe(24)
            self.devices[code] = form
            self.send(request, 200, json.dumps({
                "device_code": code, "user_code": "WDJB-MJHT", "verification_uri": f"{self.base}/type",
                "interval": self.interval, "expires_in": 600}).encode())
            return
        with self.lock:
            self.forms.append(form)
        if self.fault == "hang":
            self.hang()
        elif self.fault == "cut":
            request.close_connection = True
            return
        elif self.fault == "junk":
            self.send(request, 200, b'{"access_token": ["\xff')
            return
        elif self.fault == "huge":
            self.send(request, 200, b" " * 1_000_000)
            return
        elif self.fault:
            self.send(request, self.fault[0], self.fault[1])
            return
        status, answer = 401, {"error": "invalid_client"}
        kind = form["grant_type"].rpartition(":")[2]
        if kind == "jwt-bearer" or self._is_known(request, form):
            status, answer = {"authorization_code": self._by_code, "refresh_token": self._by_refresh,
                              "device_code": self._by_device, "jwt-bearer": self._by_assertion,
                              "client_credentials": lambda _: self._tokens()}[kind](form)
        self.send(request, status, json.dumps(answer).encode(), Cache_Control="no-store")

# SPDX-License-Identifier: MIT
"""Gmail's API as Google's reference describes it, as far as an importer sees it: import, list, labels, uploads that can
be resumed, error documents. https://developers.google.com/workspace/gmail/api/reference/rest"""

import email
import email.utils
import json
import re
import socket
import threading
import time
import urllib.parse

import http_server


class GmailProvider(http_server.HttpServer):
    """The mailbox of `user`, for whoever has the token `token`. `mail`: what is in it, as dicts with raw, labelIds,
    internalDate and neverMarkSpam, one for each import: Google merges what has one Message-ID, but whoever counts on that is to be
    seen here. `faults`: what to do instead, by (method, part of the path), each a list that is used up:
    (status, reason, headers), or "lost" before anything is done, "late" after it was done, "short": half of the answer, "hang"."""

    def __init__(self, user="me@gmail.com", token="good"):
        self.user, self.token = user, token
        self.mail, self.labels, self.requests = [], {"INBOX": "INBOX", "UNREAD": "UNREAD", "SPAM": "SPAM"}, []
        self.faults = []
        self.uploads = {}
        self.cut_upload_at = None  # octets of the first PUT that are taken before it is lost
        self.lock = threading.Lock()
        super().__init__()

    def raw(self):
        return [message["raw"] for message in self.mail]

    def send_document(self, request, status, document, **headers):
        body = b"" if document is None else json.dumps(document).encode()
        self.send(request, status, body, "application/json; charset=UTF-8", **headers)

    def refuse(self, request, status, reason, message, **headers):
        self.send_document(request, status, {"error": {
            "code": status, "message": message,
            "errors": [{"domain": "global", "reason": reason, "message": message}]}}, **headers)

    def lose(self, request):
        request.close_connection = True
        request.connection.shutdown(socket.SHUT_RDWR)

    def take_fault(self, request):
        for fault in self.faults:
            method, part, what = fault
            if method == request.command and part in request.path:
                self.faults.remove(fault)
                return what
        return None

    def answer(self, request):
        with self.lock:
            self.requests.append((request.command, request.path))
            fault = self.take_fault(request)
        size = int(request.headers.get("Content-Length", 0))
        if request.command == "PUT" and self.cut_upload_at is not None and size > self.cut_upload_at:
            session = self.uploads[request.path]
            session["octets"] += request.rfile.read(self.cut_upload_at)
            self.cut_upload_at = None
            self.lose(request)
            return
        body = request.rfile.read(size)
        if fault == "lost":
            self.lose(request)
        elif fault == "hang":
            self.hang()
            self.lose(request)
        elif isinstance(fault, tuple):
            self.refuse(request, fault[0], fault[1], "as the test \x1b wants it", **fault[2])
        elif fault in ("late", "short"):
            answer = self.result_of(request, body)
            if fault == "short":
                request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + json.dumps(answer[1]).encode()[:5])
            self.lose(request)
        else:
            status, document, headers = self.result_of(request, body)
            if status >= 400:
                self.refuse(request, status, document[0], document[1])
            else:
                self.send_document(request, status, document, **headers)

    def result_of(self, request, body):
        """(status, document or (reason, message), headers)."""
        url = urllib.parse.urlsplit(request.path)
        query = {name: values[0] for name, values in urllib.parse.parse_qs(url.query).items()}
        if request.path in self.uploads:
            return self.upload(request, body)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return 401, ("authError", "Invalid Credentials"), {}
        match = re.fullmatch(r"(/upload)?/gmail/v1/users/([^/]+)/(.+)", url.path)
        if not match:
            return 404, ("notFound", "Not Found"), {}
        if urllib.parse.unquote(match[2]) not in ("me", self.user):
            return 403, ("forbidden", f"Delegation denied for {self.user}"), {}
        if match[3] == "messages/import" and match[1] and request.command == "POST":
            return self.begin_import(request, query, body)
        if match[3] == "messages" and request.command == "GET":
            return self.list(query)
        if match[3] == "labels":
            return self.answer_labels(request, body)
        return 404, ("notFound", "Not Found"), {}

    def begin_import(self, request, query, body):
        if query["uploadType"] == "multipart":
            boundary = re.fullmatch(r"multipart/related; boundary=(\w+)", request.headers["Content-Type"])[1].encode()
            empty, first, second, end = body.split(b"--" + boundary)
            assert (empty, end) == (b"", b"--\r\n")
            head, _, metadata = first.partition(b"\r\n\r\n")
            assert head == b"\r\nContent-Type: application/json; charset=UTF-8"
            head, _, raw = second.partition(b"\r\n\r\n")
            assert head == b"\r\nContent-Type: message/rfc822" and raw.endswith(b"\r\n")
            return self.store(query, json.loads(metadata), raw[:-2])
        assert query["uploadType"] == "resumable" and request.headers["X-Upload-Content-Type"] == "message/rfc822"
        path = f"/session/{len(self.uploads)}?upload_id=x"
        self.uploads[path] = {"query": query, "metadata": json.loads(body), "octets": b"",
                              "size": int(request.headers["X-Upload-Content-Length"])}
        return 200, None, {"Location": self.base + path}

    def upload(self, request, body):
        session = self.uploads[request.path]
        begin, size = re.fullmatch(r"bytes (?:\*|(\d+)-\d+)/(\d+)", request.headers["Content-Range"]).groups()
        assert int(size) == session["size"]
        if begin is not None:
            assert int(begin) == len(session["octets"])
            session["octets"] += body
        if len(session["octets"]) == session["size"]:
            return self.store(session["query"], session["metadata"], session["octets"])
        return 308, None, {"Range": f"bytes=0-{len(session['octets']) - 1}"} if session["octets"] else {}

    def store(self, query, metadata, raw):
        if not re.match(rb"[!-9;-~]+:", raw):
            return 400, ("invalidArgument", "Invalid message"), {}
        if not set(metadata["labelIds"]) <= set(self.labels.values()):
            return 400, ("invalidArgument", "Invalid label"), {}
        header = email.message_from_bytes(raw)
        date = None
        if query.get("internalDateSource") == "dateHeader" and header["Date"]:
            date = email.utils.parsedate_to_datetime(header["Date"]).timestamp()
        message = {"id": f"{len(self.mail):x}", "raw": raw, "labelIds": metadata["labelIds"],
                   "internalDate": date or time.time(), "neverMarkSpam": query.get("neverMarkSpam"),
                   "messageId": "".join((header["Message-ID"] or "").split())}
        with self.lock:
            self.mail.append(message)
        return 200, {"id": message["id"], "threadId": message["id"], "labelIds": message["labelIds"]}, {}

    def list(self, query):
        wanted = re.fullmatch(r"rfc822msgid:(.+)", query["q"])[1]
        found = [message for message in self.mail if message["messageId"] == f"<{wanted}>"]
        answer = {"resultSizeEstimate": len(found)}
        if found:
            answer["messages"] = [{"id": message["id"], "threadId": message["id"]} for message in found]
        return 200, answer, {}

    def answer_labels(self, request, body):
        if request.command == "POST":
            name = json.loads(body)["name"]
            self.labels[name] = f"Label_{len(self.labels)}"
            return 200, {"id": self.labels[name], "name": name}, {}
        return 200, {"labels": [{"id": key, "name": name} for name, key in self.labels.items()]}, {}

# SPDX-License-Identifier: MIT
"""Letters that have been too much for some server or client, with LF as Maildir keeps them."""

HEAD = (b"From: Sender <sender@example.com>\nTo: alice@example.com\nSubject: %s\n"
        b"Date: Mon, 02 Jan 2023 03:04:05 +0000\nMessage-ID: <%s@example.com>\n")


def letter(name, body, more=b""):
    head = HEAD % (name.encode(), name.replace(" ", "-").encode())
    return head + more + b"\n" + body


PLAIN = letter("plain", b"A line.\n\nAnother one.\n")
LETTERS = {
    "plain": PLAIN,
    "dots": letter("dots", b".\n..\n...\n.x\n. \n\n.\n"),
    "from": letter("from", b"From here on\n>From there\n\nFrom the end\n"),
    "long line": letter("long line", b"y" * 900 + b"\n" + b"z" * 990 + b"\n"),
    "8-bit": letter("8-bit", "Добрый день, \u20ac\n".encode() + b"\xff\xfe latin \xe9\n",
                    b"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
                    b"Content-Transfer-Encoding: 8bit\n"),
    "empty": letter("empty", b""),
    "blank lines": letter("blank lines", b"\n\n\nx\n\n\n"),
    "spaces": letter("spaces", b" leading\ntrailing \n\t\n   \n"),
    "mime": letter("mime", b"--b\nContent-Type: text/plain\n\n.\n--b\nContent-Type: "
                   b"application/octet-stream\nContent-Transfer-Encoding: base64\n\n"
                   + b"AAECAwQFBgcICQ==\n" * 2000 + b"--b--\n",
                   b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n"),
    "folded": letter("folded", b"x\n", b"X-Folded: one\n two\n\tthree\n"),
    "big": letter("big", b"0123456789abcdef" * 4 + b"\n" + b".dot at the start\n" * 60000),
}

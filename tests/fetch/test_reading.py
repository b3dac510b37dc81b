# SPDX-License-Identifier: MIT
"""restante list and show on Maildirs with real and with hostile mail: no server, no network."""

import base64
import binascii
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import unicodedata

import pytest

import restante

HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Desk:
    """A person's home with mail in it, and restante run there."""

    def __init__(self, home):
        self.home = home
        self.count = 0
        self.environment = {**os.environ, "HOME": str(home), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        for name in ("XDG_CONFIG_HOME", "COLUMNS"):
            self.environment.pop(name, None)
        self.maildir()

    def maildir(self, path="Mail/box"):
        for name in ("new", "cur", "tmp"):
            (self.home / path / name).mkdir(parents=True, exist_ok=True)
        return self.home / path

    def put(self, octets, name=None, place="new", folder="Mail/box"):
        self.count += 1
        path = self.maildir(folder) / place / (name or f"{1700000000 + self.count}.M1P1.host")
        path.write_bytes(octets)
        return path

    def run(self, *arguments, status=0, prefix=(), **environment):
        result = subprocess.run([*prefix, restante.BINARY, *map(str, arguments)], capture_output=True,
                                timeout=100, stdin=subprocess.DEVNULL, cwd=self.home,
                                env={**self.environment, **environment})
        assert result.returncode == status, result.stderr.decode(errors="replace")
        if status == 0 and not prefix:
            assert result.stderr == b""
        return result

    def text(self, *arguments, **environment):
        """What it prints; never anything that a terminal obeys."""
        shown = self.run(*arguments, **environment).stdout.decode()
        assert not HARMFUL.search(shown), ascii(HARMFUL.search(shown))
        return shown

    def on_a_terminal(self, *arguments, columns=80, status=0, **environment):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen([restante.BINARY, *map(str, arguments)], stdin=slave, stdout=slave,
                                   stderr=subprocess.PIPE, cwd=self.home,
                                   env={**self.environment, **environment})
        os.close(slave)
        shown = b""
        try:
            while octets := os.read(master, 65536):
                shown += octets
        except OSError:
            pass  # EIO: it has ended
        os.close(master)
        complaint = process.stderr.read()
        process.stderr.close()
        assert process.wait(60) == status, complaint
        return shown.decode().replace("\r\n", "\n")


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def letter(body=b"hello\n", *fields):
    head = [b"From: Alice <alice@example.org>", b"Date: Tue, 24 Nov 2026 10:00:00 +0100", *fields]
    if not any(field.startswith(b"Subject:") for field in fields):
        head.append(b"Subject: a letter")
    return b"\n".join(head) + b"\n\n" + body


def multipart(kind, *parts, boundary=b"=_b"):
    return (b'Content-Type: multipart/' + kind + b'; boundary="' + boundary + b'"\n\npreamble\n'
            + b"".join(b"--" + boundary + b"\n" + part + b"\n" for part in parts)
            + b"--" + boundary + b"--\nepilogue\n")


def whole(inner, *fields):
    """A message whose own header ends in that of `inner`."""
    return letter(b"", *fields).removesuffix(b"\n") + inner


def part(octets, kind=b"text/plain", *fields):
    return b"\n".join([b"Content-Type: " + kind, *fields]) + b"\n\n" + octets


def attachment(disposition, octets=b"data"):
    return part(base64.encodebytes(octets), b"application/octet-stream",
                b"Content-Transfer-Encoding: base64", b"Content-Disposition: attachment; " + disposition)


def columns(text):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in text)


# The list

SUBJECTS = (
    ("=?utf-8?B?5pel5pys6Kqe?= =?UTF-8?q?_=E2=82=AC?=", "日本語 €"),
    ("=?iso-8859-1?Q?caf=E9?= au lait", "café au lait"),
    ("=?koi8-r?B?8NLJ18XU?=", "Привет"),
    # One character over two words.
    ("=?utf-8?q?=E6=97?= =?utf-8?q?=A5?=", "日"),
    # What is no encoded word stays as it is.
    ("=?utf-8?x?abc?= and =?nothing", "=?utf-8?x?abc?= and =?nothing"),
    ("=?utf-8?q?a=1B[31mb=0Ac?=", "a\u241b[31mb c"),
    ("folded\n\tover lines", "folded over lines"),
)


@pytest.mark.sanitized
@pytest.mark.parametrize("raw, shown", SUBJECTS)
def test_subject_is_decoded(desk, raw, shown):
    desk.put(letter(b"x", b"Subject: " + raw.encode()))
    assert json.loads(desk.text("list", "--json"))["subject"].replace("\t", " ") in (
        shown, shown.replace("over", " over"))
    assert f"Subject: {shown}"[:12] in desk.text("show", "--peek", 1)


def test_list_in_the_order_of_arrival(desk):
    for number in (10, 9, 100):
        desk.put(letter(b"x", b"Subject: %d" % number), name=f"{number}.a", place="new")
    desk.put(letter(b"x", b"Subject: seen"), name="11.a:2,FS", place="cur")
    desk.put(letter(b"x", b"Subject: flagged"), name="12.a:2,F", place="cur")
    rows = [json.loads(line) for line in desk.text("list", "--json").splitlines()]
    assert [(row["number"], row["subject"], row["unread"]) for row in rows] == [
        (1, "9", True), (2, "10", True), (3, "seen", False), (4, "flagged", True), (5, "100", True)]
    assert rows[2] == {
        "account": "box", "number": 3, "unread": False, "date": "2026-11-24T09:00:00Z",
        "from": "Alice", "subject": "seen", "file": "cur/11.a:2,FS",
        "size": len(letter(b"x", b"Subject: seen"))}
    for row in rows:
        assert f"Subject: {row['subject']}\n" in desk.text("show", "--peek", row["number"])
    newest = [json.loads(line)["number"] for line in desk.text("list", "--json", "-n", 2).splitlines()]
    assert newest == [4, 5]


@pytest.mark.parametrize("width", (40, 63, 64, 80, 132))
def test_list_fits_the_terminal(desk, width):
    names = ("Alice", "Алиса", "愛麗絲" * 10, "Zoe\u0308" * 20, "a\u0301\u0301\u0301\u0301\u0301\u0301b")
    for number, name in enumerate(names):
        subject = base64.b64encode((name * 30).encode())
        desk.put(letter(b"x", b"Subject: =?utf-8?B?" + subject + b"?=").replace(b"Alice", name.encode()))
    lines = desk.on_a_terminal("list", columns=width).splitlines()
    assert len(lines) == len(names)
    assert {columns(line) for line in lines} == {width}
    assert desk.on_a_terminal("list", columns=20, COLUMNS=str(width)).splitlines() == lines
    # No terminal, no cut.
    assert names[2] * 30 in desk.text("list")


def test_list_with_a_terminal_of_one_column(desk):
    desk.put(letter())
    assert desk.on_a_terminal("list", columns=1)


def test_an_account_is_where_the_retriever_puts_it(desk):
    """Whatever its name is: an odd one is escaped in the folder's."""
    desk.put(letter(b"x", b"Subject: odd"), folder="Mail/my%20mail")
    folder = desk.home / ".config/restante"
    folder.mkdir(parents=True)
    (folder / "fetch.conf").write_text("[my mail]\nhost = x\nuser = y\n")
    rows = [json.loads(line) for line in desk.text("list", "--json").splitlines()]
    assert [(row["account"], row["subject"]) for row in rows] == [("my mail", "odd")]
    assert "odd" in desk.text("show", "--peek", 1, "my mail")
    (folder / "fetch.conf").unlink()
    assert "odd" in desk.text("show", "--peek", 1, "my mail")


def test_accounts(desk):
    """Those of fetch.conf first, then what lies in ~/Mail."""
    desk.put(letter(b"x", b"Subject: one"))
    desk.put(letter(b"x", b"Subject: two"), folder="elsewhere/mail")
    folder = desk.home / ".config/restante/conf.d"
    folder.mkdir(parents=True)
    (folder.parent / "fetch.conf").write_text("[work]\nhost = x\nmaildir = ~/elsewhere/mail\nwrong\n")
    (folder / "more.conf").write_text(f"[old]\nmbox = {desk.home}/old.mbox\n")
    (desk.home / "old.mbox").write_bytes(b"From a Tue\nSubject: three\n\nx\n")
    rows = [json.loads(line) for line in desk.text("list", "--json").splitlines()]
    assert [(row["account"], row["subject"]) for row in rows] == [
        ("work", "two"), ("old", "three"), ("box", "one")]
    assert desk.text("list").splitlines()[0::2] == ["work:", "old:", "box:"]
    assert "two" in desk.text("show", "--peek", 1, "work")
    assert "three" in desk.text("show", 1, "old")
    complaint = desk.run("show", 1, status=64).stderr.decode()
    assert "work, old, box" in complaint
    for name in ("../box", "", ".", "a/b"):
        assert b"there cannot be such an account" in desk.run("list", name, status=64).stderr
    # One that cannot be read does not hide the others.
    (desk.home / "old.mbox").unlink()
    result = desk.run("list", "--json", status=69)
    assert len(result.stdout.splitlines()) == 2 and b"old.mbox" in result.stderr


def test_usage(desk):
    for arguments in (["show"], ["show", "x"], ["show", "-1"], ["list", "--what"], ["list", "a", "b"],
                      ["show", "1", "--raw", "--part", "1"], ["show", "1", "--part", "0"],
                      ["list", "-n", "0"], ["show", "0"], ["show", "1"], ["list", "--maildir", "x", "a"]):
        assert desk.run(*arguments, status=64).stderr
    assert b"usage:" in desk.run("list", "--help").stdout + desk.run("show", "--help").stdout


def test_what_is_no_message(desk):
    """Other things in a Maildir hold nobody up."""
    os.mkfifo(desk.home / "Mail/box/new/1.fifo")
    (desk.home / "Mail/box/new/2.folder").mkdir()
    (desk.home / "Mail/box/new/3.link").symlink_to("/etc/passwd")
    desk.put(letter(), name="4.a")
    desk.put(b"", name="5.a")
    rows = [json.loads(line) for line in desk.text("list", "--json").splitlines()]
    assert [row["file"] for row in rows] == ["new/4.a", "new/5.a"]
    assert desk.text("show", 2) == "\n"


# One message

TEXTS = (
    ("utf-8", "Grüße, 日本語"), ("iso-8859-1", "Grüße"), ("ISO-8859-15", "10 €"),
    ("windows-1252", "“quoted” €"), ("koi8-r", "Привет"), ("windows-1251", "Привет"),
    ("iso-2022-jp", "日本語"), ("shift_jis", "日本語"), ("euc-jp", "日本語"), ("gb2312", "中文"),
    ("gbk", "中文"), ("big5", "中文"), ("euc-kr", "한국어"), ("utf-16", "日本"), ("utf-16le", "日本"),
    ("utf-7", "Grüße"), ("iso-8859-8", "שלום"), ("tis-620", "ไทย"), ("cp437", "Grüße"),
)


@pytest.mark.sanitized
@pytest.mark.parametrize("charset, text", TEXTS)
def test_charset(desk, charset, text):
    for coding, encode in (("base64", base64.encodebytes), ("8bit", bytes)):
        if coding == "8bit" and charset.startswith("utf-16"):
            continue
        octets = (text + "\n").encode(charset)
        desk.put(letter(encode(octets), b"Content-Type: text/plain; charset=" + charset.encode(),
                        b"Content-Transfer-Encoding: " + coding.encode()))
        assert desk.text("show", "--peek", desk.count).endswith(f"\n\n{text}\n")


@pytest.mark.parametrize("charset", (None, b"us-ascii", b"x-unknown", b"../../../etc/passwd", b"utf-8//IGNORE"))
def test_charset_that_is_not_known(desk, charset):
    fields = [b"Content-Type: text/plain; charset=\"" + charset + b"\""] if charset else []
    desk.put(letter("Grüße".encode(), *fields))
    desk.put(letter("Grüße \x80".encode("latin1"), *fields))
    assert desk.text("show", 1).endswith("\n\nGrüße\n".removesuffix("\n"))
    assert desk.text("show", 2).endswith("\n\nGrüße €")


def test_broken_text(desk):
    desk.put(letter(b"a\xffb\xc3", b"Content-Type: text/plain; charset=utf-8"))
    desk.put(letter(b"=C3=BC=ZZ=\nx=", b"Content-Type: text/plain; charset=utf-8",
                    b"Content-Transfer-Encoding: quoted-printable"))
    desk.put(letter(b"aGVsbG8!!gd29ybGQ=\n", b"Content-Transfer-Encoding: base64"))
    desk.put(letter(b"begin 644 x\n" + binascii.b2a_uu(b"hello") + b"`\nend\n", b"Content-Transfer-Encoding: x-uuencode"))
    assert desk.text("show", 1).endswith("a\ufffdb\ufffd")
    assert "ü=ZZx" in desk.text("show", 2)
    assert "hello world" in desk.text("show", 3)
    assert desk.text("show", 4).endswith("\n\nhello")


def test_terminal_without_unicode(desk):
    desk.put(letter("“Grüße” – 日本\n".encode(), b"Content-Type: text/plain; charset=utf-8",
                    "Subject: Grüße".encode()))
    shown = desk.text("show", "--peek", 1, LC_ALL="C")
    assert shown.isascii()
    assert "Subject: Gr??e\n" in shown and '"Gr??e" - ??\n' in shown
    assert "Gr??e" in desk.text("list", LC_ALL="C")


HTML = """<!DOCTYPE html><html><head><title>hidden</title><style>p { color: red }</style>
<script>alert("hidden")</script></head><body><!-- hidden --><h1>Gr&uuml;&szlig;e</h1>
<p>One   two<br>three &lt;b&gt; &amp;c; &#8364; &#x20AC; &#27;[31m &copy</p>
<ul><li>first<li>second</ul>
<p>See <a href="https://example.org/evil">https://example.com/</a>, <a href="https://example.org/">https://example.org/</a>
<a href="javascript:hidden()">click</a> <img src="http://tracker.example/x" alt="a picture"></p>
<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>
<pre>  kept
    as it is</pre>1 < 2</body></html>"""


@pytest.mark.sanitized
def test_html_only(desk):
    desk.put(letter(HTML.encode(), b"Content-Type: text/html; charset=utf-8"))
    shown = desk.text("show", 1)
    assert "hidden" not in shown and "red" not in shown and "tracker" not in shown
    for text in ("\nGrüße\n", "One two\nthree <b> &c; € € \ufffd[31m ©", "* first\n* second\n",
                 "See https://example.com/ <https://example.org/evil>, https://example.org/\nclick [a picture]\n",
                 "\na b\nc\n", "\n  kept\n    as it is\n", "1 < 2\n"):
        assert text in shown, text


def test_html_without_a_charset_but_with_a_meta(desk):
    desk.put(letter('<meta charset="koi8-r"><p>Привет</p>'.encode("koi8-r"), b"Content-Type: text/html"))
    assert "Привет" in desk.text("show", 1)


def test_long_html_paragraph_is_broken(desk):
    desk.put(letter(b"<p>" + b"word " * 100 + b"x" * 200, b"Content-Type: text/html"))
    lines = desk.text("show", 1).partition("\n\n")[2].splitlines()
    assert max(len(line) for line in lines if "word" in line) <= 78
    assert "x" * 200 in lines


@pytest.mark.sanitized
def test_alternatives(desk):
    plain, page = part(b"the plain text"), part(b"<p>the page", b"text/html")
    desk.put(whole(multipart(b"alternative", plain, page)))
    desk.put(whole(multipart(b"alternative", page, plain)))
    desk.put(whole(multipart(b"alternative", part(b" \n\n"), multipart(
        b"related", page, attachment(b'filename="logo.png"'), boundary=b"inner"))))
    for number in (1, 2):
        shown = desk.text("show", number)
        assert "the plain text" in shown and "the page" not in shown
    shown = desk.text("show", 3)
    assert "the page" in shown and "logo.png" in shown


@pytest.mark.sanitized
def test_nested_and_forwarded(desk):
    inner = letter(b"inner text\n", b"Subject: =?utf-8?q?inner_=E2=82=AC?=", b"To: bob@example.org")
    desk.put(whole(multipart(
        b"mixed", part(b"outer text"), part(inner, b"message/rfc822"),
        multipart(b"mixed", part(b"deep text"), attachment(b"filename=deep.bin"), boundary=b"=_b2"),
        part(b"last text"))))
    shown = desk.text("show", 1)
    places = [shown.index(text) for text in (
        "outer text", "[2: message/rfc822", "To: bob@example.org", "Subject: inner €", "inner text",
        "deep text", "deep.bin", "last text")]
    assert places == sorted(places)
    assert "preamble" not in shown and "epilogue" not in shown
    assert desk.run("show", "--part", 2, 1).stdout == inner
    desk.put(whole(multipart(b"digest", b"\n" + inner, b"\n" + inner)))
    assert desk.text("show", 2).count("inner text") == 2


@pytest.mark.sanitized
@pytest.mark.parametrize("octets", (
    whole(b"Content-Type: multipart/mixed\n\n--x\n\nno boundary\n"),
    whole(b"Content-Type: multipart/mixed; boundary=b\n\nno part\n"),
    whole(b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n--b\n\nx\n--b--\n"),
    whole(b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n--b--"),
    whole(b"Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n--b"),
    whole(b"Content-Type: ;;;=\nContent-Disposition: \"\nContent-Transfer-Encoding: ?\n\nx\n"),
    b"no header at all\n", b"\n", b"Subject: no body", b"Subject: cr\r\n\r\nx\r\n", b"\xff\x00\n\n\x00",
    whole(b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b \t\n\ntwo\n--bb\n\nthree\n"),
))
def test_odd_messages(desk, octets):
    desk.put(octets)
    shown = desk.text("show", "--peek", 1)
    if octets.endswith(b"three\n"):
        assert "one\n" in shown and "two\n--bb\n" in shown
    assert desk.run("show", "--raw", 1).stdout == octets
    desk.text("list")


ESCAPES = "\x1b[2J\x1b]0;title\x07 \x9b31m \u202eevil\u202c \u2066x\u2069 \x08\x7f\x00 \u2028end"


@pytest.mark.sanitized
def test_nothing_that_a_terminal_obeys(desk):
    """The text itself is checked by Desk.text."""
    encoded = b"=?utf-8?B?" + base64.b64encode(ESCAPES.encode()) + b"?="
    name = b"filename*=utf-8''" + b"".join(b"%%%02x" % octet for octet in ESCAPES.replace("\0", "").encode())
    desk.put(whole(multipart(
        b"mixed", part(base64.encodebytes(ESCAPES.encode()), b"text/plain; charset=utf-8",
                       b"Content-Transfer-Encoding: base64"),
        part(("<p>&#27;[2J&#155;&#x202e;" + ESCAPES).encode(), b"text/html; charset=utf-8"),
        part(ESCAPES.encode(), b"text/plain; charset=us-ascii"), attachment(name),
        part(b"x", b"application/x-\x1b[2J\xc2\x9b")),
        b"Subject: " + encoded, b"To: " + encoded + b" <a@b>", b"Cc: " + ESCAPES.encode()))
    desk.put(letter(ESCAPES.encode(), b"Subject: " + ESCAPES.encode()))
    for arguments in (("list",), ("list", "--json"), ("show", "--peek", 1), ("show", "--peek", 2)):
        assert "end" in desk.text(*arguments)
        shown = desk.on_a_terminal(*arguments)
        assert not HARMFUL.search(shown), arguments
    folder = desk.home / "saved"
    folder.mkdir()
    desk.text("show", "--save", folder, 1)
    for path in folder.iterdir():
        assert not HARMFUL.search(path.name)
    # As it came, save on a terminal.
    assert ESCAPES.encode() in desk.run("show", "--raw", 2).stdout
    assert desk.run("show", "--part", 1, 1).stdout == ESCAPES.encode()
    for arguments in (("--raw", 2), ("--part", 1, 1)):
        shown = desk.on_a_terminal("show", *arguments)
        assert "\u241b[2J" in shown and not HARMFUL.search(shown)
    assert "␛" in desk.on_a_terminal("list", LC_ALL="C.UTF-8") and "␛" in desk.text("list")


def test_raw_in_pieces_on_a_terminal(desk):
    """Characters over the ends of what is read at once."""
    text = "é€😀" * 30000
    desk.put(b"x" + text.encode())
    assert desk.on_a_terminal("show", "--raw", 1).replace("\n", "") == "x" + text


# Attachments

NAMES = (
    (b'filename="../../x"', "x"),
    (b'filename="..\\\\..\\\\evil.exe"', "evil.exe"),
    (b'filename="/etc/passwd"', "passwd"),
    (b'filename=".bashrc"', "bashrc"),
    (b'filename="-rf"', "rf"),
    (b'filename=".."', "part-2"),
    (b'filename="dir/"', "part-2"),
    (b'filename=""', "part-2"),
    (b"size=1", "part-2"),
    (b"filename*=utf-8''%2e%2e%2fx%2fy.txt", "y.txt"),
    (b"filename*=utf-8''Gr%C3%BC%C3%9Fe%20%E2%82%AC.pdf", "Grüße €.pdf"),
    (b"filename*0*=iso-8859-1''Gr%FC; filename*1*=%DFe.txt", "Grüße.txt"),
    (b'filename="=?utf-8?B?w7wucGRm?="', "ü.pdf"),
    (b'filename="=?utf-8?q?..=2F..=2Fu.pdf?="', "u.pdf"),
    (b'filename="a\x1b[2Jb.txt"', "a_[2Jb.txt"),
    (b'filename="a\tb|c;d$e`f"', "a b_c_d_e_f"),
    (b"filename*=utf-8''a%E2%80%AEfdp.exe", "a_fdp.exe"),
    (b"filename*=utf-8''a%0a%0db", "a _b"),
    (b'filename="' + b"n" * 300 + b'.pdf"', "n" * 196 + ".pdf"),
    (b"filename*=utf-8''" + b"%E2%82%AC" * 100, "€" * 66),
    (b'filename="trailing. . "', "trailing"),
    (b'filename="con:aux*"', "con_aux_"),
)


@pytest.mark.sanitized
@pytest.mark.parametrize("disposition, name", NAMES)
def test_name_of_an_attachment(desk, disposition, name):
    desk.put(whole(multipart(b"mixed", part(b"text"), attachment(disposition, b"octets"))))
    folder = desk.home / "a" / "b"
    folder.mkdir(parents=True)
    before = {path for path in desk.home.rglob("*")}
    assert desk.text("show", "--save", folder, 1).rstrip("\n")
    made = {path for path in desk.home.rglob("*")} - before
    assert {path.relative_to(folder).as_posix() for path in made} == {name}
    assert (folder / name).read_bytes() == b"octets"
    assert (folder / name).stat().st_mode & 0o777 == 0o600


def test_name_with_nul(desk):
    desk.put(whole(multipart(b"mixed", part(b"text"), attachment(b'filename="a\0../b"'),
                             attachment(b"filename*=utf-8''a%00%2f..%2fb"))))
    folder = desk.home / "saved"
    folder.mkdir()
    desk.text("show", "--save", folder, 1)
    assert len(list(folder.iterdir())) == 2
    assert not [path for path in desk.home.iterdir() if path.name not in ("Mail", "saved")]


@pytest.mark.sanitized
def test_saving_overwrites_nothing(desk):
    desk.put(whole(multipart(b"mixed", attachment(b"filename=x.pdf", b"1"), attachment(b"filename=x.pdf", b"2"),
                             attachment(b"filename=link", b"3"))))
    folder = desk.home / "saved"
    folder.mkdir()
    (folder / "x.pdf").write_bytes(b"mine")
    (folder / "link").symlink_to(desk.home / "made-through-a-link")
    assert desk.text("show", "--save", folder, 1) == "x-1.pdf\nx-2.pdf\nlink-1\n"
    assert (folder / "x.pdf").read_bytes() == b"mine"
    assert [(folder / name).read_bytes() for name in ("x-1.pdf", "x-2.pdf", "link-1")] == [b"1", b"2", b"3"]
    assert not (desk.home / "made-through-a-link").exists()
    assert desk.text("show", "--save", folder, 1) == "x-3.pdf\nx-4.pdf\nlink-2\n"
    assert b"nowhere" not in desk.run("show", "--save", "nowhere", 1, status=69).stdout


def test_forwarded_message_as_an_attachment(desk):
    inner = whole(multipart(b"mixed", part(b"t"), attachment(b"filename=in.bin"), boundary=b"in"))
    desk.put(whole(multipart(b"mixed", part(b"outer"), part(
        inner, b"message/rfc822", b"Content-Disposition: attachment"))))
    folder = desk.home / "saved"
    folder.mkdir()
    assert desk.text("show", "--save", folder, 1) == "part-2.eml\n"
    assert (folder / "part-2.eml").read_bytes() == inner.rstrip(b"\n") + b"\n"


def test_large_attachment_in_bounded_memory(desk):
    octets = os.urandom(1 << 20) * 40
    desk.put(whole(multipart(b"mixed", part(b"text"), attachment(b"filename=large", octets))))
    assert "[2: application/octet-stream, 40M, large]" in desk.text("show", 1)
    assert bounded(desk, "show", "--part", 2, 1) == octets


def test_part_on_a_terminal(desk):
    desk.put(whole(multipart(b"mixed", part(b"the text"), attachment(b"filename=x"))))
    assert "the text" in desk.on_a_terminal("show", "--part", 1, 1)
    desk.on_a_terminal("show", "--part", 2, 1, status=64)
    desk.run("show", "--part", 3, 1, status=64)


# What is read

@pytest.mark.sanitized
def test_showing_marks_as_read(desk):
    desk.put(letter(), name="1.a")
    desk.put(letter(), name="2.a,S=5:2,FT", place="cur")
    desk.put(letter(), name="3.a:2,S", place="cur")
    desk.put(letter(), name="4.a:1,x", place="cur")
    folder = desk.home / "Mail/box"
    names = lambda: sorted(str(path.relative_to(folder)) for path in folder.rglob("*.a*"))
    before = names()
    (desk.home / "saved").mkdir()
    for number in range(1, 5):
        for arguments in (("--peek",), ("--raw",), ("--part", "1"), ("--save", "saved")):
            desk.run("show", *arguments, number)
    assert names() == before
    for number in range(1, 5):
        desk.run("show", number)
    assert names() == ["cur/1.a:2,S", "cur/2.a,S=5:2,FST", "cur/3.a:2,S", "cur/4.a:1,x"]
    assert [json.loads(line)["unread"] for line in desk.text("list", "--json").splitlines()] == [
        False, False, False, True]


def test_reading_what_cannot_be_marked(desk):
    path = desk.put(letter(), name="1.a")
    (desk.home / "Mail/box/cur/1.a:2,S").mkdir()
    result = desk.run("show", 1, prefix=("env",))
    assert b"hello" in result.stdout and b"marking message 1 as read" in result.stderr
    assert path.exists()


@pytest.mark.parametrize("place, flags", (("new", ""), ("cur", ":2,S")))
def test_same_message_in_both_folders(desk, place, flags):
    """A client is just moving it."""
    desk.put(letter(), name="1.a")
    desk.put(letter(), name="1.a:2,S", place="cur")
    rows = desk.text("list", "--json").splitlines()
    assert [json.loads(row)["file"] for row in rows] == ["cur/1.a:2,S"]


def test_mutt_reads_the_same_maildir(desk):
    for number in (1, 2, 3):
        desk.put(letter(b"text %d\n" % number, b"Subject: letter %d" % number), name=f"{number}.a")
    desk.text("list")
    desk.text("show", 2)
    rc = desk.home / "muttrc"
    rc.write_text(f"set folder={desk.home} mbox_type=Maildir sort=mailbox-order quit=yes wait_key=no\n"
                  "set header_cache=\"\" mark_old=no confirmappend=no confirmcreate=no copy=no delete=yes\n"
                  f'push "<tag-pattern>~N<enter><tag-prefix><copy-message>{desk.home}/unread<enter>'
                  f'<untag-pattern>~A<enter><delete-pattern>~s\'letter 3\'<enter><quit>"\n')
    master, slave = pty.openpty()
    with subprocess.Popen(["mutt", "-n", "-F", rc, "-f", desk.home / "Mail/box"], stdin=slave, stdout=slave,
                          stderr=slave, cwd=desk.home, start_new_session=True,
                          env={**desk.environment, "TERM": "xterm"}) as process:
        os.close(slave)
        try:
            while os.read(master, 65536):
                pass
        except OSError:
            pass  # EIO: it has ended
        os.close(master)
        assert process.wait(60) == 0
    unread = sorted(re.search(rb"Subject: (.*)", path.read_bytes())[1]
                    for path in (desk.home / "unread").rglob("*.*") if path.is_file())
    assert unread == [b"letter 1", b"letter 3"]
    rows = [json.loads(row) for row in desk.text("list", "--json").splitlines()]
    assert [(row["subject"], row["unread"]) for row in rows] == [("letter 1", True), ("letter 2", False)]


@pytest.mark.sanitized
def test_mbox(desk):
    box = desk.home / "box"
    first = letter(b"text\n>From me\nFrom you\n>>From them\n\nmore\n")
    quoted = first.replace(b"\n>>From", b"\n>>>From").replace(b"\n>From me", b"\n>>From me").replace(
        b"\nFrom you", b"\n>From you")
    second = letter(b"second\n", b"Status: RO")
    box.write_bytes(b"From a@b Tue Nov 24\n" + quoted + b"\nFrom c@d Tue Nov 24\n" + second + b"\n")
    rows = [json.loads(row) for row in desk.text("list", "--json", "--mbox", box).splitlines()]
    assert [(row["number"], row["unread"], row["file"]) for row in rows] == [(1, True, None), (2, False, None)]
    assert desk.run("show", "--raw", 1, "--mbox", box).stdout == first
    assert desk.run("show", "--raw", 2, "--mbox", box).stdout == second
    assert "\n>From me\nFrom you\n>>From them\n" in desk.text("show", 1, "--mbox", box)
    box.write_bytes(b"")
    assert desk.text("list", "--mbox", box) == ""
    box.write_bytes(b"nothing of the kind\n")
    desk.run("list", "--mbox", box, status=65)


# Bounds

# 10 seconds of a processor, 100 MiB of addresses: the program itself has 40.
LIMITS = ("prlimit", "--cpu=10", "--as=104857600") if not restante.SANITIZED else ("prlimit", "--cpu=60")


def bounded(desk, *arguments):
    """What it prints under those limits."""
    result = desk.run(*arguments, prefix=LIMITS)
    assert not result.stderr
    return result.stdout


def nested(depth):
    return b"Subject: nested\nContent-Type: multipart/mixed; boundary=b0\n\n" + b"".join(
        b"--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n" % (i, i + 1) for i in range(depth))


def forwarded(depth):
    return b"Subject: forwarded\n" + b"Content-Type: message/rfc822\n\n" * depth


HOSTILE = {
    "nested": (lambda: nested(100_000), "over 50 deep"),
    "forwarded": (lambda: forwarded(100_000), "over 50 deep"),
    "parts": (lambda: whole(multipart(b"mixed", *[part(b"x", b"image/png")] * 100_000)), "more than 1000 parts"),
    "headers": (lambda: b"".join(b"X-%d: x\n" % i for i in range(1_000_000)) + b"\nx\n", "over 256 KiB"),
    "line": (lambda: b"Subject: " + b"x" * 100_000_000 + b"\n\nx\n", "over 256 KiB"),
    "part header": (lambda: whole(multipart(b"mixed", b"X: " + b"x" * 20_000_000 + b"\n\nx")), "over 256 KiB"),
    "addresses": (lambda: letter(b"x", b"To: " + b"a:(" * 1_000_000), "over 256 KiB"),
    "parameters": (lambda: whole(b"Content-Type: text/plain" + b";\n a*0*=utf-8''x" * 500_000 + b"\n\nx"),
                   "over 256 KiB"),
    "text": (lambda: letter(b"x" * 20_000_000), "--part 1 gives all"),
    "boundaries": (lambda: nested(49) + b"--\n" * 5_000_000, "Subject: nested"),
    "html": (lambda: letter(b"<a href=x><li><b " * 3_000_000, b"Content-Type: text/html"), "--part 1 gives all"),
    "entities": (lambda: letter(b"&#x1b;&lt" * 3_000_000, b"Content-Type: text/html"), "--part 1 gives all"),
    "words": (lambda: letter(b"x", b"Subject: " + b"=?utf-8?q?x?= " * 50_000), "over 256 KiB"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_message_costs_little(desk, name):
    make, word = HOSTILE[name]
    desk.put(make())
    assert len(bounded(desk, "list")) < 200_000
    shown = bounded(desk, "show", 1).decode()
    assert word in shown and len(shown) < 6 << 20 and not HARMFUL.search(shown)


def test_part_of_a_gigabyte(desk):
    """Holes in a file are octets like others."""
    path = desk.put(letter(b"", b"Content-Type: text/plain", b"Content-Transfer-Encoding: base64"))
    with open(path, "ab") as file:
        file.write(base64.encodebytes(b"the beginning\n" * 999))
        file.truncate(1 << 30)
        file.seek(0, os.SEEK_END)
        file.write(base64.encodebytes(b"\nfar beyond what is decoded to show it\n"))
    shown = bounded(desk, "show", 1).decode()
    assert "the beginning" in shown and "--part 1 gives all of it" in shown
    assert "far beyond" not in shown


def test_no_network(desk):
    """What a message names is never looked up: no socket is made at all."""
    desk.put(letter(HTML.encode(), b"Content-Type: text/html"))
    for arguments in (("list",), ("show", 1)):
        trace = desk.run(*arguments, prefix=("strace", "-f", "-e", "trace=%network")).stderr
        assert b"exited with 0" in trace and b"socket" not in trace

"""What nginx answers to the same requests for the same files, and where and why we differ."""

import email.utils
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import nginx
from tests.helpers.fix_worker import ThreadLauncher, ThreadServer
from tests.helpers.response_reader import Answer

pytestmark = pytest.mark.skipif(nginx.PROGRAM is None, reason="nginx is not installed")

APP = 'kore.domain("*", attach="http").filemaps({"/": "ROOT"})\n'
CHANGED = 1_000_000_000
THEN, BEFORE, AFTER = (email.utils.formatdate(CHANGED + by, usegmt=True) for by in (0, -9, 9))
DIGITS = bytes(range(48, 58)) * 100
# Fields that say something about the file. Tags and boundaries are each server's own; of ranges
# being accepted nginx speaks in answers of 200 only.
COMPARED = (
    "content-length", "content-range", "content-type", "content-encoding", "last-modified",
    "location", "vary",
)  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    (root / "sub").mkdir()
    (root / "none").mkdir()
    files = {
        "digits": DIGITS, "empty": b"", "a.txt": b"text", "index.html": b"<title>i</title>",
        "sub/index.html": b"sub", "one": b"1", "a.js": b"var a;", "a.js.gz": b"zipped",
        "big": os.urandom(300_000), "a b.txt": b"blank", "caf\xe9.txt": b"accent",
    }  # fmt: skip
    for name, data in files.items():
        (root / name).write_bytes(data)
        os.utime(root / name, (CHANGED, CHANGED))
    root.chmod(0o755)
    return root


@pytest.fixture(scope="module")
def both(
    serve_thread: ThreadLauncher, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ThreadServer, nginx.Nginx]]:
    settings = {"filemap_charset": "", "http_media_type": "application/javascript js"}
    ours = serve_thread(APP.replace("ROOT", str(root)), settings=settings)
    with nginx.serving(root, tmp_path_factory.mktemp("nginx")) as theirs:
        yield ours, theirs


@dataclass(frozen=True)
class Case:
    """A request; what we answer otherwise, by name of a field, and for what reason."""

    path: str
    fields: tuple[str, ...] = ()
    method: str = "GET"
    differs: dict[str, Any] = field(default_factory=dict)
    why: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path} {' '.join(self.fields)}"[:100]


def case(path: str, *fields: str, method: str = "GET", why: str = "", **differs: Any) -> Case:
    return Case(path, fields, method, {k.replace("_", "-"): v for k, v in differs.items()}, why)


def ranges(*texts: str, **differs: Any) -> list[Case]:
    """Return a request for each Range field."""
    return [case("/digits", f"Range: {text}", **differs) for text in texts]


# Every answer of ours says what its file may be compressed to; nginx, when there is such a file.
VARY = {"vary": "accept-encoding"}
IGNORED = "RFC 9110 14.2: a field that is invalid may be ignored; then the client has the file"
WHOLE = {
    "status": 200, "content-length": "1000", "content-range": None, "content-encoding": None,
    "content-type": "application/octet-stream", "last-modified": THEN, "body": DIGITS, **VARY,
}  # fmt: skip

HUGE = {**WHOLE, "status": 206, "content-range": "bytes 0-999/1000"}

CASES = [
    # ---- files
    case("/digits"), case("/a.txt"), case("/"), case("/index.html"), case("/sub/"),
    case("/big"), case("/one"), case("/empty"), case("/a%20b.txt"), case("/caf%C3%A9.txt"),
    case("/a.txt?query=1"), case("/%61.txt"),
    *[case(path, method="HEAD") for path in ("/digits", "/", "/empty", "/a.txt", "/big")],
    case("/missing"), case("/missing/"), case("/a.txt/"), case("/a.txt", method="PUT"),
    case("/a.txt", method="POST"), case("/a.txt", method="DELETE"), case("/missing", method="HEAD"),
    case("/none/", status=404, why="nginx: 403, there might be a listing. Nothing is there"),
    case("/sub", location="/sub/", why="nginx names itself: http://localhost:port/sub/"),
    case("/sub?a=b", location="/sub/?a=b", why="as above"),
    case("//a.txt", status=404, why="one spelling: maps with authentication cannot be passed by"),
    case("/./a.txt", status=404, why="as above"),
    case("/sub/../a.txt", status=404, why="as above"),
    case("/sub%2Findex.html", status=404, why="as above"),
    case("/../etc/passwd", status=404, why="nginx: 400"),
    case("/%2e%2e/etc/passwd", status=404, why="nginx: 400"),
    case("/..%2fetc/passwd", status=404, why="nginx: 400"),
    case("/%00"),
    # ---- codings
    case("/a.js", "Accept-Encoding: gzip"), case("/a.js", "Accept-Encoding: gzip;q=0"),
    case("/a.js"), case("/a.js", "Accept-Encoding: identity"),
    case("/a.js", "Accept-Encoding: *", content_encoding="gzip", body=b"zipped",
         why="RFC 9110 12.5.3: a star is any coding"),
    case("/a.js", "Accept-Encoding: gzip", method="HEAD"),
    case("/a.js", "Accept-Encoding: gzip", "Range: bytes=0-1", status=206, body=b"zi",
         content_range="bytes 0-1/6", content_length="2",
         why="RFC 9110 14.2: of what is sent, compressed or not; nginx sends all of it"),
    # ---- one range
    *ranges(
        "bytes=0-0", "bytes=0-9", "bytes=1-1", "bytes=990-", "bytes=999-", "bytes=0-", "bytes=-1",
        "bytes=-10", "bytes=-1000", "bytes=-5000", "bytes=500-5000", "bytes=0-999", "bytes=0-1000",
        "bytes=000-009", "bytes= 0-9", "bytes=0-9 ", "lines=0-9", "bytes 0-9",
        "bytes=",
    ),
    *ranges("bytes=1000-", "bytes=1000-2000", "bytes=5000-", "bytes=-0", "bytes=99999999999-"),
    *ranges("bytes=9-0", "bytes=a-b", "bytes=-", "bytes=0 -9", "bytes=--1", "bytes=0", "bytes=+0-9",
            "bytes=0-9-", "bytes=0x0-9", "bytes=0-9;10-19", why=IGNORED, **WHOLE),
    *ranges("bytes=99999999999999999999-"),
    *ranges("bytes=0-99999999999999999999", "bytes=-99999999999999999999", **HUGE,
            why="RFC 9110 14.1.2: to the end, however far beyond it; nginx counts with 63 bits"),
    case("/big", "Range: bytes=100000-299998"), case("/big", "Range: bytes=-70000"),
    case("/empty", "Range: bytes=0-"), case("/empty", "Range: bytes=-1"),
    case("/one", "Range: bytes=0-0"), case("/one", "Range: bytes=1-"),
    case("/missing", "Range: bytes=0-1"),
    case("/digits", "Range: bytes=0-9", method="HEAD", **{**WHOLE, "body": b""},
         why="RFC 9110 14.2: Range is defined for GET alone"),
    case("/digits", "Range: bytes=0-9", "Range: bytes=20-29", **WHOLE,
         why="two fields say two things; nginx follows the first"),
    # ---- several ranges
    *ranges("bytes=0-0,2-2", "bytes=0-9,20-29,-10", "bytes=20-29,0-9", "bytes=0-9, 20-29",
            "bytes=0-9,10-19", "bytes=0-9,5000-", "bytes=5000-,6000-"),
    *ranges("bytes=,0-9,,5000-", status=206, body=DIGITS[:10], content_range="bytes 0-9/1000",
            content_length="10", content_type="application/octet-stream", last_modified=THEN,
            **VARY, why="RFC 9110 5.6.1.2: empty elements of a list do not count"),
    *ranges("bytes=0-99,50-149", status=206, content_range="bytes 0-149/1000", body=DIGITS[:150],
            content_length="150", content_type="application/octet-stream",
            why="RFC 9110 15.3.7.2: what overlaps is one part, sent once"),
    *ranges("bytes=0-,0-,0-", status=206, content_range="bytes 0-999/1000", body=DIGITS,
            content_length="1000", **VARY,
            why="the same; nginx sends the whole file with 200"),
    *ranges("bytes=" + ",".join(f"{n}-{n}" for n in range(0, 80, 2)), **WHOLE,
            why="RFC 9110 14.2: more than 32 ranges are no honest client's"),
    *ranges("bytes=0-1,x", why=IGNORED, **WHOLE),
    # ---- preconditions
    case("/digits", f"If-Modified-Since: {THEN}"), case("/digits", f"If-Modified-Since: {BEFORE}"),
    case("/digits", f"If-Modified-Since: {AFTER}", status=304,
         why="RFC 9110 13.1.3: not changed after that date; nginx asks for the very date"),
    case("/digits", "If-Modified-Since: yesterday"),
    case("/digits", "If-Modified-Since: Sunday, 09-Sep-01 01:46:40 GMT"),
    case("/digits", "If-Modified-Since: Sun Sep  9 01:46:40 2001"),
    case("/digits", f"If-Unmodified-Since: {THEN}"),
    case("/digits", f"If-Unmodified-Since: {AFTER}"),
    case("/digits", f"If-Unmodified-Since: {BEFORE}"),
    case("/digits", "If-None-Match: *"), case("/digits", 'If-None-Match: "x"'),
    case("/digits", "If-None-Match: ETAG"), case("/digits", "If-None-Match: W/ETAG"),
    case("/digits", 'If-None-Match: "a", ETAG, "b"'),
    case("/digits", "If-None-Match: ETAG", method="HEAD"),
    case("/digits", 'If-None-Match: "x"', f"If-Modified-Since: {THEN}"),
    case("/digits", "If-None-Match: ETAG", f"If-Modified-Since: {BEFORE}", status=304,
         why="RFC 9110 13.1.3: the date does not count beside a tag"),
    case("/digits", "If-Match: *"), case("/digits", "If-Match: ETAG"),
    case("/digits", 'If-Match: "x"'), case("/digits", 'If-Match: "x", ETAG'),
    case("/digits", "If-Match: W/ETAG"), case("/digits", 'If-Match: "x"', "Range: bytes=0-9"),
    case("/digits", "If-None-Match: ETAG", "Range: bytes=0-9"),
    # ---- If-Range
    case("/digits", "If-Range: ETAG", "Range: bytes=0-9"),
    case("/digits", 'If-Range: "x"', "Range: bytes=0-9"),
    case("/digits", "If-Range: W/ETAG", "Range: bytes=0-9"),
    case("/digits", f"If-Range: {THEN}", "Range: bytes=0-9"),
    case("/digits", f"If-Range: {AFTER}", "Range: bytes=0-9"),
    case("/digits", f"If-Range: {BEFORE}", "Range: bytes=0-9"),
    case("/digits", "If-Range: junk", "Range: bytes=0-9"), case("/digits", "If-Range: ETAG"),
    case("/digits", "If-Range: ETAG", "Range: bytes=5000-"),
    case("/digits", 'If-Range: "x"', "Range: bytes=5000-"),
]  # fmt: skip


def ask(server: ThreadServer | nginx.Nginx, one: Case) -> Answer:
    """Return the answer to a case, which may name the tag of the file."""
    fields = list(one.fields)
    if any("ETAG" in each for each in fields):
        etag = ask(server, Case(one.path)).get("etag")
        assert etag
        fields = [each.replace("ETAG", etag) for each in fields]
    with server.connect() as client:
        lines = [f"{one.method} {one.path} HTTP/1.1", "Host: localhost", *fields, "", ""]
        return client.ask("\r\n".join(lines).encode(), one.method)


def seen(answer: Answer) -> dict[str, Any]:
    """Return what is compared of an answer."""
    found: dict[str, Any] = {name: answer.get(name) for name in COMPARED}
    found["status"], found["body"] = answer.status, answer.body
    if found["vary"]:
        found["vary"] = found["vary"].lower()
    if (found["content-type"] or "").startswith("multipart/byteranges; boundary="):
        boundary = found["content-type"].partition("=")[2].encode()
        assert len(answer.body) == int(found["content-length"])
        found["body"] = [
            (re.findall(rb"(?i)content-range: ([^\r]*)", head), data)
            for head, _, data in (
                part.removesuffix(b"\r\n").partition(b"\r\n\r\n")
                for part in answer.body.split(b"--" + boundary)
            )
        ]
        found["content-type"], found["content-length"] = "multipart/byteranges", None
    if answer.status >= 300:
        for name in ("body", "content-length", "content-type", "last-modified", "vary"):
            del found[name]
    return found


@pytest.mark.parametrize("one", CASES, ids=str)
def test_we_answer_as_nginx_does_or_say_why_not(
    both: tuple[ThreadServer, nginx.Nginx], one: Case
) -> None:
    ours, theirs = (seen(ask(server, one)) for server in both)
    if "vary" in ours and "vary" in theirs and theirs["vary"] is None:
        theirs["vary"] = ours["vary"]  # see VARY
    expected = {name: one.differs.get(name, theirs.get(name)) for name in ours}

    assert ours == expected, one.why
    if one.differs and one.why != IGNORED:
        assert ours != theirs, f"nginx does the same: {one.why}"


def test_304_has_the_required_fields(both: tuple[ThreadServer, nginx.Nginx]) -> None:
    """RFC 9110 15.4.5: what a 200 would have said of date, tag, variants, caching."""
    for server in both:
        answer = ask(server, case("/digits", "If-None-Match: ETAG"))
        assert (answer.status, answer.body) == (304, b"")
        assert answer.get("etag")
        assert answer.get("date")
        assert answer.get("content-length") is None


def test_a_416_says_how_long_the_file_is(both: tuple[ThreadServer, nginx.Nginx]) -> None:
    for server in both:
        answer = ask(server, case("/digits", "Range: bytes=1000-"))
        assert (answer.status, answer.get("content-range")) == (416, "bytes */1000")

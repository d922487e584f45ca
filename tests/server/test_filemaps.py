"""Filemaps as a client sees them: which file, with which fields, to whom."""

import gzip
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from kore._values.dates import format_http_date
from tests.helpers.fix_serve import Launcher
from tests.helpers.fix_worker import ThreadLauncher, ThreadServer
from tests.helpers.procs import until
from tests.helpers.response_reader import Answer

APP = """
async def known(req, value):
    return value == "ok"

kore.config.http_media_type = "application/x-own own"
domain = kore.domain("*", attach="http")
domain.route("/before", lambda req: req.response(200, b"route"), methods=["get"])
domain.filemaps({"/": "www"})
domain.filemaps({"/private/": ("www/private", {"type": "cookie", "value": "s", "verify": known})})
domain.route("/after", lambda req: req.response(200, b"route"), methods=["get", "post"])
"""
PAGE = b"<!doctype html><title>page</title>" * 50
# A file of this very second has no `last-modified`.
LONG_AGO = 1_700_000_000


@pytest.fixture(scope="module")
def www(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a site in it."""
    root = tmp_path_factory.mktemp("site") / "www"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "private").mkdir()
    (root / "empty-dir").mkdir()
    (root / "index.html").write_bytes(PAGE)
    (root / "sub" / "index.html").write_text("sub index")
    (root / "sub" / "a b.txt").write_text("blank")
    (root / "sub" / "caf\xe9.txt").write_text("accent")
    (root / "private" / "x").write_text("private x")
    (root / "empty").touch()
    (root / "before").write_text("file")
    (root / "after").write_text("file")
    (root / "about.html").write_text("about")
    (root / "thing.own").write_text("own")
    (root / "noext").write_text("?")
    (root / ".hidden").write_text("hidden")
    (root / ".well-known").mkdir()
    (root / ".well-known" / "x.txt").write_text("known")
    (root / "large.bin").write_bytes(os.urandom(3_000_000))
    for name, data in (("app.js", b"var a;" * 100), ("pic.png", b"png" * 100)):
        (root / name).write_bytes(data)
        for suffix in (".br", ".zst", ".gz"):
            (root / (name + suffix)).write_bytes(suffix.encode() + gzip.compress(data))
    (root / "link").symlink_to("sub/index.html")
    (root / "away").symlink_to("/etc/passwd")
    os.mkfifo(root / "fifo")
    for path in root.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO), follow_symlinks=False)
    return root


@pytest.fixture(scope="module")
def server(serve_thread: ThreadLauncher, www: Path) -> ThreadServer:
    return serve_thread(APP.replace('"www', f'"{www}'), settings={"filemap_ext": ".html"})


def ask(server: ThreadServer, path: str, *fields: str, method: str = "GET") -> Answer:
    """Return the answer to one request."""
    with server.connect() as client:
        lines = [f"{method} {path} HTTP/1.1", "Host: h", *fields, "", ""]
        return client.ask("\r\n".join(lines).encode("latin-1"), method)


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/", PAGE, "text/html; charset=utf-8"),
        ("/index.html", PAGE, "text/html; charset=utf-8"),
        ("/sub/", b"sub index", "text/html; charset=utf-8"),
        ("/sub/a%20b.txt", b"blank", "text/plain; charset=utf-8"),
        ("/sub/caf%C3%A9.txt", b"accent", "text/plain; charset=utf-8"),
        ("/about", b"about", "text/html; charset=utf-8"),
        ("/about?a=b", b"about", "text/html; charset=utf-8"),
        ("/thing.own", b"own", "application/x-own"),
        ("/noext", b"?", "application/octet-stream"),
        ("/empty", b"", "application/octet-stream"),
        ("/link", b"sub index", "application/octet-stream"),
        ("/%6c%69nk", b"sub index", "application/octet-stream"),
        ("/.well-known/x.txt", b"known", "text/plain; charset=utf-8"),
        ("/before", b"route", None),
        ("/after", b"file", "application/octet-stream"),
    ],
)
def test_a_path_is_a_file(server: ThreadServer, path: str, body: bytes, kind: str | None) -> None:
    answer = ask(server, path)

    assert (answer.status, answer.body, answer.get("content-type")) == (200, body, kind)


@pytest.mark.parametrize(
    "path",
    [
        "/none", "/none/", "/sub/none", "/empty-dir/", "/index.html/", "/noext/x", "/sub/deep/",
        "/.hidden", "/away", "/fifo", "//index.html", "/sub//index.html", "/./index.html",
        "/sub/../index.html", "/%2e%2e/www/index.html", "/sub%2Findex.html", "/sub%5Cindex.html",
        "/%FF", "/a%0Ab", "/" + "x" * 300, "/" + "x/" * 2500,
    ],
)  # fmt: skip
def test_missing_file_is_404(server: ThreadServer, path: str) -> None:
    assert ask(server, path).status == 404


def test_response_fields_describe_the_file(server: ThreadServer, www: Path) -> None:
    answer = ask(server, "/index.html")

    assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+-[0-9a-f]+"', answer.get("etag") or "")
    assert answer.get("accept-ranges") == "bytes"
    assert answer.get("x-content-type-options") == "nosniff"
    assert answer.get("vary") == "accept-encoding"
    assert answer.get("cache-control") is None
    assert answer.get("content-length") == str(len(PAGE))
    date = subprocess.run(
        ["date", "-u", "-r", www / "index.html", "+%a, %d %b %Y %H:%M:%S GMT"],
        capture_output=True, text=True, check=True, env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert answer.get("last-modified") == date.stdout.strip()


@pytest.mark.parametrize("path", ["/", "/app.js", "/large.bin", "/none", "/sub"])
def test_head_has_the_fields_of_get(server: ThreadServer, path: str) -> None:
    got, head = (ask(server, path, method=method) for method in ("GET", "HEAD"))
    dates = {"date"}

    assert head.status == got.status
    assert head.body == b""
    assert [f for f in head.fields if f[0] not in dates] == [
        f for f in got.fields if f[0] not in dates
    ]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_405(server: ThreadServer, method: str) -> None:
    answer = ask(server, "/index.html", method=method)

    assert (answer.status, answer.get("allow")) == (405, "GET, HEAD, OPTIONS")


def test_other_methods_reach_a_route_behind_the_map(server: ThreadServer) -> None:
    assert ask(server, "/after", method="POST").body == b"route"


@pytest.mark.parametrize(
    ("path", "location"),
    [("/sub", "/sub/"), ("/sub?a=b&c", "/sub/?a=b&c"), ("/sub/deep", "/sub/deep/")],
)
def test_a_directory_is_behind_a_slash(server: ThreadServer, path: str, location: str) -> None:
    answer = ask(server, path)

    assert (answer.status, answer.get("location")) == (301, location)


@pytest.mark.parametrize("path", ["//evil.test/sub", "/\\evil.test/sub", "//sub", "/%2f/sub"])
def test_no_directory_is_on_another_host(server: ThreadServer, path: str) -> None:
    answer = ask(server, path)

    assert answer.status in {400, 404}
    assert answer.get("location") is None


@pytest.mark.parametrize(
    ("accepted", "coding", "suffix"),
    [
        ("gzip", "gzip", b".gz"),
        ("gzip, deflate, br, zstd", "br", b".br"),
        ("zstd, gzip", "zstd", b".zs"),
        ("br;q=0.1, gzip;q=0.9", "gzip", b".gz"),
        ("*;q=0", None, b"var"),
        ("deflate", None, b"var"),
    ],
)
def test_a_client_gets_the_coding_it_likes(
    server: ThreadServer, accepted: str, coding: str | None, suffix: bytes
) -> None:
    answer = ask(server, "/app.js", f"Accept-Encoding: {accepted}")

    assert (answer.get("content-encoding"), answer.body[:3]) == (coding, suffix)
    assert answer.get("content-type") == "text/javascript; charset=utf-8"
    assert answer.get("vary") == "accept-encoding"


def test_each_coding_has_a_tag_of_its_own(server: ThreadServer) -> None:
    fields = [[f"Accept-Encoding: {coding}"] for coding in ("br", "zstd", "gzip", "identity")]
    tags = [ask(server, "/app.js", *field).get("etag") for field in fields]

    assert len(set(tags)) == 4
    for field, tag in zip(fields, tags, strict=True):
        assert ask(server, "/app.js", *field, f"If-None-Match: {tag}").status == 304
    assert ask(server, "/app.js", f"If-None-Match: {tags[0]}").status == 200


def test_pictures_are_not_looked_for_in_codings(server: ThreadServer) -> None:
    answer = ask(server, "/pic.png", "Accept-Encoding: gzip, br")

    assert (answer.get("content-encoding"), answer.get("vary")) == (None, None)


def test_a_range_is_one_of_the_coding_that_is_sent(server: ThreadServer, www: Path) -> None:
    answer = ask(server, "/app.js", "Accept-Encoding: gzip", "Range: bytes=3-9")

    assert answer.status == 206
    assert answer.body == (www / "app.js.gz").read_bytes()[3:10]


def test_a_compressed_file_that_is_older_is_not_sent(server: ThreadServer, www: Path) -> None:
    for name in ("new.css", "new.css.gz"):
        (www / name).write_text(name)
    os.utime(www / "new.css", ns=(10**18, 10**18))
    os.utime(www / "new.css.gz", ns=(10**18 - 1, 10**18 - 1))

    assert ask(server, "/new.css", "Accept-Encoding: gzip").body == b"new.css"


def test_a_compressed_file_may_come_later(server: ThreadServer, www: Path) -> None:
    (www / "late.css").write_text("plain")
    assert ask(server, "/late.css", "Accept-Encoding: gzip").body == b"plain"
    (www / "late.css.gz").write_text("zipped")

    until(lambda: ask(server, "/late.css", "Accept-Encoding: gzip").body == b"zipped")


def test_unauthorized_client_sees_nothing_of_a_filemap(server: ThreadServer) -> None:
    for path in ("/private/x", "/private/", "/private/none", "/%70rivate/x"):
        assert ask(server, path).status == 403, path
        assert ask(server, path, "Cookie: s=no").status == 403, path
    for path in (
        "//private/x",
        "/./private/x",
        "/sub/../private/x",
        "/private%2Fx",
        "/private/./x",
    ):
        assert ask(server, path).status in {403, 404}, path
    answer = ask(server, "/private/x", "Cookie: s=ok")
    assert (answer.status, answer.body) == (200, b"private x")
    assert answer.get("cache-control") == "private"


def test_a_file_that_changes_is_seen_at_once(server: ThreadServer, www: Path) -> None:
    tags = set()
    for number in range(5):
        (www / "changing.txt").write_text(f"number {number}")
        answer = ask(server, "/changing.txt")
        assert answer.body == f"number {number}".encode()
        tags.add(answer.get("etag"))
    (www / "changing.txt").unlink()

    assert len(tags) == 5
    assert ask(server, "/changing.txt").status == 404


def test_a_file_of_the_same_size_and_time_is_another_one(server: ThreadServer, www: Path) -> None:
    """Deterministic builds set all times to one."""
    tags = []
    for text in ("one", "two"):
        (www / "new").write_text(text)
        os.utime(www / "new", (1, 1))
        (www / "new").rename(www / "same.txt")
        answer = ask(server, "/same.txt", *[f"If-None-Match: {tag}" for tag in tags])
        assert (answer.status, answer.body) == (200, text.encode())
        tags.append(answer.get("etag"))


@pytest.mark.parametrize("second", [2**33, 9_223_372_037, 2**34 - 1])
def test_a_file_from_the_future_has_no_date(server: ThreadServer, www: Path, second: int) -> None:
    (www / "future.txt").write_text("later")
    os.utime(www / "future.txt", (second, second))
    answer = ask(server, "/future.txt")

    assert (answer.status, answer.get("last-modified")) == (200, None)
    assert answer.get("etag")
    now = format_http_date(int(time.time()))
    assert ask(server, "/future.txt", f"If-Modified-Since: {now}").status == 200
    assert ask(server, "/future.txt", f"If-Unmodified-Since: {now}").status == 412


def test_a_file_older_than_1970_has_its_date(server: ThreadServer, www: Path) -> None:
    (www / "old.txt").write_text("old")
    os.utime(www / "old.txt", (-1, -1))
    date = "Wed, 31 Dec 1969 23:59:59 GMT"

    assert ask(server, "/old.txt").get("last-modified") == date
    assert ask(server, "/old.txt", f"If-Modified-Since: {date}").status == 304


def test_versions_within_a_second_differ_in_etag(server: ThreadServer, www: Path) -> None:
    """The date is said, and believed, when no other version can get it any more."""
    second = int(time.time()) + 1
    date = format_http_date(second)
    for text in ("A" * 20, "B" * 20):
        (www / "next").write_text(text)
        os.utime(www / "next", (second, second))
        (www / "next").rename(www / "twice.txt")
        assert ask(server, "/twice.txt").get("last-modified") is None

    part = ask(server, "/twice.txt", "Range: bytes=10-", f"If-Range: {date}")
    assert (part.status, part.body) == (200, b"B" * 20)
    assert ask(server, "/twice.txt", f"If-Modified-Since: {date}").status == 200
    until(lambda: ask(server, "/twice.txt").get("last-modified") == date)
    part = ask(server, "/twice.txt", "Range: bytes=10-", f"If-Range: {date}")
    assert (part.status, part.body) == (206, b"B" * 10)


def test_a_large_file_arrives_whole_by_http_1_0_too(server: ThreadServer, www: Path) -> None:
    with server.connect() as client:
        answer = client.ask(b"GET /large.bin HTTP/1.0\r\n\r\n")

    assert answer.body == (www / "large.bin").read_bytes()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_403(server: ThreadServer, www: Path) -> None:
    (www / "closed").write_text("secret")
    (www / "closed").chmod(0)

    assert ask(server, "/closed").status == 403


# What settings do, each on a server of its own with few files


SMALL = """
domain = kore.domain("*", attach="http")
domain.filemaps({{"/": "{0}"}})
"""


def test_settings_change_fields_and_served_files(serve: Launcher, www: Path) -> None:
    settings = {
        "filemap_cache_control": "public, max-age=60",
        "filemap_charset": "",
        "filemap_hidden": True,
        "filemap_index": "about.html",
        "filemap_precompressed": False,
        "filemap_sendfile": False,
    }
    server = serve(SMALL.format(www), settings=settings)

    index = ask(server, "/", "Accept-Encoding: gzip")
    assert (index.body, index.get("content-type")) == (b"about", "text/html")
    assert index.get("cache-control") == "public, max-age=60"
    assert ask(server, "/.hidden").body == b"hidden"
    assert ask(server, "/..").status == ask(server, "/./about.html").status == 404
    script = ask(server, "/app.js", "Accept-Encoding: gzip")
    assert (script.get("content-encoding"), script.get("vary")) == (None, None)
    assert ask(server, "/large.bin").body == (www / "large.bin").read_bytes()
    assert ask(server, "/about").status == 404
    etag = index.get("etag")
    unchanged = ask(server, "/", f"If-None-Match: {etag}")
    assert (unchanged.status, unchanged.get("cache-control")) == (304, "public, max-age=60")


def test_a_directory_that_is_replaced_is_seen_within_a_second(
    serve: Launcher, tmp_path: Path
) -> None:
    """A release is a link that leads elsewhere."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text(name)
    (tmp_path / "current").symlink_to("one")
    server = serve(SMALL.format(tmp_path / "current"))
    assert ask(server, "/").body == b"one"
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(tmp_path / "current")

    until(lambda: ask(server, "/").body == b"two")
    descriptors = Path(f"/proc/{server.worker}/fd")
    old = str(tmp_path / "one")
    until(lambda: not any(str(fd.readlink()).startswith(old) for fd in descriptors.iterdir()))

"""Other people's clients: curl, and Python's own."""

import hashlib
import http.client
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.helpers.fix_serve import Launcher, Server

APP = """
import hashlib

domain = kore.domain("*", attach="http")

@kore.route("/", methods=["get"])
def index(req):
    req.response_header("x-agent", req.agent or "")
    req.response(200, b"hello world")

@kore.route("/digest", methods=["post", "put"])
def digest(req):
    req.response(200, hashlib.sha256(req.body).hexdigest())

@kore.route("/pieces", methods=["get"])
def pieces(req):
    req.response(200, ("piece %d\\n" % n for n in range(3)))
"""
SIZE = 2 << 20


@pytest.fixture(scope="module")
def server(serve_module: Launcher) -> Server:
    return serve_module(APP, settings={"http_body_max": SIZE})


@pytest.fixture(scope="module")
def upload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("upload") / "data"
    path.write_bytes(bytes(range(256)) * (SIZE // 256))
    return path


def url(server: Server, path: str = "/") -> str:
    return f"http://127.0.0.1:{server.address[1]}{path}"


def curl(*arguments: str) -> str:
    """Return what curl writes, its own account of the exchange included."""
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")
    done = subprocess.run(
        [program, "--silent", "--show-error", "--verbose", "--max-time", "20", *arguments],
        capture_output=True,
        check=True,
    )
    return (done.stderr + done.stdout).decode()


def test_curl_gets_a_page_twice_over_one_connection(server: Server) -> None:
    told = curl(url(server), url(server))

    assert told.count("HTTP/1.1 200 OK") == 2
    assert "Re-using existing connection" in told
    assert told.endswith("hello worldhello world")


def test_curl_asks_for_the_head_only(server: Server) -> None:
    told = curl("--head", url(server)).lower()

    assert "content-length: 11" in told
    assert "hello world" not in told


def test_curl_speaks_http_1_0(server: Server) -> None:
    told = curl("--http1.0", url(server), url(server, "/pieces"))

    assert told.endswith("hello worldpiece 0\npiece 1\npiece 2\n")
    assert "transfer-encoding" not in told.lower()


def test_curl_posts_a_form(server: Server) -> None:
    told = curl("--data", "a=b", url(server, "/digest"))

    assert told.endswith(hashlib.sha256(b"a=b").hexdigest())


def test_curl_waits_for_100_before_it_uploads(server: Server, upload: Path) -> None:
    told = curl(
        "--header", "Expect: 100-continue", "--expect100-timeout", "15",
        "--data-binary", f"@{upload}", url(server, "/digest"),
    )  # fmt: skip

    assert "HTTP/1.1 100 Continue" in told
    assert told.endswith(hashlib.sha256(upload.read_bytes()).hexdigest())


def test_curl_uploads_in_chunks(server: Server, upload: Path) -> None:
    told = curl(
        "--header", "Transfer-Encoding: chunked", "--header", "Expect:",
        "--upload-file", str(upload), url(server, "/digest"),
    )  # fmt: skip

    assert told.endswith(hashlib.sha256(upload.read_bytes()).hexdigest())


def test_curl_is_told_that_its_upload_is_too_large(server: Server, upload: Path) -> None:
    told = curl("--form", f"file=@{upload}", url(server, "/digest"))

    assert "HTTP/1.1 413" in told


def test_curl_reads_pieces(server: Server) -> None:
    told = curl(url(server, "/pieces"))

    assert told.endswith("piece 0\npiece 1\npiece 2\n")


def test_urllib_gets_a_page(server: Server) -> None:
    with urllib.request.urlopen(url(server)) as answer:
        assert answer.read() == b"hello world"
        assert answer.headers["x-agent"].startswith("Python-urllib")


def test_http_client_keeps_its_connection(server: Server) -> None:
    connection = http.client.HTTPConnection(*server.address, timeout=10)
    bodies = []
    for _ in range(3):
        connection.request("GET", "/pieces")
        bodies.append(connection.getresponse().read())
    connection.request("POST", "/digest", body=iter([b"ab", b"c"]), encode_chunked=True)
    posted = connection.getresponse().read()
    connection.close()

    assert bodies == [b"piece 0\npiece 1\npiece 2\n"] * 3
    assert posted.decode() == hashlib.sha256(b"abc").hexdigest()

"""Bodies read piece by piece, and multipart forms with files, as curl sends them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.build import chunked, get, post
from tests.helpers.fix_serve import Launcher
from tests.helpers.fix_worker import ThreadLauncher, ThreadServer
from tests.server.test_tools import curl, url

APP = """
import json

domain = kore.domain("*", attach="http")

async def short(req, value):
    return len(value) < 10

def pieces(read):
    found = []
    while (piece := read(1000))[0]:
        found.append(piece)
    return found

@kore.route("/", methods=["get"])
def index(req):
    req.response(200, b"hello world")

@kore.route("/read", methods=["post", "delete"])
def read(req):
    read = pieces(req.body_read)
    assert all(length == len(data) for length, data in read)
    whole = b"".join(data for _, data in read)
    assert whole == req.body and req.body_read(10) == (0, b"")
    req.response(200, json.dumps([len(read), req.body_digest.hex()]))

@kore.route("/rewind", methods=["post"])
def rewind(req):
    first = req.body_read(2)
    req.populate_post()
    second = req.body_read(2)
    body = req.body
    req.response(200, repr([first, second, body, req.body_read(2), req.body]))

@kore.route("/too-much", methods=["post"])
def too_much(req):
    said = []
    for length in (1025, -1):
        try:
            req.body_read(length)
        except (RuntimeError, ValueError) as error:
            said.append(type(error).__name__ + ": " + str(error))
    req.response(200, json.dumps(said))

def described(req):
    req.populate_multi()
    files = {
        name: [[f.filename, f.content_type, len(f), sum(map(len, [d for _, d in pieces(f.read)]))]
               for f in files]
        for name, files in req.files().items()
    }
    req.response(200, json.dumps({"arguments": req.arguments(), "files": files}))

@kore.route("/digests", methods=["post"])
def digests(req):
    import hashlib
    req.populate_multipart()
    file = req.file_lookup("file")
    data = b"".join(data for _, data in pieces(file.read))
    req.response(200, hashlib.sha256(data).hexdigest() + " " + req.body_digest.hex())

domain.route("/form", described, methods=["post", "put"],
             post={"name": "^[a-z ]*$", "v": short}, put={"name": ""})
domain.route("/files", described, methods=["post"])
"""
TYPE = "Content-Type: multipart/form-data; boundary=XX"


@pytest.fixture(scope="module", params=[0, 1], ids=["memory", "disk"])
def server(serve_thread: ThreadLauncher, request: pytest.FixtureRequest) -> ThreadServer:
    settings = {"http_body_max": "20m", "http_body_disk_offload": request.param}
    return serve_thread(APP, settings=settings)


def part(disposition: str, data: bytes = b"data") -> bytes:
    return f"--XX\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + data + b"\r\n"


def form(*parts: bytes, target: str = "/form", method: str = "POST") -> bytes:
    return post(b"".join(parts) + b"--XX--", -1, TYPE, target=target, method=method)


def ask(server: ThreadServer, sent: bytes) -> Any:
    with server.connect() as client:
        return json.loads(client.ask(sent).body)


def last_line(said: str) -> Any:
    return json.loads(said.splitlines()[-1])


# The body


@pytest.mark.parametrize(("size", "count"), [(0, 0), (1, 1), (1000, 1), (1001, 2), (1 << 16, 66)])
def test_a_body_is_read_piece_by_piece(server: ThreadServer, size: int, count: int) -> None:
    body = bytes(n % 251 for n in range(size))

    assert ask(server, post(body, target="/read")) == [
        count,
        hashlib.sha256(body).hexdigest(),
    ]


def test_a_body_that_is_not_there_is_an_empty_one(server: ThreadServer) -> None:
    sent = post(b"", None, target="/read", method="DELETE")

    assert ask(server, sent) == [0, hashlib.sha256(b"").hexdigest()]


def test_the_whole_body_leaves_nothing_to_read(server: ThreadServer) -> None:
    with server.connect() as client:
        said = client.ask(post(b"a=1&b", target="/rewind")).body.decode()

    assert said == "[(2, b'a='), (2, b'1&'), b'a=1&b', (0, b''), b'a=1&b']"


def test_a_read_has_kores_limit(server: ThreadServer) -> None:
    refused = "RuntimeError: len > sizeof(buf): read at most 1024 bytes at a time"

    assert ask(server, post(b"abc", target="/too-much")) == [
        refused,
        "ValueError: cannot read -1 bytes",
    ]


# Multipart


def test_fields_are_validated_and_files_are_files(server: ThreadServer) -> None:
    found = ask(
        server,
        form(
            part('form-data; name="name"', b"UPPER"),
            part('form-data; name="name"', b"lower case"),
            part('form-data; name="v"', b"much too long"),
            part('form-data; name="v"', b"short+%20"),
            part('form-data; name="other"', b"x"),
            part('form-data; name="file"; filename="../a.txt"', b"abc"),
        ),
    )

    assert found == {
        "arguments": {"name": ["lower case"], "v": ["short+%20"]},
        "files": {"file": [["a.txt", "", 3, 3]]},
    }


def test_a_form_may_be_put(server: ThreadServer) -> None:
    found = ask(server, form(part('form-data; name="name"', b"Ada"), method="PUT"))

    assert found["arguments"] == {"name": ["Ada"]}


def test_a_form_comes_in_chunks_too(server: ThreadServer) -> None:
    body = part('form-data; name="name"', b"ada") + b"--XX--\r\n"
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    sent = post(chunked(*pieces), None, TYPE, "Transfer-Encoding: chunked", target="/form")

    assert ask(server, sent)["arguments"] == {"name": ["ada"]}


def test_files_need_no_declaration(server: ThreadServer) -> None:
    sent = form(part('form-data; name="f"; filename="x"'), target="/files")

    assert ask(server, sent)["files"] == {"f": [["x", "", 4, 4]]}


def test_curl_uploads_files_and_fields(server: ThreadServer, tmp_path: Path) -> None:
    one, two = tmp_path / "één.txt", tmp_path / "two;2.png"
    one.write_bytes(b"1" * 1500)
    two.write_bytes(b"")

    said = curl(
        *("-F", "name=ada lovelace", "-F", f"file=@{one}", "-F", f'file=@"{two}"'),
        *("-F", "file=@/dev/null;filename=named.bin;type=x/y"),
        url(server, "/form"),
    )

    assert last_line(said) == {
        "arguments": {"name": ["ada lovelace"]},
        "files": {
            "file": [
                ["één.txt", "text/plain", 1500, 1500],
                ["two;2.png", "image/png", 0, 0],
                ["named.bin", "x/y", 0, 0],
            ]
        },
    }


def test_a_large_file_arrives_whole(server: ThreadServer, tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_bytes(bytes(range(256)) * (10 << 12))

    said = curl("-F", f"file=@{file}", url(server, "/digests"))

    assert said.splitlines()[-1].split()[0] == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("target", ["/form", "/files"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"no form", 400, id="no-form"),
        pytest.param(part("form-data; name=a"), 400, id="no-end"),
        pytest.param(part("form-data; name=a", b"") * 100_000, 413, id="many-parts"),
        pytest.param(part("form-data; name=a; x=" + "y" * 5000), 413, id="long-field"),
        pytest.param(b"--XX\r\n" + b"a: b\r\n" * 1000, 413, id="many-fields"),
    ],
)
def test_hostile_form_is_refused_without_harm(
    server: ThreadServer, target: str, body: bytes, status: int
) -> None:
    with server.connect() as client:
        assert client.ask(post(body, -1, TYPE, target=target)).status == status
        assert client.ask(get()).body == b"hello world"


@pytest.mark.parametrize("target", ["/form", "/files"])
def test_a_form_without_a_boundary_is_refused(server: ThreadServer, target: str) -> None:
    with server.connect() as client:
        sent = post(b"--XX--", -1, "Content-Type: multipart/form-data", target=target)

        assert client.ask(sent).status == 400


def test_the_limits_of_a_form_are_settings(serve: Launcher) -> None:
    server = serve(APP, settings={"http_multipart_max": 2, "http_multipart_header_max": 100})
    field = part("form-data; name=a")
    with server.connect() as client:
        assert client.ask(form(field, field)).status == 200
        assert client.ask(form(field, field, field)).status == 413
        assert client.ask(form(part("form-data; name=" + "a" * 100))).status == 413

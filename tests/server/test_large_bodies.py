"""Bodies much larger than a worker: what they cost in memory, and who waits meanwhile."""

import hashlib
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.build import get, post
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.raw_client import Client

MIB = 1 << 20
SPARE = 8 * MIB
CHUNKED = "Transfer-Encoding: chunked"
FORM = "Content-Type: multipart/form-data; boundary=XX"
TARGETS = ["/file", "/stream", "/hook"]
APP = """
import asyncio
import hashlib
import json

domain = kore.domain("*", attach="http")

@kore.route("/", methods=["get"])
def index(req):
    req.response(200, b"hello world")

@kore.route("/file", methods=["post"])
def file(req):
    req.response(200, "%d %s" % (len(req.body_source), req.body_digest.hex()))

def update(req, piece):
    req.size = getattr(req, "size", 0) + len(piece)
    req.digest = getattr(req, "digest", None) or hashlib.sha256()
    req.digest.update(piece)
    return True

@kore.route("/stream", methods=["post"], stream=True)
async def stream(req):
    async for piece in req.chunks():
        update(req, piece)
    finish(req)

def finish(req):
    req.response(200, f"{req.size} {req.digest.hexdigest()}")

domain.route("/hook", finish, methods=["post"], hooks={"on_body_chunk": update})

@kore.route("/form", methods=["post"], post={"name": "^[a-z]+$"})
async def form(req):
    req.populate_multi()
    found = {}
    for name, (file, *_) in req.files().items():
        await asyncio.to_thread(file.save, f"saved-{name}")
        found[name] = [file.filename, len(file), file.read(10)[1].hex()]
    req.response(200, json.dumps([req.arguments(), found]))
"""


@pytest.fixture(scope="module")
def server(serve_module: Launcher) -> Server:
    settings = {"http_body_max": 2 << 30, "http_body_disk_offload": MIB, "http_multipart_max": 50}
    return serve_module(APP, settings=settings)


def pieces(count: int) -> Iterator[bytes]:
    """Yield so many different MiB."""
    first = random.Random(count).randbytes(MIB)
    for number in range(count):
        yield number.to_bytes(8) + first[8:]


def upload(client: Client, target: str, count: int, *, chunked: bool) -> bytes:
    """Send so many MiB, and return what the answer must be."""
    digest = hashlib.sha256()
    client.send(post(b"", None, CHUNKED, target=target) if chunked else
                post(b"", count * MIB, target=target))
    for piece in pieces(count):
        digest.update(piece)
        client.send(b"%x\r\n%b\r\n" % (MIB, piece) if chunked else piece)
    if chunked:
        client.send(b"0\r\n\r\n")
    return f"{count * MIB} {digest.hexdigest()}".encode()


def costs_no_memory(server: Server, target: str, count: int, *, chunked: bool) -> None:
    with server.connect("POST") as client:
        upload(client, target, 2, chunked=chunked)
        client.answer()
    peak = Path(f"/proc/{server.worker}/clear_refs")
    peak.write_text("5")  # the peak from now on
    before = procs.resident(server.worker)
    with server.connect("POST") as client:
        client.socket.settimeout(30)
        expected = upload(client, target, count, chunked=chunked)

        assert client.answer().body == expected
    assert procs.peak(server.worker) - before < SPARE


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_an_upload_of_64_mib_costs_no_memory(server: Server, target: str, chunked: bool) -> None:
    costs_no_memory(server, target, 64, chunked=chunked)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_an_upload_of_1_gib_costs_no_memory(server: Server, target: str, chunked: bool) -> None:
    costs_no_memory(server, target, 1024, chunked=chunked)


def part(disposition: str, data: bytes) -> bytes:
    head = f"--XX\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode() + data + b"\r\n"


def test_a_large_form_is_read_from_its_file_and_others_are_served(server: Server) -> None:
    files = {name: b"".join(pieces(size)) for name, size in [("a", 5), ("b", 24)]}
    body = b"".join(
        [
            part('name="name"', b"ada"),
            *(part(f'name="{n}"; filename="{n}.bin"', data) for n, data in files.items()),
            b"--XX--\r\n",
        ]
    )
    before = procs.resident(server.worker)
    with server.connect() as uploading, server.connect() as asking:
        request = post(body, len(body), FORM, target="/form")
        thread = threading.Thread(target=uploading.send, args=(request,))
        thread.start()
        answered = 0
        while thread.is_alive() or not uploading.hears(0):
            answered += asking.ask(get()).status == 200
        arguments, found = json.loads(uploading.answer().body)
        thread.join()

    assert answered > 0
    assert arguments == {"name": ["ada"]}
    assert found == {
        name: [f"{name}.bin", len(data), data[:10].hex()] for name, data in files.items()
    }
    for name, data in files.items():
        assert (server.log.path.parent / f"saved-{name}").read_bytes() == data
    assert procs.resident(server.worker) - before < SPARE


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(bytes(40 * MIB), 400, id="no boundary"),
        pytest.param(part('name="name"', b"") * 200_000, 413, id="tiny parts"),
        pytest.param(b"--XX\r\n" + b"x" * 20 * MIB, 413, id="endless field line"),
        pytest.param(part('name="name"', b"a" * 20 * MIB) + b"--XX--", 413, id="large field"),
        pytest.param(part('name="x"', b"\r\n--X" * 4 * MIB) + b"--XX--", 200, id="near misses"),
        pytest.param(part('name="x"', b"a") + b"--XX--" + bytes(30 * MIB), 200, id="epilogue"),
    ],
)
def test_a_hostile_form_costs_little(server: Server, body: bytes, status: int) -> None:
    before = procs.cpu(server.worker)
    with server.connect() as client:
        request = post(body, len(body), FORM, target="/form")
        thread = threading.Thread(target=client.send, args=(request,))
        thread.start()

        assert client.answer().status == status
        thread.join()
    assert procs.cpu(server.worker) - before < 3.0

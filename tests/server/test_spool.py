"""Bodies in files: the same bytes as in memory, and nothing left of them."""

import hashlib
import json
import random
import stat
import threading
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.build import chunked, get, post
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.raw_client import GAP, Client
from tests.helpers.response_reader import Answer

CHUNKED = "Transfer-Encoding: chunked"
OFFLOAD = 1000
SETTINGS = {"http_body_disk_offload": OFFLOAD, "http_body_max": 64 << 20}
APP = """
import asyncio
import json
import os
from pathlib import Path

domain = kore.domain("*", attach="http")

@kore.route("/", methods=["get"])
def index(req):
    req.response(200, b"hello world")

@kore.route("/echo", methods=["post", "delete"])
def echo(req):
    req.response(200, req.body)

@kore.route("/later", methods=["post"])
async def later(req):
    await asyncio.sleep(0.01)
    req.response(200, req.body)

@kore.route("/read", methods=["post"])
def read(req):
    first = req.body_read(3)
    pieces = [first[1]]
    while (piece := req.body_read(1024))[0]:
        pieces.append(piece[1])
    assert b"".join(pieces) == req.body and req.body_read(10) == (0, b"")
    req.response(200, json.dumps([first[0], len(pieces), req.body_digest.hex()]))

@kore.route("/path", methods=["post"])
def path(req):
    path = req.body_path
    if path is None:
        req.response(200, "in memory")
        return
    assert path == req.body_path
    mode = os.stat(path).st_mode
    whole = Path(path).read_bytes() == req.body
    req.response(200, json.dumps([path, mode, whole, os.listdir(os.path.dirname(path))]))

@kore.route("/keep", methods=["post"])
def keep(req):
    os.rename(req.body_path, "kept")
    req.response(200, b"kept")

@kore.route("/after", methods=["post"])
async def after(req):
    req.response(200, b"ok")
    await asyncio.sleep(0.05)
    app["after"] = len(req.body)
    app["req"] = req

app = {}

@kore.route("/gone", methods=["get"])
def gone(req):
    said = []
    for ask in (lambda: app["req"].body, lambda: app["req"].body_path):
        try:
            ask()
        except RuntimeError as error:
            said.append(str(error))
    req.response(200, json.dumps([app["after"], said]))

@kore.route("/form", methods=["post"], post={"a": "^[0-9]+$"})
def form(req):
    req.populate_post()
    req.response(200, json.dumps(req.arguments()))

@kore.route("/boom", methods=["post"])
def boom(req):
    req.body_path
    raise ValueError("boom")
"""


@pytest.fixture(scope="module")
def server(serve_module: Launcher) -> Server:
    return serve_module(APP, settings=SETTINGS)


def folder(server: Server) -> Path:
    """Return where the bodies are."""
    return server.log.path.parent / "tmp_files"


def held(server: Server) -> list[str]:
    """Return the files of bodies that the worker has open."""
    return [name for name in procs.descriptors(server.worker) if "/tmp_files/" in name]


def nothing_is_left(server: Server) -> None:
    procs.until(lambda: not held(server), what="the files are closed")
    assert list(folder(server).iterdir()) == []


def coded(*pieces: bytes, target: str = "/echo") -> bytes:
    return post(chunked(*pieces), None, CHUNKED, target=target)


def sent(client: Client, request: bytes) -> Answer:
    """Send in the background: a large echo may come back before all is sent."""
    thread = threading.Thread(target=client.send, args=(request,))
    thread.start()
    answer = client.answer()
    thread.join()
    return answer


@pytest.mark.parametrize("target", ["/echo", "/later"])
@pytest.mark.parametrize("size", [OFFLOAD, OFFLOAD + 1, 65536, 1 << 17, (1 << 17) + 1, 3 << 20])
def test_a_body_comes_back_as_it_was_sent(server: Server, target: str, size: int) -> None:
    body = random.Random(size).randbytes(size)
    with server.connect() as client:
        assert sent(client, post(body, target=target)).body == body
        assert sent(client, coded(body, target=target)).body == body
        assert sent(client, coded(body[:500], body[500:], target=target)).body == body
    nothing_is_left(server)


def test_a_body_in_small_pieces_is_one(server: Server) -> None:
    body = random.Random(1).randbytes(5000)
    with server.connect() as client:
        for request in (post(body), coded(*(body[n : n + 7] for n in range(0, 5000, 7)))):
            client.send_bytewise(request, 200)
            assert client.answer().body == body


def test_pipelined_requests_behind_bodies_in_files_are_answered_in_order(server: Server) -> None:
    bodies = [random.Random(n).randbytes(3000 + n) for n in range(5)]
    requests = [post(b) + get() + coded(b, target="/later") for b in bodies]
    with server.connect(*["POST", "GET", "POST"] * 5) as client:
        client.send(b"".join(requests))

        found = [answer.body for answer in client.answers(15)]
    assert found == [x for body in bodies for x in (body, b"hello world", body)]


def test_a_client_that_has_ended_its_side_gets_its_answer(server: Server) -> None:
    body = random.Random(1).randbytes(400_000)
    with server.connect("POST") as client:
        client.send(post(body, target="/later"))
        client.socket.shutdown(1)

        assert client.answer().body == body


def test_a_body_is_read_rewound_and_digested(server: Server) -> None:
    body = random.Random(2).randbytes(10_000)
    with server.connect() as client:
        answer = client.ask(post(body, target="/read"))

    digest = hashlib.sha256(body).hexdigest()
    assert json.loads(answer.body) == [3, 1 + -(-9997 // 1024), digest]


def test_a_file_has_a_private_name_when_it_is_asked_for_and_only_then(server: Server) -> None:
    with server.connect() as client:
        assert client.ask(post(b"x" * OFFLOAD, target="/path")).body == b"in memory"
        path, mode, whole, listed = json.loads(client.ask(post(b"x" * 2000, target="/path")).body)

    assert (stat.S_IMODE(mode), stat.S_ISREG(mode), whole) == (0o600, True, True)
    assert listed == [Path(path).name]
    assert Path(path).parent == folder(server)
    assert stat.S_IMODE(folder(server).stat().st_mode) == 0o700
    nothing_is_left(server)


def test_a_file_can_be_kept_by_moving_it_away(server: Server) -> None:
    body = random.Random(3).randbytes(9000)
    with server.connect() as client:
        assert client.ask(post(body, target="/keep")).body == b"kept"

    nothing_is_left(server)
    assert (folder(server).parent / "kept").read_bytes() == body


def test_a_directory_that_was_tidied_away_is_made_again(server: Server) -> None:
    nothing_is_left(server)
    folder(server).rmdir()
    with server.connect() as client:
        assert client.ask(post(b"x" * 2000)).body == b"x" * 2000

        path, mode, whole, _ = json.loads(client.ask(post(b"x" * 2000, target="/path")).body)

    assert (Path(path).parent, stat.S_IMODE(mode), whole) == (folder(server), 0o600, True)
    assert stat.S_IMODE(folder(server).stat().st_mode) == 0o700
    nothing_is_left(server)


def test_a_body_can_be_read_until_its_handler_ends(server: Server) -> None:
    with server.connect() as client:
        client.ask(post(b"x" * 5000, target="/after"))
        procs.until(lambda: not held(server), what="the handler has ended")
        length, said = json.loads(client.ask(get("/gone")).body)

    assert length == 5000
    assert said == [
        "http_body_read() failed: the request is over, and so is its body",
        "body_path: the request is over, and so is its body",
    ]


def test_form_stored_in_a_file_is_parsed_alike(server: Server) -> None:
    form = b"b=" + b"x" * 5000 + b"&a=1&a=x&a=2"
    kind = "Content-Type: application/x-www-form-urlencoded"
    with server.connect() as client:
        assert json.loads(client.ask(post(form, len(form), kind, target="/form")).body) == {
            "a": ["1", "2"]
        }


def test_a_form_too_large_for_memory_is_refused(server: Server) -> None:
    kind = "Content-Type: application/x-www-form-urlencoded"
    with server.connect() as client:
        body = b"a=1&" + b"x" * (16 << 20)
        assert sent(client, post(body, len(body), kind, target="/form")).status == 413

        assert client.ask(get()).status == 200
    nothing_is_left(server)


def test_a_handler_that_fails_leaves_nothing(server: Server) -> None:
    with server.expecting("boom"), server.connect() as client:
        assert client.ask(post(b"x" * 5000, target="/boom")).status == 500
    nothing_is_left(server)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    "request_", [post(bytes(200_000)), coded(bytes(150_000), bytes(50_000))], ids=["cl", "chunked"]
)
def test_a_client_that_leaves_halfway_leaves_nothing(
    server: Server, request_: bytes, reset: bool
) -> None:
    for cut in (100, 1200, 140_000, 199_999):
        client = server.connect()
        client.send(request_[:cut], GAP)
        client.reset() if reset else client.close()
    nothing_is_left(server)


@pytest.mark.parametrize("bad", [b"x\r\n", b"5\r\nabcdef", b"ffffffffff\r\nx"])
def test_a_chunked_body_that_goes_wrong_in_its_file_leaves_nothing(
    server: Server, bad: bytes
) -> None:
    with server.connect("POST") as client:
        client.send(post(b"a00\r\n" + bytes(2560) + b"\r\n" + bad, None, CHUNKED))

        assert client.answer().status in (400, 413)
        assert client.until_ended() == "closed"
    nothing_is_left(server)


def test_many_uploads_at_once_have_descriptors_enough(server: Server) -> None:
    bodies = [random.Random(n).randbytes(4000 + n) for n in range(400)]
    clients = [server.connect("POST") for _ in bodies]
    for client, body in zip(clients, bodies, strict=True):
        client.send(post(body)[:-1000])
    for client, body in zip(clients, bodies, strict=True):
        client.send(post(body)[-1000:])
    found = [client.answer().body for client in clients]
    for client in clients:
        client.close()

    assert found == bodies
    nothing_is_left(server)


def test_other_clients_are_served_while_a_body_is_written(server: Server) -> None:
    body = bytes(48 << 20)
    with server.connect() as uploading, server.connect() as asking:
        thread = threading.Thread(target=uploading.send, args=(post(body, target="/path"),))
        thread.start()
        answered_meanwhile = 0
        while thread.is_alive():
            asking.ask(get())
            answered_meanwhile += thread.is_alive()
        assert json.loads(uploading.answer().body)[2] is True

    assert answered_meanwhile > 0
    nothing_is_left(server)

"""Request bodies: how they arrive, how large they may be."""

import hashlib
import random
import threading

import pytest

from tests.helpers import procs
from tests.helpers.build import chunked, get, post
from tests.helpers.fix_worker import ThreadLauncher, ThreadServer
from tests.helpers.raw_client import Client, Pause
from tests.helpers.response_reader import Answer

CHUNKED = "Transfer-Encoding: chunked"
LIMIT = 100_000
APP = """
import asyncio
import hashlib

domain = kore.domain("*", attach="http")

@kore.route("/", methods=["get"])
def index(req):
    req.response(200, b"hello world")

@kore.route("/echo", methods=["post", "delete"])
def echo(req):
    req.response(200, req.body)

@kore.route("/echo-later", methods=["post"])
async def echo_later(req):
    await asyncio.sleep(0.01)
    req.response(200, req.body)

@kore.route("/digest", methods=["post"])
def digest(req):
    req.response(200, hashlib.sha256(req.body).hexdigest())

@kore.route("/kind", methods=["post", "get"])
def kind(req):
    assert req.body is not None and req.body == req.body
    req.response(200, type(req.body).__name__ + repr(req.request_header("x-t")))
"""


@pytest.fixture(scope="module")
def server(serve_thread: ThreadLauncher) -> ThreadServer:
    return serve_thread(APP, settings={"http_body_max": 64 << 20})


@pytest.fixture(scope="module")
def limited(serve_thread: ThreadLauncher) -> ThreadServer:
    return serve_thread(APP, settings={"http_body_max": LIMIT}, beside=True)


def coded(*pieces: bytes, target: str = "/echo") -> bytes:
    return post(chunked(*pieces), None, CHUNKED, target=target)


def sent(client: Client, request: bytes) -> Answer:
    """Send in the background: a large echo may come back before all is sent."""
    thread = threading.Thread(target=client.send, args=(request,))
    thread.start()
    answer = client.answer()
    thread.join()
    return answer


@pytest.mark.parametrize("target", ["/echo", "/echo-later"])
@pytest.mark.parametrize("size", [0, 1, 8191, 8192, 8193, 65536, 1 << 20])
def test_a_body_comes_back_as_it_was_sent(server: ThreadServer, target: str, size: int) -> None:
    body = random.Random(size).randbytes(size)
    with server.connect() as client:
        with_length = sent(client, post(body, target=target))
        in_chunks = sent(client, coded(*([body] if body else []), target=target))

    assert with_length.body == body
    assert in_chunks.body == body


def test_a_thousand_chunks_of_one_byte_are_one_body(server: ThreadServer) -> None:
    body = bytes(range(250)) * 4
    with server.connect() as client:
        answer = client.ask(coded(*(bytes([byte]) for byte in body)))

    assert answer.body == body


def test_chunks_of_any_size_in_segments_of_any_size_are_one_body(server: ThreadServer) -> None:
    rng = random.Random(7)
    pieces = [rng.randbytes(rng.randint(1, 3000)) for _ in range(40)]
    data = coded(*pieces)
    with server.connect() as client:
        while data:
            size = rng.randint(1, 1500)
            client.send(data[:size])
            data = data[size:]

        assert client.answer().body == b"".join(pieces)


def test_a_slow_body_is_waited_for(server: ThreadServer) -> None:
    with server.connect() as client:
        client.send(post(b"a", 4), Pause(0.2), b"b", Pause(0.2), b"c", Pause(0.2), b"d")

        assert client.answer().body == b"abcd"


def test_the_body_is_bytes_whether_or_not_there_is_one(server: ThreadServer) -> None:
    with server.connect() as client:
        answers = [
            client.ask(request)
            for request in (
                post(b"abc", target="/kind"),
                post(b"", target="/kind"),
                coded(b"abc", target="/kind"),
                get("/kind"),
            )
        ]

    assert [answer.body for answer in answers] == [b"bytesNone"] * 4


def test_a_trailer_does_not_become_a_field_of_the_request(server: ThreadServer) -> None:
    with server.connect() as client:
        body = b"3\r\nabc\r\n0\r\nX-T: trailer\r\n\r\n"
        answer = client.ask(post(body, None, CHUNKED, target="/kind"))

    assert answer.body == b"bytesNone"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"3;" + b"a" * 100_000 + b"\r\nabc\r\n0\r\n\r\n", id="extension"),
        pytest.param(b"3\r\nabc\r\n0\r\nX-T: " + b"a" * 100_000 + b"\r\n\r\n", id="trailer"),
        pytest.param(b"3\r\nabc\r\n0\r\n" + b"X-T: v\r\n" * 10_000 + b"\r\n", id="trailers"),
        pytest.param(b"0" * 100_000 + b"3\r\nabc\r\n0\r\n\r\n", id="zeros"),
    ],
)
def test_chunk_overhead_is_limited(server: ThreadServer, body: bytes) -> None:
    with server.connect() as client:
        answer = client.ask(post(body, None, CHUNKED))

        assert answer.status in (400, 413, 431)
        assert client.until_ended() == "closed"


def test_a_body_may_be_as_large_as_the_limit(limited: ThreadServer) -> None:
    body = b"x" * LIMIT
    with limited.connect() as client:
        assert sent(client, post(body)).body == body
        assert sent(client, coded(body[:50_000], body[50_000:])).body == body


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(post(b"", LIMIT + 1), id="announced"),
        pytest.param(post(b"x" * (LIMIT + 1)), id="sent"),
        pytest.param(coded(b"x" * LIMIT, b"x"), id="chunked"),
        pytest.param(post(b"fffffffffffffff\r\n" + bytes(LIMIT + 1), None, CHUNKED), id="endless"),
    ],
)
def test_a_body_above_the_limit_is_refused(limited: ThreadServer, request_: bytes) -> None:
    with limited.connect() as client:
        answer = sent(client, request_)

        assert (answer.status, answer.get("connection")) == (413, "close")
        assert client.until_ended() == "closed"


def test_a_client_still_sending_can_read_why_it_was_refused(limited: ThreadServer) -> None:
    with limited.connect() as client:
        thread = threading.Thread(target=client.send, args=(post(b"x" * (4 << 20)),))
        thread.start()
        thread.join(0.5)  # by now a reset would have destroyed the answer

        assert client.answer().status == 413
        client.until_ended()
        thread.join()


def test_upload_does_not_delay_other_clients(server: ThreadServer) -> None:
    # A try may be over before the other client has had its turn on this machine.
    procs.until(lambda: answered_meanwhile(server), what="an answer during an upload")


def answered_meanwhile(server: ThreadServer) -> int:
    """Ask again and again while somebody else uploads; return how often that was answered."""
    body = bytes(48 << 20)
    with server.connect() as uploading, server.connect() as asking:
        head, rest = post(body, target="/digest").split(b"\r\n\r\n", 1)
        uploading.send(head + b"\r\n\r\n")
        thread = threading.Thread(target=uploading.send, args=(rest,))
        thread.start()
        answers = 0
        while thread.is_alive():
            asking.ask(get())
            answers += thread.is_alive()
        digest = uploading.answer().body

    assert digest.decode() == hashlib.sha256(body).hexdigest()
    return answers

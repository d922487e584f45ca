"""Several requests on the way at once: answered in order, each exactly once, within bounds."""

import random
import socket
import struct
import threading
import time

import pytest

from tests.helpers import procs
from tests.helpers.build import chunked, get, post
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.raw_client import Client, Mark

APP = """
import asyncio

seen = []
domain = kore.domain("*", attach="http")

@kore.route("/", methods=["get"])
def index(req):
    req.response(200, b"hello world")

@kore.route("^/n/([0-9]+)$", methods=["get"])
def number(req, n):
    req.response(200, n.encode())

@kore.route("/slow", methods=["get"])
async def slow(req):
    await asyncio.sleep(0.1)
    req.response(200, b"slow")

@kore.route("/medium", methods=["get"])
def medium(req):
    req.response(200, bytes(300_000))

@kore.route("/seen", methods=["get"])
def count(req):
    seen.append(1)
    req.response(200, str(len(seen)))

@kore.route("/large", methods=["get"])
def large(req):
    req.response(200, b"x" * 60_000)

@kore.route("/echo", methods=["post"])
async def echo(req):
    req.response(200, req.body)
"""


@pytest.fixture(scope="module")
def server(serve_module: Launcher) -> Server:
    return serve_module(APP)


def in_background(client: Client, data: bytes) -> threading.Thread:
    """Send while the test reads: neither direction may wait for the other."""
    thread = threading.Thread(target=client.send, args=(data,))
    thread.start()
    return thread


def test_a_pipelined_request_waits_for_the_first_answer(server: Server) -> None:
    with server.connect() as client:
        client.send(get("/slow") + get("/") + get("/slow") + get("/n/7"))
        answers = client.answers(4)

    assert [answer.body for answer in answers] == [b"slow", b"hello world", b"slow", b"7"]


def test_twenty_thousand_pipelined_requests_are_answered_in_order(server: Server) -> None:
    count = 20_000
    with server.connect() as client:
        sending = in_background(client, b"".join(get(f"/n/{n}") for n in range(count)))
        answers = client.answers(count)
        sending.join()

    assert [int(answer.body) for answer in answers] == list(range(count))


def test_pipelined_bodies_stay_with_their_requests(server: Server) -> None:
    rng = random.Random(1)
    bodies = [rng.randbytes(rng.choice([0, 1, 100, 5000, 70_000])) for _ in range(60)]
    requests = [
        post(chunked(body[:10], body[10:]), None, "Transfer-Encoding: chunked")
        if len(body) > 10 and n % 2
        else post(body)
        for n, body in enumerate(bodies)
    ]
    with server.connect() as client:
        sending = in_background(client, b"".join(requests))
        answers = client.answers(len(bodies))
        sending.join()

    assert [answer.body for answer in answers] == bodies


def test_a_bad_request_ends_the_row(server: Server) -> None:
    with server.connect() as client:
        client.send(get() + get("/n/1") + b"GET  / HTTP/1.1\r\n\r\n" + get("/n/2"))

        assert client.until_ended() == "closed"
    assert [answer.status for answer in client.reader.final] == [200, 200, 400]


def test_nothing_is_run_behind_a_close(server: Server) -> None:
    with server.connect() as client:
        before = int(client.ask(get("/seen")).body)
    with server.connect() as client:
        client.send(get("/", "Connection: close") + get("/seen") * 5)

        assert client.until_ended() == "closed"
    with server.connect() as client:
        after = int(client.ask(get("/seen")).body)

    assert after == before + 1


def test_pipelined_requests_before_a_half_close_are_all_answered(server: Server) -> None:
    with server.connect() as client:
        client.send(get("/slow") + get("/n/1") + get("/slow"), Mark.HALF_CLOSE)

        assert client.until_ended() == "closed"
    assert [answer.body for answer in client.reader.final] == [b"slow", b"1", b"slow"]


def test_a_refusal_does_not_destroy_the_answers_before_it(server: Server) -> None:
    # The client has ended its side and left much unread by the server: closing at once would be
    # a reset, which throws away what is still on its way to the client.
    with server.connect(receive_buffer=8192) as client:
        refused = post(bytes(100_000), target="/nope")
        client.send(get("/medium") * 2 + refused, Mark.HALF_CLOSE)
        time.sleep(0.5)

        assert client.until_ended() == "closed"
    assert [answer.status for answer in client.reader.final] == [200, 200, 404]


def test_pipelined_answers_leave_in_one_write(server: Server) -> None:
    with server.connect() as client:
        # The fewest: TCP sends a segment again when a busy machine is late to confirm it.
        assert min(writes(client) for _ in range(5)) == 1


def writes(client: Client) -> int:
    """Return in how many segments sixteen answers come."""
    client.ask(get())
    before = data_segments_in(client)
    client.send(get("/n/1") * 16)
    client.answers(16)
    return data_segments_in(client) - before


def data_segments_in(client: Client) -> int:
    """Return tcpi_data_segs_in; on loopback one write below 64 KiB is one segment."""
    info = client.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
    return int(struct.unpack_from("I", info, 152)[0])


def test_a_client_that_sends_and_never_reads_is_held_back(server: Server) -> None:
    before = procs.resident(server.worker)
    with server.connect(receive_buffer=65536) as client:
        # Large requests, so that the kernel's buffers hold some thousand of them and no more.
        sent = fill(client, get("/large", "X: " + "x" * 8000))

        assert procs.resident(server.worker) - before < 8 << 20
        answers = client.answers(sent)

    assert len(answers) == sent
    assert {len(answer.body) for answer in answers} == {60_000}


def fill(client: Client, request: bytes) -> int:
    """Send *request* again and again until the server takes no more for a while."""
    client.socket.setblocking(False)
    sent = 0
    rest = b""
    patience = time.monotonic() + 0.5
    while time.monotonic() < patience:
        rest = rest or request
        try:
            rest = rest[client.socket.send(rest) :]
        except BlockingIOError:
            time.sleep(0.01)
            continue
        sent += not rest
        patience = time.monotonic() + 0.5
        assert sent < 20_000, "nothing holds it back"
    client.socket.settimeout(10)
    if rest and rest != request:
        threading.Thread(target=client.send, args=(rest,)).start()
        sent += 1
    return sent

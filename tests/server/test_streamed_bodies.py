"""Bodies that a handler reads as they come: no faster than it reads, and never beyond its end."""

import json
import random
import threading
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.build import chunked, get, post
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.raw_client import PATIENCE, Client, Mark

CHUNKED = "Transfer-Encoding: chunked"
EXPECT = "Expect: 100-continue"
MIB = 1 << 20
LIMIT = 100_000
APP = Path(__file__).with_name("streamed_app.py")
SETTINGS = {"http_body_max": LIMIT, "http_body_disk_offload": 1000}


@pytest.fixture(scope="module")
def server(serve_module: Launcher) -> Server:
    return serve_module(APP, settings=SETTINGS)


@pytest.fixture(scope="module")
def impatient(serve_module: Launcher) -> Server:
    return serve_module(APP, settings={"http_body_timeout": 1, **SETTINGS})


def coded(*pieces: bytes, target: str = "/echo") -> bytes:
    return post(chunked(*pieces), None, CHUNKED, target=target)


def seen(server: Server, last: object) -> list[object]:
    """Return what handlers have seen, when the *last* of it is there."""
    found: list[object] = []

    def complete() -> bool:
        with server.connect() as client:
            found.extend(json.loads(client.ask(get("/seen")).body))
        return last in found

    procs.until(complete, what=f"{last} is seen")
    return found


def push(client: Client, most: int) -> int:
    """Send as long as the server takes it; return how much that was."""
    client.socket.settimeout(0.3)
    sent = 0
    try:
        while sent < most:
            sent += client.socket.send(bytes(min(65536, most - sent)))
    except TimeoutError:
        pass
    client.socket.settimeout(PATIENCE)
    return sent


@pytest.mark.parametrize("target", ["/echo", "/mirror"])
@pytest.mark.parametrize("size", [0, 1, 16384, 65537, 3 * MIB])
def test_a_body_comes_through_as_it_was_sent(server: Server, target: str, size: int) -> None:
    body = random.Random(size).randbytes(size)
    for request in (post(body, target=target), coded(*[body] if body else [], target=target)):
        with server.connect("POST") as client:
            thread = threading.Thread(target=client.send, args=(request,))
            thread.start()
            assert client.answer().body == body
            thread.join()


def test_pieces_are_there_before_the_body_is(server: Server) -> None:
    with server.connect("POST") as client:
        client.send(post(b"", 10, target="/watched"), b"abc")
        assert seen(server, 3) == [3]
        client.send(b"1234567")

        assert client.answer().status == 200
    assert seen(server, "whole") == [7, "whole"]


def test_a_request_without_a_body_has_no_pieces(server: Server) -> None:
    with server.connect() as client:
        for request in (get("/sizes"), post(b"", target="/sizes"), coded(target="/sizes")):
            assert json.loads(client.ask(request).body) == [0, 0]


def test_pipelined_requests_follow_streamed_ones(server: Server) -> None:
    requests = [post(b"a" * n, target="/echo") + coded(b"b" * n) + get() for n in (1, 5000, 70_000)]
    with server.connect(*["POST", "POST", "GET"] * 3) as client:
        client.send(b"".join(requests))

        sizes = [len(answer.body) for answer in client.answers(9)]
    assert sizes == [1, 1, 11, 5000, 5000, 11, 70_000, 70_000, 11]


def test_a_client_cannot_send_faster_than_the_handler_reads(server: Server) -> None:
    with server.connect("POST") as client:
        client.send(post(b"", 1 << 30, target="/wait"))
        seen(server, "waiting")
        before = procs.resident(server.worker)
        taken = push(client, 64 * MIB)

        assert taken < 32 * MIB  # what the kernel holds for both sides, and 256 KiB of ours
        assert procs.resident(server.worker) - before < 4 * MIB


def test_a_handler_that_was_slow_gets_all_of_it(impatient: Server) -> None:
    with impatient.connect("POST") as client, impatient.connect() as other:
        client.send(post(b"", 2 * MIB, target="/wait"))
        seen(impatient, "waiting")
        thread = threading.Thread(target=client.send, args=(bytes(2 * MIB),))
        thread.start()
        client.hears(1.5)  # longer than http_body_timeout: it is not the client who is slow
        other.ask(get("/open"))

        assert client.answer().status == 200
        thread.join()
    assert seen(impatient, 2 * MIB) == [2 * MIB]


@pytest.mark.parametrize("kind", ["length", "chunked"])
def test_a_large_upload_costs_no_memory(server: Server, kind: str) -> None:
    size = 64
    with server.connect("POST") as client:
        client.ask(post(bytes(MIB), target="/digest"))
        before = procs.resident(server.worker)
        if kind == "length":
            client.send(post(b"", size * MIB, target="/sizes"))
            client.send(*[bytes(MIB)] * size)
        else:
            client.send(post(b"", None, CHUNKED, target="/sizes"))
            client.send(*[b"%x\r\n%b\r\n" % (MIB, bytes(MIB))] * size, b"0\r\n\r\n")
        total, largest = json.loads(client.answer().body)

        assert (total, largest <= 65536 + 16384) == (size * MIB, True)
        assert procs.resident(server.worker) - before < 8 * MIB


def test_a_client_is_told_to_go_on_when_the_handler_reads(impatient: Server) -> None:
    with impatient.connect("POST") as client, impatient.connect() as other:
        client.send(post(b"abc", 3, EXPECT, target="/wait")[:-3])
        seen(impatient, "waiting")
        client.send(Mark.QUIET)
        client.hears(1.5)  # nor is it late with what it was not asked for
        other.ask(get("/open"))
        client.send(Mark.CONTINUE, b"abc")

        assert client.answer().status == 200
    seen(impatient, 3)


def test_client_without_100_continue_is_answered_and_closed(server: Server) -> None:
    with server.connect("POST") as client:
        client.send(post(b"", 3, EXPECT, target="/early"))

        assert [a.status for a in client.answers(1)] == [403]
        assert client.until_ended() == "closed"


@pytest.mark.parametrize("target", ["/early", "/late-no"])
def test_the_rest_of_a_small_body_is_dropped_and_the_connection_goes_on(
    server: Server, target: str
) -> None:
    with server.connect("POST", "GET", "POST", "GET") as client:
        client.send(post(b"x" * 30_000, target=target) + get())
        assert [a.status for a in client.answers(2)] == [403, 200]
        client.send(coded(b"x" * 3000, b"y" * 3000, target=target) + get())

        assert [a.status for a in client.answers(2)] == [403, 200]


def test_the_rest_of_a_large_body_ends_the_connection(server: Server) -> None:
    with server.connect("POST") as client:
        thread = threading.Thread(target=client.send, args=(post(bytes(8 * MIB), target="/early"),))
        thread.start()

        assert client.answer().status == 403
        client.until_ended()
        thread.join()


def test_a_handler_may_stop_reading(server: Server) -> None:
    with server.connect("POST", "GET") as client:
        client.send(post(b"x" * 20_000, target="/first") + get())
        first, second = client.answers(2)

    assert set(first.body) == set(b"x")
    assert second.status == 200


def test_disconnect_cancels_a_reading_handler(server: Server) -> None:
    for leave in (Client.close, Client.reset):
        client = server.connect("POST")
        client.send(post(b"abc", 10, target="/watched"))
        assert seen(server, 3) == [3]
        leave(client)
        assert seen(server, "cancelled") == ["cancelled"]


def test_half_close_within_the_body_cancels_the_handler(server: Server) -> None:
    with server.connect("POST") as client:
        client.send(post(b"abc", 10, target="/watched"))
        assert seen(server, 3) == [3]
        client.send(Mark.HALF_CLOSE)

        assert client.until_ended() == "closed"
    assert seen(server, "cancelled") == ["cancelled"]


def test_half_close_after_the_body_is_answered(server: Server) -> None:
    with server.connect("POST") as client:
        client.send(post(b"abc", target="/echo"), Mark.HALF_CLOSE)

        assert client.answer().body == b"abc"


def test_a_body_that_comes_too_slowly_is_an_error_and_cancels_the_handler(
    impatient: Server,
) -> None:
    with impatient.connect("POST") as client:
        client.send(post(b"abc", 10, target="/watched"))

        assert client.answer().status == 408
        assert client.until_ended() == "closed"
    assert seen(impatient, "cancelled") == [3, "cancelled"]


@pytest.mark.parametrize("target", ["/watched", "/not-one"])
def test_a_body_that_is_too_large_is_refused_before_the_handler(
    server: Server, target: str
) -> None:
    with server.connect("POST") as client:
        assert client.ask(post(b"", LIMIT + 1, target=target)).status == 413
        assert client.until_ended() == "closed"
    with server.connect() as client:
        assert client.ask(get("/seen")).body == b"[]"


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        pytest.param(b"%x\r\nx" % LIMIT, 413, id="too large"),
        pytest.param(b"xyz\r\n", 400, id="no chunk"),
        pytest.param(b"1\r\nab", 400, id="longer than its size"),
    ],
)
def test_chunks_that_go_wrong_cancel_the_handler(
    server: Server, wrong: bytes, status: int
) -> None:
    with server.connect("POST") as client:
        client.send(post(b"3\r\nabc\r\n", None, CHUNKED, target="/watched"))
        assert seen(server, 3) == [3]
        client.send(wrong)

        assert client.answer().status == status
        assert client.until_ended() == "closed"
    assert seen(server, "cancelled")[-1] == "cancelled"


def test_a_stream_in_both_directions_is_broken_off(server: Server) -> None:
    with server.connect("POST") as client:
        client.send(post(b"3\r\nabc\r\n", None, CHUNKED, target="/mirror"))
        client.receive()
        client.send(b"xyz\r\n")

        client.until_ended()
        assert client.reader.final == []


@pytest.mark.parametrize(
    ("target", "log"),
    [("/fails", "ValueError: boom"), ("/nothing", "no response: the handler of route '/nothing'")],
)
def test_a_handler_that_fails_is_a_500(server: Server, target: str, log: str) -> None:
    count = 1 if target == "/fails" else 0
    with server.expecting(log, errors=count), server.connect("POST", "GET") as client:
        client.send(post(b"x" * 30_000, target=target) + get())

        assert [a.status for a in client.answers(2)] == [500, 200]


def test_body_cannot_be_read_after_the_response(server: Server) -> None:
    with server.connect("POST") as client:
        client.send(post(b"abc", 10, target="/after"))
        assert client.answer().status == 200

    (said,) = seen(server, "the request is over: the rest of its body will never come")
    assert said


def test_only_one_can_wait_for_the_next_piece(server: Server) -> None:
    with server.connect("POST") as client:
        client.send(post(b"", 3, target="/twice"))
        seen(server, "both have begun")
        client.send(b"abc")

        assert json.loads(client.answer().body) == ["chunks() is already being waited for"]


def test_streamed_body_cannot_be_read_as_a_whole(server: Server) -> None:
    form = "Content-Type: multipart/form-data; boundary=XX"
    with server.connect() as client:
        said = json.loads(client.ask(post(b"abc", 3, form, target="/whole")).body)

    why = "this route has stream=True, read `async for piece in req.chunks()`"
    assert said == [f"http_body_read() failed: {why}"] * 5


def test_other_routes_have_no_chunks(server: Server) -> None:
    with server.expecting("chunks() is for routes with stream=True"), server.connect() as client:
        assert client.ask(post(b"abc", target="/not-one")).status == 500


def test_a_client_may_leave_at_any_byte(server: Server) -> None:
    request = coded(b"a" * 30, b"b" * 5, target="/sizes")
    for cut in range(1, len(request)):
        client = server.connect()
        client.send(request[:cut])
        client.reset() if cut % 2 else client.close()
    with server.connect() as client:
        assert json.loads(client.ask(request).body) == [35, 35]

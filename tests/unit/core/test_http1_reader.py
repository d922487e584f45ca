"""Bytes become requests: pipelined, with bodies wanted and unwanted, and what handlers do wrong."""

import os
import resource
import socket
from collections.abc import Callable

import pytest

from kore._core.first_protocol import FirstProtocol
from kore._core.listener import Listener
from kore._core.request import Request
from tests.helpers.core_client import get, post
from tests.helpers.fix_core import HELLO, Pair, Pending

Make = Callable[..., Pair]


def echo(request: Request) -> None:
    request.response(200, request.body)


def chunked(path: str = "/") -> bytes:
    return get(path, "Transfer-Encoding: chunked", method="POST")


# ---- pipelining


def test_pipelined_requests_are_answered_in_order(pair: Make) -> None:
    house = pair(lambda request: request.response(200, request.path))

    assert house.ask(b"".join(get(f"/{n}") for n in range(50))) == [200] * 50
    assert [answer.body.decode() for answer in house.client.reader.answers] == house.seen


@pytest.mark.parametrize("outside", [False, True])
def test_20000_pipelined_requests_are_a_loop(pair: Make, *, outside: bool) -> None:
    """Each answer lets the next request in, which is answered before that returns."""

    def run(request: Request) -> object:
        if not outside:
            return request.response(200, b"")
        house.deferred.append(lambda: request.response(200, b""))
        return Pending()

    house = pair(run)
    for _ in range(100):
        house.drink(data=get() * 200)

    assert (len(house.seen), len(house.client.statuses)) == (20_000, 20_000)


def test_a_whole_inbox_of_requests_is_a_loop_too(pair: Make) -> None:
    house = pair(lambda request: request.response(200, b""))
    house.drink(data=b"GET / HTTP/1.1\r\nHost:h\r\n\r\n" * 20_000)

    assert len(house.client.statuses) == 20_000


def records(pair: Make) -> tuple[Pair, socket.socket]:
    """Return a pair and a client whose socket keeps apart what was written apart."""
    house = pair()
    house.socket.close()
    house.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    house.socket.bind("")
    house.socket.listen()
    house.socket.setblocking(False)
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.connect(house.socket.getsockname())
    return house, client


def test_the_answers_to_pipelined_requests_leave_in_one_write(pair: Make) -> None:
    house, client = records(pair)
    first = FirstProtocol(house.find)
    listener = Listener(house.poller, house.service, house.socket, first)
    with client:
        house.turn()
        client.send(get() * 40)
        house.turn()
        written = client.recv(1 << 20)

        assert written.count(HELLO) == 40
        with pytest.raises(BlockingIOError):
            client.recv(10, socket.MSG_DONTWAIT)
    house.turn()
    listener.resume()
    house.poller.close()


def test_a_client_that_does_not_read_is_not_answered_further(pair: Make) -> None:
    """Its requests wait; the memory for their answers is bounded."""
    house = pair(lambda request: request.response(200, b"x" * 10_000))
    house.pour(get() * 2000)
    house.turn()
    first = len(house.seen)

    assert first < 100
    assert not house.ready()
    house.drink()
    while len(house.client.statuses) < len(house.seen) or house.ready():
        house.drink()
    assert len(house.seen) > first


def test_a_request_in_pieces_is_a_request(pair: Make) -> None:
    house = pair(echo)
    for byte in post(b"abc", "/a"):
        assert house.client.statuses == []
        house.client.send(bytes([byte]))
        house.turn()
        house.client.read()

    assert house.client.last.body == b"abc"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1000])
def test_requests_and_bodies_may_be_cut_anywhere(pair: Make, size: int) -> None:
    house = pair(echo)
    stream = post(b"a" * 40, "/1") + b"\r\n" + get("/2") + chunked("/3")
    stream += (
        b"3\r\nabc\r\n11\r\n" + b"b" * 17 + b"\r\n0\r\nT: r\r\n\r\n" + get("/4") + post(b"", "/5")
    )
    for at in range(0, len(stream), size):
        house.client.send(stream[at : at + size])
        house.turn()
    house.client.read()

    assert house.seen == ["/1", "/2", "/3", "/4", "/5"]
    assert [answer.body for answer in house.client.reader.answers] == [
        b"a" * 40,
        b"",
        b"abc" + b"b" * 17,
        b"",
        b"",
    ]


# ---- what is no request


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n", 414),
        (get("/", "a: " + "b" * 17_000), 431),
        (get(method="TRACE"), 501),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (get("/", "Expect: magic"), 417),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"\0" * 20_000, 400),
    ],
)
def test_what_is_no_request_gets_a_text_and_the_end(pair: Make, data: bytes, status: int) -> None:
    house = pair()

    assert house.ask(get() + data + get("/after")) == [200, status]
    assert house.client.end == "closed"
    assert house.client.last.body.startswith(b"%d " % status)
    assert house.client.last.get("content-type") == "text/plain; charset=utf-8"
    assert house.client.last.get("connection") == "close"
    assert house.seen == ["/"]


def test_a_bad_head_request_gets_no_text(pair: Make) -> None:
    house = pair()
    house.client.reader.methods.append("HEAD")

    assert house.ask(b"HEAD / HTTP/1.1\r\n\r\n") == [400]
    assert house.client.last.body == b""


def test_an_https_target_is_misdirected(pair: Make) -> None:
    house = pair()

    assert house.ask(get("https://h/") + get()) == [421, 200]
    assert house.seen == ["/"]


def test_more_requests_than_the_limit_are_too_many(pair: Make) -> None:
    house = pair(None, http_request_limit=2)
    others = [house.connect() for _ in range(3)]
    statuses = [house.ask(get(), client) for client in others]

    assert statuses == [[], [], [503]]
    assert others[2].end == "closed"
    house.held[0].response(200)
    assert house.ask(get(), house.client) == []
    assert len(house.held) == 3


@pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="it keeps what is freed")
def test_no_memory_is_kept_after_many_requests(pair: Make) -> None:
    house = pair(echo)
    data = (get() + post(b"a" * 500) + chunked() + b"3\r\nabc\r\n0\r\n\r\n") * 20

    def some() -> int:
        for _ in range(170):
            assert len(house.ask(data)) == 60
            house.client.reader.answers.clear()
            house.seen.clear()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = some()

    assert some() - before < 1000, "KiB"
    assert house.service.requests == 0

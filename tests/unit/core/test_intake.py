"""Bytes become requests: pipelined, with bodies wanted and unwanted, and what handlers do wrong."""

import resource
import socket
import tracemalloc
from collections.abc import Callable, Generator
from typing import Any

import pytest

from kore._core.request import Request
from tests.helpers.core_client import get, post
from tests.helpers.fix_core import HELLO, Pair

Make = Callable[..., Pair]
CHUNKED = ("Transfer-Encoding: chunked",)
EXPECT = "Expect: 100-continue"


def echo(request: Request) -> None:
    request.response(200, request.body)


def refusing(status: int) -> Callable[[Request], None]:
    def resolve(request: Request) -> None:
        request.refuse(status)

    return resolve


def chunked(path: str = "/", *fields: str) -> bytes:
    return get(path, *CHUNKED, *fields, method="POST")


# ---- pipelining


def test_pipelined_requests_are_answered_in_order(pair: Make) -> None:
    house = pair(lambda request: request.response(200, request.path))

    assert house.ask(b"".join(get(f"/{n}") for n in range(50))) == [200] * 50
    assert [answer.body.decode() for answer in house.client.reader.answers] == house.seen


def test_20000_pipelined_requests_are_a_loop(pair: Make) -> None:
    house = pair(lambda request: request.response(200, b""))
    house.client.reader.methods.clear()
    data = get() * 200
    for _ in range(100):
        house.pour(data)
        house.drink()

    assert len(house.seen) == 20_000
    assert len(house.client.statuses) == 20_000


def test_20000_pipelined_requests_answered_from_outside_are_a_loop(pair: Make) -> None:
    """Each answer lets the next request in, which is answered before that returns."""

    def answer_soon(request: Request) -> object:
        house.deferred.append(lambda: request.response(200, b""))
        return house.hold(request)

    house = pair(answer_soon)
    for _ in range(100):
        house.pour(get() * 200)
        house.drink()
    while house.deferred:
        house.step()
        house.drink()

    assert len(house.client.statuses) == 20_000
    house.held.clear()


def records(pair: Make) -> tuple[Pair, socket.socket]:
    """Return a pair and a client whose socket keeps apart what was written apart."""
    house = pair()
    house.socket.close()
    house.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    house.socket.bind("")
    house.socket.listen()
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.connect(house.socket.getsockname())
    return house, client


def test_the_answers_to_pipelined_requests_leave_in_one_write(pair: Make) -> None:
    from kore._core.listener import Listener

    house, client = records(pair)
    listener = Listener(house.poller, house.service, house.socket, house.find)
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


# ---- bodies


@pytest.mark.parametrize("size", [1, 1000, 65536, 300_000])
def test_a_body_arrives_whole(pair: Make, size: int) -> None:
    house = pair(echo)
    data = bytes(n % 251 for n in range(size))
    house.pour(post(data) + get())
    house.drink()

    assert [answer.body for answer in house.client.reader.answers] == [data, b""]


@pytest.mark.parametrize("size", ["1000001", "9" * 18, str((1 << 63) - 1), "9" * 40])
def test_a_body_over_the_limit_is_refused_before_it_comes(pair: Make, size: str) -> None:
    house = pair(http_body_max=1_000_000)

    assert house.ask(get("/", f"Content-Length: {size}", method="POST")) == [413]
    assert house.client.end == "closed"
    assert house.client.last.get("connection") == "close"


def test_a_body_at_the_limit_is_taken(pair: Make) -> None:
    assert pair(http_body_max=3).ask(post(b"abc")) == [200]
    assert pair(http_body_max=2).ask(post(b"abc")) == [413]
    assert pair(http_body_max=0).ask(post(b"") + post(b"a")) == [200, 413]


@pytest.mark.parametrize("size", [b"3e9", b"7fffffffffffffff", b"7ffffffffffffff0", b"100000000"])
def test_a_chunk_over_the_limit_is_refused_with_its_first_byte(pair: Make, size: bytes) -> None:
    house = pair(http_body_max=1000)

    assert house.ask(chunked() + b"1\r\nx\r\n" + size + b"\r\n") == []
    assert house.ask(b"y") == [413]
    assert house.client.end == "closed"


@pytest.mark.parametrize("bad", [b"x\r\n", b"1\r\nab", b"8000000000000000\r\n", b"0\r\nbad\r\n"])
def test_a_chunked_body_that_is_none_is_refused(pair: Make, bad: bytes) -> None:
    house = pair()

    assert house.ask(chunked() + bad) == [400]
    assert house.client.end == "closed"


def test_an_announced_body_costs_nothing_before_it_comes(pair: Make) -> None:
    house = pair(http_body_max=1 << 40)
    others = [house.connect() for _ in range(20)]
    tracemalloc.start()
    try:
        for client in others:
            house.ask(get("/", f"Content-Length: {1 << 39}", method="POST") + b"a", client)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_the_handler_is_called_when_the_body_is_here(pair: Make) -> None:
    house = pair(echo)
    house.ask(post(b"abc")[:-1])
    before = house.service.requests

    assert (before, house.client.statuses) == (1, [])
    assert house.ask(b"c") == [200]


# ---- expectations


def test_a_client_that_expects_it_is_told_to_go_on(pair: Make) -> None:
    house = pair(echo)

    assert house.ask(post(b"abc", "/", EXPECT)[:-3]) == [100]
    assert house.ask(b"abc") == [200]
    assert house.client.last.body == b"abc"


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        (post(b"abc", "/", EXPECT), [200]),
        (post(b"abc", "/", EXPECT)[:-2], []),
        (get("/", EXPECT), [200]),
        (post(b"", "/", EXPECT), [200]),
        (get("/", "Content-Length: 3", EXPECT, version="1.0", method="POST"), []),
        (get("/", "Content-Length: 3", "Expect: x", version="1.0", method="POST"), []),
    ],
)
def test_who_does_not_wait_is_not_told_to_go_on(
    pair: Make, data: bytes, statuses: list[int]
) -> None:
    assert pair().ask(data) == statuses


@pytest.mark.parametrize("status", [404, 413, 500])
def test_a_refusal_takes_the_place_of_go_on(pair: Make, status: int) -> None:
    house = pair(resolve=refusing(status))

    assert house.ask(post(b"abc", "/", EXPECT)[:-3]) == [status]
    assert house.client.end == "closed"


# ---- bodies that nobody wants


@pytest.mark.parametrize("data", [post(b"a" * 1000), chunked() + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"])
def test_a_small_unwanted_body_is_read_and_dropped(pair: Make, data: bytes) -> None:
    house = pair(resolve=lambda r: r.refuse(404) if r.method_name == "POST" else house.route)

    assert house.ask(data + get() + data + get()) == [404, 200, 404, 200]
    assert house.client.reader.answers[0].get("connection") == "keep-alive"


@pytest.mark.parametrize("cut", [1, 3])
def test_an_unwanted_body_may_come_later(pair: Make, cut: int) -> None:
    house = pair(resolve=lambda r: r.refuse(404) if r.method_name == "POST" else house.route)

    assert house.ask(post(b"abc")[:-cut]) == [404]
    assert house.ask(b"abc"[-cut:] + get()) == [200]


def test_an_unwanted_body_that_does_not_come_ends_the_connection(pair: Make) -> None:
    house = pair(resolve=refusing(404))
    house.ask(post(b"abc")[:-1])
    house.laters.pop()()
    house.client.read()

    assert (house.client.statuses, house.client.end) == ([404], "closed")


def test_the_patience_with_one_unwanted_body_is_not_that_with_the_next(pair: Make) -> None:
    house = pair(resolve=refusing(404))
    house.ask(post(b"abc"))
    house.ask(post(b"abc")[:-1])
    first, second = house.laters
    first()
    house.client.read()
    before = house.client.end
    second()
    house.client.read()

    assert (before, house.client.end) == ("", "closed")


def test_the_patience_outlives_the_client_without_harm(pair: Make) -> None:
    house = pair(resolve=refusing(404))
    house.ask(post(b"abc")[:-1])
    house.client.close()
    house.turn()
    house.laters.pop()()

    assert house.service.connections == 0


@pytest.mark.parametrize(
    "data",
    [
        get("/", "Content-Length: 65537", method="POST"),
        chunked() + b"10000\r\n" + b"a" * 65536 + b"\r\n1\r\na",
        chunked() + b"10001\r\na",
        chunked() + b"nonsense\r\n",
    ],
)
def test_an_unwanted_body_that_is_large_or_none_ends_the_connection(
    pair: Make, data: bytes
) -> None:
    house = pair(resolve=refusing(404))

    house.pour(data)
    assert house.ask(get()) == [404]
    assert house.client.end == "closed"


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


# ---- what handlers do wrong


class Evil(Exception):
    """What nobody expects."""


FAULTS = [
    ValueError,
    Evil,
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    MemoryError,
    StopIteration,
]


@pytest.mark.parametrize("error", FAULTS)
@pytest.mark.parametrize("place", ["run", "resolve", "spawn"])
def test_an_error_is_one_500_and_one_report(
    pair: Make, error: type[BaseException], place: str
) -> None:
    def fault(*_: Any) -> None:
        raise error

    house = pair(fault if place == "run" else None)
    if place == "resolve":
        house.resolve = fault
    if place == "spawn":
        house.task = fault  # type: ignore[assignment,method-assign]

    assert house.ask(get()) == [500]
    assert house.failed() == [error]
    assert house.client.last.body == b"500 Internal Server Error\n"
    assert house.ask(get()) == [500], "the connection is in step"
    house.failed()


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_an_error_after_the_answer_is_reported_only(pair: Make, error: type[BaseException]) -> None:
    def run(request: Request) -> None:
        request.response(200, b"done")
        raise error

    house = pair(run)

    assert house.ask(get() + get()) == [200, 200]
    assert house.failed() == [error, error]


@pytest.mark.parametrize("result", [None, True, 0, "text", object()])
def test_a_handler_without_an_answer_is_one_500_and_one_report(pair: Make, result: object) -> None:
    house = pair(lambda request: result)

    assert house.ask(get()) == [500]
    assert house.failed() == [None]


def test_a_result_that_cannot_even_be_looked_at_is_an_error(pair: Make) -> None:
    class Shy:
        def __getattr__(self, name: str) -> object:
            raise SystemExit

    house = pair(lambda request: Shy())

    assert house.ask(get()) == [500]
    assert house.failed() == [SystemExit]


def test_what_can_be_awaited_is_spawned(pair: Make) -> None:
    class Awaitable:
        def __await__(self) -> Generator[None, None, None]:
            yield

    house = pair(lambda request: Awaitable())
    house.ask(get())

    assert len(house.tasks) == 1


def test_a_resolver_that_says_nothing_is_a_500(pair: Make) -> None:
    assert pair(resolve=lambda request: None).ask(get()) == [500]


def test_a_resolver_that_answers_and_finds_a_route_too_is_answered_once(pair: Make) -> None:
    def resolve(request: Request) -> object:
        request.refuse(404)
        return house.route

    house = pair(resolve=resolve)

    assert house.ask(get() + get()) == [404, 404]


@pytest.mark.parametrize("route", [3, "route", object()])
def test_a_resolver_that_finds_nonsense_is_a_500(pair: Make, route: object) -> None:
    house = pair(resolve=lambda request: route)

    assert house.ask(get()) == [500]
    assert house.failed() == [AttributeError]


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_reporter_that_fails_is_logged(pair: Make, error: type[BaseException]) -> None:
    class Reported(list[BaseException | None]):
        def append(self, _: object) -> None:
            raise error

    def run(request: Request) -> None:
        raise Evil("mine")

    house = pair(run)
    house.failures = Reported()

    assert house.ask(get()) == [500]
    assert house.logged() == ["cannot report Evil('mine')"]


def test_a_handler_that_hangs_up_owes_no_answer(pair: Make) -> None:
    house = pair(lambda request: request.connection.disconnect())

    assert house.ask(get() + get()) == []
    assert (house.client.end, house.failed(), house.seen) == ("closed", [], ["/"])


def test_a_handler_that_answers_and_hangs_up_is_heard(pair: Make) -> None:
    def run(request: Request) -> None:
        request.response(200, b"bye")
        request.connection.disconnect()

    house = pair(run)

    assert house.ask(get() + get()) == [200]
    assert (house.client.end, house.client.last.body) == ("closed", b"bye")

"""Bodies on their way in: limits before the data, expectations, and what nobody wants."""

import tracemalloc
from collections.abc import Callable

import pytest

from kore._core.request import Request
from tests.helpers.core_client import get, post
from tests.helpers.fix_core import Pair

Make = Callable[..., Pair]
EXPECT = "Expect: 100-continue"


def echo(request: Request) -> None:
    request.response(200, request.body)


def refusing(status: int) -> Callable[[Request], None]:
    def resolve(request: Request) -> None:
        request.refuse(status)

    return resolve


def refusing_posts(pair: Make) -> Pair:
    """Return a pair whose requests with a body are refused before it is read."""

    def resolve(request: Request) -> object:
        if request.method_name == "POST":
            request.refuse(404)
            return None
        return house.route

    house: Pair = pair(resolve=resolve)
    return house


def chunked(path: str = "/") -> bytes:
    return get(path, "Transfer-Encoding: chunked", method="POST")


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
    house = refusing_posts(pair)

    assert house.ask(data + get() + data + get()) == [404, 200, 404, 200]
    assert house.client.reader.answers[0].get("connection") == "keep-alive"


@pytest.mark.parametrize("cut", [1, 3])
def test_an_unwanted_body_may_come_later(pair: Make, cut: int) -> None:
    house = refusing_posts(pair)

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

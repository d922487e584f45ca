"""Answers: whole, in pieces from iterators, interim; and what becomes of those that fail."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kore._core.request import Request
from tests.helpers.core_client import get
from tests.helpers.fix_core import Pair

Make = Callable[..., Pair]


def answering(pair: Make, *arguments: object, **options: Any) -> Pair:
    """Return a pair whose handler calls `response` with *arguments*."""

    def run(request: Request) -> None:
        request.response(*arguments)  # type: ignore[arg-type]

    return pair(run, **options)


# ---- whole answers


@pytest.mark.parametrize("body", [b"abc", "abc", bytearray(b"abc"), memoryview(b"abc")])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_body_has_a_length_and_a_head_request_gets_that_only(
    pair: Make, body: object, method: str, version: str
) -> None:
    house = answering(pair, 200, body)
    house.client.reader.methods.append(method)

    assert house.ask(get(method=method, version=version)) == [200]
    assert house.client.last.get("content-length") == "3"
    assert house.client.last.body == (b"abc" if method == "GET" else b"")
    assert house.client.last.get("connection") == ("keep-alive" if version == "1.1" else "close")
    assert house.client.end == ("" if version == "1.1" else "closed")


@pytest.mark.parametrize("body", [None, b"", "", bytearray(), memoryview(b"")])
def test_an_empty_body_has_a_length_of_0(pair: Make, body: object) -> None:
    house = answering(pair, 200, body)

    assert house.ask(get()) == [200]
    assert house.client.last.get("content-length") == "0"


@pytest.mark.parametrize("body", [None, b"abc", iter([b"a"]), (b"a" for _ in "a")])
@pytest.mark.parametrize(("status", "length"), [(204, None), (304, None), (205, "0")])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_some_statuses_have_no_body(
    pair: Make, status: int, length: str | None, body: object, method: str
) -> None:
    house = answering(pair, status, body)
    house.client.reader.methods.append(method)

    assert house.ask(get(method=method)) == [status]
    assert house.client.last.get("content-length") == length
    assert house.client.last.get("transfer-encoding") is None
    assert house.ask(get()) == [status], "the connection is in step"


@pytest.mark.parametrize("body", [iter([b"abc"]), [b"abc"]])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_head_request_for_an_iterator_gets_no_framing(
    pair: Make, body: object, version: str
) -> None:
    house = answering(pair, 200, body)
    house.client.reader.methods.append("HEAD")

    assert house.ask(get(method="HEAD", version=version)) == [200]
    assert house.client.last.get("content-length") is None
    assert house.client.last.get("transfer-encoding") is None


@pytest.mark.parametrize(("method", "length"), [("HEAD", "1234"), ("GET", "0")])
def test_a_declared_length_counts_for_head_only(pair: Make, method: str, length: str) -> None:
    def run(request: Request) -> None:
        request.response_header("Content-Length", "1234")
        request.response(200)

    house = pair(run)
    house.client.reader.methods.append(method)

    assert house.ask(get(method=method)) == [200]
    assert house.client.last.get("content-length") == length


@pytest.mark.parametrize(
    ("fields", "version", "after"),
    [
        ((), "1.1", ""),
        (("Connection: keep-alive",), "1.1", ""),
        (("Connection: close",), "1.1", "closed"),
        ((), "1.0", "closed"),
        (("Connection: keep-alive",), "1.0", "closed"),
    ],
)
def test_the_client_says_whether_it_stays(
    pair: Make, fields: tuple[str, ...], version: str, after: str
) -> None:
    house = pair()
    house.ask(get("/", *fields, version=version))

    assert house.client.end == after
    assert house.client.last.get("connection") == ("close" if after else "keep-alive")


def test_without_keep_alive_time_every_answer_is_the_last(pair: Make) -> None:
    house = pair(http_keepalive_time=0)

    assert house.ask(get() + get()) == [200]
    assert house.client.end == "closed"


# ---- iterators


@pytest.mark.parametrize(
    "make",
    [
        lambda: [b"a", "b", b"", bytearray(b"c"), memoryview(b"d"), "\xe9"],
        lambda: (b"a", b"bcd", b"", "\xe9"),
        lambda: iter([b"", b"", b"abcd\xc3\xa9"]),
        lambda: (c for c in "abcd\xe9"),
        lambda: {b"a": 1, b"bcd\xc3\xa9": 2}.keys(),
    ],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_iterators_pieces_are_the_body(
    pair: Make, make: Callable[[], object], version: str
) -> None:
    house = answering(pair, 200, make())
    house.client.send(get(version=version))
    house.drink()

    assert house.client.last.body == b"abcd\xc3\xa9"
    assert house.client.end == ("" if version == "1.1" else "closed")
    assert house.client.last.get("transfer-encoding") == ("chunked" if version == "1.1" else None)


@pytest.mark.parametrize("items", [[], [b""], ["", b"", b""], iter(())])
def test_an_iterator_may_have_nothing_to_say(pair: Make, items: object) -> None:
    house = answering(pair, 200, items)

    assert house.ask(get()) == [200]
    assert (house.client.last.body, house.client.last.chunks) == (b"", [])


def pieces(count: int, then: type[BaseException] | None = None) -> Iterator[bytes]:
    for _ in range(count):
        yield b"piece"
    if then:
        raise then


ERRORS = [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError]


@pytest.mark.parametrize("error", ERRORS)
def test_an_iterator_that_fails_at_once_is_a_500(pair: Make, error: type[BaseException]) -> None:
    house = pair(lambda request: request.response(200, pieces(0, error)))

    assert house.ask(get()) == [500]
    assert house.failed() == [error]
    assert house.ask(get()) == [500], "the connection is in step"
    house.failed()


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 200])
def test_an_iterator_that_fails_later_breaks_the_answer_off(
    pair: Make, error: type[BaseException], count: int
) -> None:
    house = pair(lambda request: request.response(200, pieces(count, error)))
    house.client.send(get() + get())
    house.drink()

    assert (house.client.statuses, house.client.end) == ([], "closed")
    assert not house.client.reader.buffer.endswith(b"0\r\n\r\n")
    assert (house.failed(), house.seen) == ([error], ["/"])


def test_to_http_1_0_a_broken_answer_is_a_reset(pair: Make) -> None:
    """The end of the connection would be the end of the body."""
    house = pair(lambda request: request.response(200, pieces(3, ValueError)), tcp=True)
    house.client.send(get(version="1.0"))
    house.turn(lambda: not house.service.connections)
    house.client.read()

    assert house.client.end == "reset"
    assert house.failed() == [ValueError]


@pytest.mark.parametrize("piece", [3, None, [b"x"], object()])
@pytest.mark.parametrize("count", [0, 1])
def test_a_piece_is_bytes_or_str(pair: Make, piece: object, count: int) -> None:
    house = answering(pair, 200, iter([*[b"x"] * count, piece]))
    house.client.send(get())
    house.drink()

    assert house.client.statuses == ([] if count else [500])
    assert house.failed() == [TypeError]


def test_an_iterator_is_asked_no_faster_than_its_client_reads(pair: Make) -> None:
    pulled: list[int] = []

    def many() -> Iterator[bytes]:
        for number in range(300):
            pulled.append(number)
            yield b"x" * 10_000

    house = pair(lambda request: request.response(200, many()))
    house.client.send(get())
    house.turn()
    before = len(pulled)
    house.client.read(50_000)
    house.turn()
    after = len(pulled)
    house.drink()

    assert before < 60, "a socket's buffer of them, not all"
    assert after <= before + 30
    assert len(house.client.last.body) == 3_000_000


def test_an_iterator_of_many_pieces_lets_others_have_their_turn(pair: Make) -> None:
    house = pair(lambda r: r.response(200, pieces(1000) if r.path == "/many" else b""))
    other = house.connect()
    house.client.send(get("/many"))
    other.send(get())
    house.step()
    house.step()

    assert other.read()
    assert not house.client.statuses
    house.turn()


def test_an_endless_iterator_of_nothing_lets_others_live_too(pair: Make) -> None:
    def nothing() -> Iterator[bytes]:
        while True:
            yield b""

    house = pair(lambda r: r.response(200, nothing() if r.path == "/none" else b""))
    other = house.connect()
    house.client.send(get("/none"))
    for _ in range(3):
        house.step()
    other.send(get())
    house.step()
    other.read()

    assert other.statuses == [200]


@pytest.mark.parametrize("leaving", ["close", "reset"])
def test_a_generator_is_closed_when_its_client_leaves(pair: Make, leaving: str) -> None:
    ended: list[bool] = []

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 50_000
        finally:
            ended.append(True)

    house = pair(lambda request: request.response(200, endless()))
    house.client.send(get())
    house.turn()
    house.client.close(reset=leaving == "reset")
    house.turn()

    assert ended == [True]


class Closing:
    """An iterator that fails whenever it can."""

    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> "Closing":
        return self

    def __next__(self) -> bytes:
        return b"x" * 500_000

    def close(self) -> None:
        self.closed += 1
        raise SystemExit("close")


def test_an_iterator_whose_close_fails_is_reported(pair: Make) -> None:
    items = Closing()
    house = answering(pair, 200, items)
    house.client.send(get())
    house.turn()
    house.client.close()
    house.turn()

    assert (items.closed, house.failed()) == (1, [SystemExit])


@pytest.mark.parametrize("before", [0, 1, 5])
def test_an_iterator_may_hang_up(pair: Make, before: int) -> None:
    ended: list[bool] = []

    def items(request: Request) -> Iterator[bytes]:
        try:
            yield from pieces(before)
            request.connection.disconnect()
            yield b"to nobody"
        finally:
            ended.append(True)

    house = pair(lambda request: request.response(200, items(request)))
    house.client.send(get())
    house.drink()

    assert (house.client.end, house.failed(), ended) == ("closed", [], [True])
    assert house.service.requests == 0


@pytest.mark.parametrize("before", [0, 1])
def test_an_iterator_cannot_answer_its_own_request(pair: Make, before: int) -> None:
    def items(request: Request) -> Iterator[bytes]:
        yield from pieces(before)
        request.response(200, b"inner")
        yield b"outer"

    house = pair(lambda request: request.response(200, items(request)))
    house.client.send(get())
    house.drink()

    assert house.failed() == [RuntimeError]
    assert house.client.statuses == ([] if before else [200])
    assert house.service.requests == 0


def test_what_is_no_generator_needs_no_close(pair: Make) -> None:
    house = answering(pair, 200, map(bytes, [[1], [2]]))

    assert house.ask(get()) == [200]
    assert house.client.last.body == b"\1\2"


# ---- interim answers


def test_an_interim_answer_has_its_own_fields_and_comes_at_once(pair: Make) -> None:
    def run(request: Request) -> object:
        request.response_header("Link", "</style.css>")
        assert request.response(103, b"ignored") is True
        assert not request.answered
        request.response(100, iter([b"ignored"]))
        return house.hold(request)

    house = pair(run)

    assert house.ask(get()) == [103, 100]
    assert house.client.reader.answers[0].fields == [("Link", "</style.css>")]
    house.held[0].response(102)
    house.held[0].response(200, b"done")
    house.client.read()
    assert house.client.statuses == [103, 100, 102, 200]
    assert house.client.last.get("link") is None


def test_an_interim_answer_is_nothing_for_http_1_0(pair: Make) -> None:
    def run(request: Request) -> None:
        request.response(103)
        request.response(200)

    assert pair(run).ask(get(version="1.0")) == [200]


def test_an_interim_answer_cannot_follow_the_final_one(pair: Make) -> None:
    def run(request: Request) -> None:
        request.response(200)
        request.response(103)

    house = pair(run)

    assert house.ask(get()) == [200]
    assert house.failed() == [RuntimeError]

"""Bodies in pieces that fail, are never ended, or are not sent; iterators are closed."""

import array
from collections.abc import Callable
from typing import Any

import pytest

from kore._core.request import Request
from tests.helpers.core_client import get, post
from tests.helpers.fix_core import Pair

Make = Callable[..., Pair]
each_version = pytest.mark.parametrize("version", ["1.0", "1.1"])
BODILESS = [("HEAD", 200), ("GET", 204), ("GET", 205), ("GET", 304), ("HEAD", 404)]


class Items:
    """An iterator with `close`, as WSGI has them."""

    def __init__(self, *items: Any) -> None:
        self.items = list(items)
        self.closed = 0

    def __iter__(self) -> "Items":
        return self

    def __next__(self) -> Any:
        if not self.items:
            raise StopIteration
        item = self.items.pop(0)
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        self.closed += 1


class AsyncItems:
    """An async iterator with `aclose`."""

    def __aiter__(self) -> "AsyncItems":
        return self

    async def __anext__(self) -> bytes:
        raise AssertionError("nobody asks for an item")

    async def aclose(self) -> None:
        """Close: whoever is handed this does."""


# ---- bodies that the handler writes itself


@each_version
def test_a_handler_that_raises_behind_open_body_is_cut_off(pair: Make, version: str) -> None:
    def run(request: Request) -> None:
        request.open_body(200)
        request.write_body(b"part")
        raise KeyError("late")

    house = pair(run)
    house.client.send(get(version=version))
    house.turn()
    house.client.take()

    assert house.failed() == [KeyError]
    assert house.client.end
    assert house.service.connections == 0


@each_version
def test_a_body_that_nothing_can_end_is_reported_and_cut_off(pair: Make, version: str) -> None:
    def run(request: Request) -> None:
        request.open_body(200)
        request.write_body(b"part")

    house = pair(run)
    house.client.send(get(version=version))
    house.turn()
    house.client.take()

    assert house.failed() == [None]
    assert house.client.end
    assert house.service.connections == 0


def test_a_body_that_someone_else_goes_on_with_is_left_alone(pair: Make) -> None:
    kept: list[Request] = []

    def run(request: Request) -> None:
        request.open_body(200)
        kept.append(request)

    house = pair(run)
    house.client.send(get())
    house.turn()
    assert house.failed() == []
    kept[0].write_body(b"late")
    kept[0].end_body()
    kept.clear()

    house.turn()
    house.client.read()

    assert house.client.last.body == b"late"


@pytest.mark.parametrize(("method", "status"), BODILESS)
def test_a_body_that_must_not_be_sent_is_not(pair: Make, method: str, status: int) -> None:
    def run(request: Request) -> None:
        request.open_body(200 if request.path == "/next" else status)
        request.write_body(b"body")
        request.end_body()

    house = pair(run)
    house.client.reader.methods.append(method)
    statuses = house.ask(get("/", method=method) + get("/next"))

    first, second = house.client.reader.final
    assert statuses == [status, 200]
    assert (first.body, first.get("transfer-encoding")) == (b"", None)
    assert second.body == b"body"


# ---- iterators are closed


@pytest.mark.parametrize(
    ("method", "items"),
    [
        ("GET", [b"a", b"b"]),
        ("GET", []),
        ("GET", [7]),
        ("GET", [b"a", b"b", 7]),
        ("GET", [ValueError()]),
        ("GET", [b"a", ValueError()]),
        ("HEAD", [b"a"]),
    ],
)
def test_an_iterator_is_closed_once(pair: Make, method: str, items: list[Any]) -> None:
    source = Items(*items)
    house = pair(lambda request: request.response(200, source))
    house.client.send(get(method=method))
    house.turn()
    house.failures.clear()

    assert source.closed == 1


@pytest.mark.parametrize("status", [204, 205, 304])
def test_an_iterator_for_a_status_without_a_body_is_closed(pair: Make, status: int) -> None:
    source, others = Items(b"a"), AsyncItems()
    house = pair(
        lambda request: request.response(status, source if request.path == "/" else others)
    )
    house.ask(get() + get("/async"))

    assert source.closed == 1
    assert house.discarded == [others]


def test_an_iterator_for_a_client_that_has_left_is_closed(pair: Make) -> None:
    house = pair(None)
    house.ask(get())
    house.client.close()
    house.turn()
    source, others = Items(b"a"), AsyncItems()
    house.held[0].response(200, source)
    house.held[0].response(200, others)

    assert source.closed == 1
    assert house.discarded == [others]


def test_an_iterator_whose_client_leaves_is_closed(pair: Make) -> None:
    source = Items(*[b"x" * 1_000_000] * 30)
    house = pair(lambda request: request.response(200, source))
    house.client.send(get())
    house.turn()
    house.client.close()
    house.turn()

    assert source.closed == 1


# ---- memory that its owner may change


@pytest.mark.parametrize("make", [bytearray, lambda data: array.array("B", data)])
def test_a_read_only_view_of_memory_that_can_change_is_copied(
    pair: Make, make: Callable[[bytes], Any]
) -> None:
    owner = make(b"a" * 3_000_000)
    house = pair(lambda request: request.response(200, memoryview(owner).toreadonly()))
    house.client.send(get())
    house.turn()
    owner[:] = make(b"b" * 3_000_000)
    house.drink()

    assert house.client.last.body == b"a" * 3_000_000


# ---- disconnect() behind an answer


@pytest.mark.parametrize("tcp", [False, True])
def test_all_of_an_answer_is_sent_before_a_disconnect(pair: Make, *, tcp: bool) -> None:
    def run(request: Request) -> None:
        request.response(200, b"x" * 10_000_000)
        assert request.connection.disconnect() is True
        assert request.connection.disconnect() is False

    house = pair(run, tcp=tcp)
    house.client.send(get())
    house.drink()

    assert len(house.client.last.body) == 10_000_000
    assert house.client.end == "closed"


def test_a_refusal_before_a_disconnect_is_heard_by_a_client_that_sends_on(pair: Make) -> None:
    def run(request: Request) -> None:
        request.response(413, b"too large")
        request.connection.disconnect()

    house = pair(run, tcp=True, resolve=lambda request: run(request))
    house.pour(post(b"x" * 2_000_000))
    house.turn()
    house.client.read()

    assert (house.client.last.body, house.client.end) == (b"too large", "closed")


def test_a_disconnect_without_an_answer_closes_at_once(pair: Make) -> None:
    house = pair(None)
    house.ask(get())
    house.connection().disconnect()
    house.turn()
    house.client.take()

    assert (house.client.end, house.tasks[0].cancelled) == ("closed", 1)


# ---- pipelining behind a refused body


@pytest.mark.parametrize("half_closed", [False, True])
def test_a_request_behind_a_refused_body_is_answered(pair: Make, *, half_closed: bool) -> None:
    house = pair(None)
    house.client.send(post(b"hello") + get("/next"))
    house.route.extras = None
    if half_closed:
        house.client.finish()
    house.turn()
    house.held[0].response(403)
    house.turn()
    house.held[1].response(200)
    house.turn()
    house.client.read()

    assert [answer.status for answer in house.client.reader.final] == [403, 200]

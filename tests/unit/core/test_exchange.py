"""The answers of those that wait: given from outside, or piece by piece by an async iterator."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from kore._core.request import Request
from tests.helpers.core_client import get
from tests.helpers.fix_core import Pair

Make = Callable[..., Pair]


class Items:
    """What has `__aiter__` is left to the service."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise AssertionError("the core does not iterate")


def streaming(pair: Make, data: bytes = b"", **options: Any) -> tuple[Pair, Request]:
    """Return a pair and its first request, whose answer is an async iterator."""
    house = pair(lambda request: request.response(200, Items()), **options)
    house.client.send(data or get())
    house.turn()
    return house, house.streams[0][0]


def test_an_answer_from_outside_is_sent_at_once(pair: Make) -> None:
    house = pair(None)
    house.ask(get())
    house.held[0].response(200, b"later")
    house.client.read()

    assert house.client.last.body == b"later"
    assert not house.deferred


def test_after_an_answer_from_outside_the_next_request_is_taken_up_soon(pair: Make) -> None:
    """Not from within: a handler is on the stack."""
    house = pair(None)
    house.ask(get("/1") + get("/2") + get("/3"))
    seen = []
    for number in range(3):
        house.held[number].response(200)
        seen.append(list(house.seen))
        house.turn()
        for call in house.deferred:
            call()
        house.deferred.clear()
    house.client.read()

    assert seen == [["/1"], ["/1", "/2"], ["/1", "/2", "/3"]]
    assert house.client.statuses == [200] * 3


def test_an_async_iterator_is_handed_over(pair: Make) -> None:
    house, request = streaming(pair)
    (_, status, items) = house.streams[0]

    assert (status, type(items), request.answered, request.is_served) == (200, Items, True, True)
    assert house.client.read() == b"", "not even a head, before there is something"


def test_no_body_no_iteration(pair: Make) -> None:
    house = pair(lambda request: request.response(200, Items()))
    house.client.reader.methods.append("HEAD")

    assert house.ask(get(method="HEAD")) == [200]
    assert house.streams == []


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_pieces_become_a_body(pair: Make, version: str) -> None:
    house, request = streaming(pair, get(version=version))
    request.open_body(200)
    taken = [request.write_body(piece) for piece in (b"a", "b", b"", memoryview(b"c"))]
    request.end_body()
    house.turn()
    house.client.read()

    assert taken == [True] * 4
    assert (house.client.last.body, house.client.last.status) == (b"abc", 200)
    assert house.client.end == ("" if version == "1.1" else "closed")
    assert house.service.requests == 0


def test_each_piece_is_sent_at_once(pair: Make) -> None:
    house, request = streaming(pair)
    request.open_body(200)
    request.write_body(b"first")
    house.client.read()

    assert house.client.reader.current is not None
    assert house.client.reader.current.chunks == [b"first"]


def test_a_slow_client_is_waited_for(pair: Make) -> None:
    house, request = streaming(pair)
    request.open_body(200)
    assert request.write_body(b"x" * 1_000_000) is False
    future: object = request.drained()
    before = house.futures[0].done()
    house.drink()

    assert future is house.futures[0]
    assert (before, house.futures[0].done()) == (False, True)
    assert request.write_body(b"more") is True


def test_for_a_client_that_has_caught_up_nobody_waits(pair: Make) -> None:
    house, request = streaming(pair)
    request.open_body(200)
    request.write_body(b"x")
    request.drained()

    assert house.futures[0].done()


def test_a_future_that_somebody_cancelled_is_left_alone(pair: Make) -> None:
    house, request = streaming(pair)
    request.open_body(200)
    request.write_body(b"x" * 1_000_000)
    request.drained()
    house.futures[0].done = lambda: True  # type: ignore[method-assign]
    house.futures[0].set_result = None  # type: ignore[assignment]
    house.drink()

    assert request.is_served


@pytest.mark.parametrize("waiting", [False, True])
def test_a_client_that_left_is_written_to_in_vain(pair: Make, *, waiting: bool) -> None:
    house, request = streaming(pair)
    request.register_task(house.task())
    request.open_body(200)
    request.write_body(b"x" * (1_000_000 if waiting else 1))
    if waiting:
        request.drained()
    house.client.close()
    house.turn()

    assert (request.is_served, house.tasks[0].cancelled) == (False, 1)
    assert request.write_body(b"y") is False
    request.drained()
    assert house.futures[-1].done()
    request.end_body()
    request.open_body(200)
    request.fail()
    assert house.service.requests == 0


def test_a_client_that_left_is_noticed_by_writing(pair: Make) -> None:
    house, request = streaming(pair)
    request.register_task(house.task())
    house.client.close()
    request.open_body(200)

    assert request.write_body(b"x") is False
    assert request.is_served is False
    house.turn()
    assert house.tasks[0].cancelled == 1


def test_an_end_comes_once(pair: Make) -> None:
    house, request = streaming(pair, get("/1") + get("/2"))
    request.open_body(200)
    request.end_body()
    request.end_body()
    request.open_body(200)
    assert request.write_body(b"x") is False
    house.turn()
    house.step()
    second = house.streams[1][0]
    second.open_body(404)
    second.end_body()
    house.client.read()

    assert house.client.statuses == [200, 404]


def test_a_failure_before_the_head_is_a_500(pair: Make) -> None:
    house, request = streaming(pair)
    request.fail()

    house.client.read()
    assert house.client.statuses == [500]


def test_a_failure_after_the_head_breaks_the_answer_off(pair: Make) -> None:
    house, request = streaming(pair)
    request.register_task(house.task())
    request.open_body(200)
    request.write_body(b"a")
    request.fail()
    request.fail()
    house.turn()
    house.client.read()

    assert (house.client.statuses, house.client.end) == ([], "closed")
    assert (house.service.connections, house.service.requests) == (0, 0)


@pytest.mark.parametrize("piece", [3, None, [b"x"]])
def test_a_piece_that_is_none_is_the_iterators_fault(pair: Make, piece: object) -> None:
    _, request = streaming(pair)
    request.open_body(200)

    with pytest.raises(TypeError, match="must be bytes or str"):
        request.write_body(piece)


def test_both_tasks_of_a_request_end_with_its_client(pair: Make) -> None:
    house, request = streaming(pair)
    for _ in range(2):
        request.register_task(house.task())
    house.client.close()
    house.turn()

    assert [task.cancelled for task in house.tasks] == [1, 1]


def test_a_task_that_comes_too_late_is_cancelled_at_once(pair: Make) -> None:
    house = pair(None)
    house.ask(get())
    house.client.close()
    house.turn()
    house.held[0].register_task(late := house.task())

    assert late.cancelled == 1


def test_a_streams_task_that_comes_too_late_is_cancelled_too(pair: Make) -> None:
    """Where tasks start at once, the client may be gone before there is one to speak of."""
    house, request = streaming(pair)
    request.open_body(200)
    request.connection.disconnect()
    request.register_task(late := house.task())

    assert late.cancelled == 1


def test_a_handler_may_go_on_after_its_answer(pair: Make) -> None:
    house = pair(None)
    house.ask(get())
    house.held[0].response(200)
    house.client.close()
    house.turn()
    house.held[0].register_task(late := house.task())

    assert [task.cancelled for task in house.tasks] == [0, 0]
    assert late is house.tasks[1]


def test_a_handler_that_fails_after_a_stream_began_is_reported_only(pair: Make) -> None:
    def run(request: Request) -> None:
        request.response(200, Items())
        raise ValueError

    house = pair(run)
    house.client.send(get())
    house.turn()
    request = house.streams[0][0]
    request.open_body(200)
    request.write_body(b"a")
    request.end_body()
    house.client.read()

    assert house.failed() == [ValueError]
    assert (house.client.statuses, house.client.last.body) == ([200], b"a")

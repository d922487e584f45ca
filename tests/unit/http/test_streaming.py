"""Async iterators as bodies: no faster than the client reads, and not a step after it has left."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from kore._core.request import Request
from kore._http.streaming import ITEMS_PER_TURN, stream_body, yield_once
from tests.helpers.core_client import get
from tests.helpers.core_loop import Served, run, serving


class FakeRequest:
    """What a stream needs of a request, and what it did with it."""

    def __init__(self, *, slow: tuple[int, ...] = (), left_after: int = -1) -> None:
        self.did: list[object] = []
        self.slow = slow
        self.left_after = left_after
        self.written = 0

    def open_body(self, status: int) -> None:
        self.did.append(status)

    @property
    def is_served(self) -> bool:
        return self.written != self.left_after

    def write_body(self, item: object) -> bool:
        self.written += 1
        self.did.append(item)
        return self.is_served and self.written not in self.slow

    def end_body(self) -> None:
        self.did.append("end")

    def fail(self) -> None:
        self.did.append("fail")

    def drained(self) -> "asyncio.Future[None]":
        self.did.append("drained")
        return asyncio.ensure_future(asyncio.sleep(0))


class Items:
    """An async generator that says when it has ended."""

    def __init__(self, count: int, then: BaseException | None = None) -> None:
        self.ended = 0
        self.asked = 0
        self.generator = self.make(count, then)

    async def make(self, count: int, then: BaseException | None) -> AsyncIterator[str]:
        try:
            for number in range(count):
                self.asked += 1
                yield f"item {number}"
            if then:
                raise then
        finally:
            self.ended += 1


def streamed(request: FakeRequest, items: Any) -> list[object]:
    """Return what a stream did with *request*."""

    async def check() -> None:
        await stream_body(request, 200, items)

    run(check)
    return request.did


def test_items_become_a_body() -> None:
    items = Items(2)

    assert streamed(FakeRequest(), items.generator) == [200, "item 0", "item 1", "end"]
    assert items.ended == 1


def test_no_items_are_a_body_too() -> None:
    assert streamed(FakeRequest(), Items(0).generator) == [200, "end"]


def test_a_slow_client_is_waited_for() -> None:
    assert streamed(FakeRequest(slow=(1,)), Items(2).generator) == [
        200,
        "item 0",
        "drained",
        "item 1",
        "end",
    ]


def test_a_client_that_left_is_sent_no_more() -> None:
    items = Items(1000)

    assert streamed(FakeRequest(left_after=2), items.generator) == [200, "item 0", "item 1"]
    assert (items.asked, items.ended) == (2, 1)


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("error", [ValueError(), SystemExit(), asyncio.CancelledError()])
def test_an_iterator_that_fails_fails_the_response_and_raises(
    count: int, error: BaseException
) -> None:
    request, items = FakeRequest(), Items(count, error)

    async def check() -> None:
        with pytest.raises(type(error)):
            await stream_body(request, 200, items.generator)

    run(check)
    assert request.did == [*([200] if count else []), *(f"item {n}" for n in range(count)), "fail"]
    assert items.ended == 1


def test_an_iterator_that_never_waits_gives_others_their_turn() -> None:
    turns: list[int] = []
    request = FakeRequest()

    async def check() -> None:
        task = asyncio.ensure_future(stream_body(request, 200, Items(ITEMS_PER_TURN * 3).generator))
        while not task.done():
            await asyncio.sleep(0)
            turns.append(request.written)

    run(check)
    assert turns[:4] == [ITEMS_PER_TURN, ITEMS_PER_TURN * 2, ITEMS_PER_TURN * 3, ITEMS_PER_TURN * 3]


def test_yielding_once_takes_one_turn() -> None:
    told: list[str] = []

    async def wait() -> None:
        told.append("before")
        await yield_once()
        told.append("after")

    async def check() -> None:
        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        told.append("others")
        await task

    run(check)
    assert told == ["before", "others", "after"]


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_stream_that_is_cancelled_lets_go_of_its_iterator(steps: int) -> None:
    items = Items(1_000_000)

    async def check() -> None:
        task = asyncio.ensure_future(
            stream_body(FakeRequest(slow=tuple(range(9))), 200, items.generator)
        )
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert items.ended == 1

    run(check)


class Iterable:
    """What is no generator itself but makes one."""

    def __init__(self, items: Items) -> None:
        self.items = items

    def __aiter__(self) -> AsyncIterator[str]:
        return self.items.generator


def test_the_generator_of_an_iterable_is_closed_too() -> None:
    items = Items(10)

    async def check() -> None:
        await stream_body(FakeRequest(left_after=2), 200, cast("Any", Iterable(items)))
        assert items.ended == 1

    run(check)


@pytest.mark.parametrize("made", [3, None])
def test_an_invalid_async_iterable_fails_the_response(made: object) -> None:
    class Broken:
        def __aiter__(self) -> object:
            return made

    request = FakeRequest()
    with pytest.raises(TypeError):
        streamed(request, Broken())

    assert request.did == ["fail"]


def test_an_iterator_needs_no_aclose() -> None:
    class Bare:
        left = 2

        def __aiter__(self) -> "Bare":
            return self

        async def __anext__(self) -> bytes:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return b"x"

    assert streamed(FakeRequest(), Bare()) == [200, b"x", b"x", "end"]


def test_an_aclose_that_fails_is_an_error() -> None:
    class Broken:
        def __aiter__(self) -> "Broken":
            return self

        async def __anext__(self) -> bytes:
            raise StopAsyncIteration

        async def aclose(self) -> None:
            raise ValueError("aclose")

    with pytest.raises(ValueError, match="aclose"):
        streamed(FakeRequest(), Broken())


# ---- with the core


async def endless(told: list[str], size: int = 100_000) -> AsyncIterator[bytes]:
    """Yield for ever, without ever waiting for anything."""
    try:
        while True:
            told.append("item")
            yield b"x" * size
    finally:
        told.append("ended")


def answering(
    items: Callable[[], object], **options: Any
) -> contextlib.AbstractAsyncContextManager[Served]:
    return serving(lambda request: request.response(200, items()), **options)


def test_a_body_comes_whole_through_a_small_door() -> None:
    async def items() -> AsyncIterator[bytes]:
        for number in range(40):
            yield bytes([number]) * 50_000

    async def check() -> None:
        async with answering(items) as house:
            await house.answered(get() + get(), 2)
            bodies = [answer.body for answer in house.client.reader.answers]
            assert bodies == [b"".join(bytes([n]) * 50_000 for n in range(40))] * 2

    run(check)


def test_a_stream_takes_no_more_items_than_its_client_reads() -> None:
    async def check() -> None:
        told: list[str] = []
        async with answering(lambda: endless(told)) as house:
            house.client.send(get())
            for _ in range(100):
                house.poller.dispatch()
                await asyncio.sleep(0)
            assert len(told) < 10
            house.client.close()
            await house.until(lambda: told[-1] == "ended")

    run(check)


@pytest.mark.parametrize("size", [1, 100_000])
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_a_stream_whose_client_leaves_ends(size: int, turns: int, *, reset: bool) -> None:
    """Even one that never waits, and only notices when it writes."""

    async def check() -> None:
        told: list[str] = []
        async with answering(lambda: endless(told, size), tcp=True) as house:
            house.client.send(get())
            await house.until(lambda: told)
            for _ in range(turns):
                house.client.read()
                house.poller.dispatch()
                await asyncio.sleep(0)
            house.client.take()
            house.client.close(reset=reset)
            for _ in range(2):
                await asyncio.sleep(0)  # the stream's turn comes before the poller's
            await house.until(lambda: told[-1] == "ended")
            await house.until(lambda: not house.real.serving)

    run(check)


def test_a_stream_that_fails_is_reported_and_broken_off() -> None:
    async def items() -> AsyncIterator[bytes]:
        yield b"a"
        raise ValueError

    async def check() -> None:
        async with answering(items) as house:
            assert await house.answered(get()) == []
            assert (house.client.end, house.failed()) == ("closed", [ValueError])

    run(check)


def test_a_stream_that_fails_at_once_is_a_500() -> None:
    async def items() -> AsyncIterator[bytes]:
        for item in [b""]:
            if not item:
                raise ValueError
            yield item

    async def check() -> None:
        async with answering(items) as house:
            assert await house.answered(get() + get(), 2) == [500, 500]
            assert house.failed() == [ValueError, ValueError]

    run(check)


def test_a_handler_that_fails_after_its_stream_began_does_not_stop_it() -> None:
    async def items() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(0)
        yield b"b"

    async def check() -> None:
        def handler(request: Request) -> None:
            request.response(200, items())
            raise ValueError

        async with serving(handler) as house:
            assert await house.answered(get()) == [200]
            assert (house.client.last.body, house.failed()) == (b"ab", [ValueError])

    run(check)


def test_an_async_handler_and_its_stream_end_together_with_their_client() -> None:
    async def check() -> None:
        told: list[str] = []

        async def handler(request: Request) -> None:
            request.response(200, endless(told))
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                told.append("handler")

        async with serving(handler) as house:
            house.client.send(get())
            await house.until(lambda: house.real.serving == 2 and told)
            house.client.close()
            await house.until(lambda: not house.real.serving)
            assert sorted(told[-2:]) == ["ended", "handler"]

    run(check)

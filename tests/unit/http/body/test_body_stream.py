"""Bodies that are not kept: handed to a reader who waits for them, or to a hook."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from kore._http.body.body_stream import BUFFER_SIZE, PIECE_OVERHEAD, BodyStream, ChunkHookBody


class Asked:
    """A request, as far as a hook is concerned."""

    answered = False

    def __init__(self) -> None:
        self.failed = 0

    def fail(self) -> None:
        self.failed += 1

    def get_route_label(self) -> str:
        return "/x"


def flow(events: list[str]) -> BodyStream:
    loop = asyncio.get_running_loop()
    return BodyStream(
        loop.create_future, lambda: events.append("more"), lambda: events.append("want")
    )


def run(check: Callable[[BodyStream, list[str]], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        events: list[str] = []
        await check(flow(events), events)

    asyncio.run(main())


def test_pieces_come_in_order_whether_or_not_they_are_waited_for() -> None:
    async def check(body: BodyStream, events: list[str]) -> None:
        body.feed(b"a")
        reading = asyncio.create_task(everything(body))
        await asyncio.sleep(0)
        for piece in (b"b", b"c"):
            body.feed(piece)
            await asyncio.sleep(0)
        body.feed(b"d")
        body.end()

        assert await reading == [b"a", b"b", b"c", b"d"]
        assert events == ["want"] * 3

    run(check)


async def everything(body: BodyStream) -> list[bytes]:
    return [piece async for piece in body.chunks()]


def test_there_is_room_until_it_is_full_and_again_when_half_of_it_is_read() -> None:
    async def check(body: BodyStream, events: list[str]) -> None:
        quarter = bytes(BUFFER_SIZE // 4 - PIECE_OVERHEAD)
        assert [body.feed(quarter) for _ in range(4)] == [True, True, True, False]
        for _ in range(2):
            assert events == []
            await anext(body)

        assert events == ["more"]
        assert body.feed(quarter) is True

    run(check)


def test_pieces_of_one_byte_take_more_room_than_that() -> None:
    async def check(body: BodyStream, _: list[str]) -> None:
        count = 1
        while body.feed(b"a"):
            count += 1

        assert count < BUFFER_SIZE // 50
        body.end()
        assert len(await everything(body)) == count

    run(check)


def test_pieces_before_an_abort_can_be_read_and_then_it_raises() -> None:
    async def check(body: BodyStream, events: list[str]) -> None:
        body.feed(b"a")
        body.stop()

        assert await anext(body) == b"a"
        with pytest.raises(RuntimeError, match="the request is over"):
            await anext(body)
        assert events == []

    run(check)


@pytest.mark.parametrize("how", ["stop", "close"])
def test_a_waiting_reader_gets_the_end(how: str) -> None:
    async def check(body: BodyStream, _: list[str]) -> None:
        reading = asyncio.ensure_future(everything(body))
        await asyncio.sleep(0)
        getattr(body, how)()
        with pytest.raises(RuntimeError, match="the request is over"):
            await reading

    run(check)


def test_a_cancelled_reader_may_read_again() -> None:
    async def check(body: BodyStream, _: list[str]) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(body)
        body.feed(b"a")

        assert await anext(body) == b"a"

    run(check)


def test_a_piece_that_comes_when_its_reader_is_cancelled_is_not_lost() -> None:
    async def check(body: BodyStream, _: list[str]) -> None:
        reading = asyncio.create_task(everything(body))
        await asyncio.sleep(0)
        body.feed(b"a")
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

        assert await anext(body) == b"a"

    run(check)


def hooked(hook: Callable[..., Any], waiting: list[Any]) -> tuple[Asked, ChunkHookBody]:
    request = Asked()

    def wait(pending: Any, then: Callable[[Any], object]) -> None:
        async def both() -> None:
            then(await pending)

        waiting.append(both())

    return request, ChunkHookBody(request, hook, wait, lambda: waiting.append("on"))


@pytest.mark.parametrize(("verdict", "goes_on"), [(True, True), (1, True), (False, False)])
def test_a_hook_decides(verdict: object, goes_on: bool) -> None:
    pieces: list[bytes] = []
    request, body = hooked(lambda _, piece: pieces.append(piece) or verdict, [])

    assert body.feed(b"a") is goes_on
    assert (pieces, request.failed) == ([b"a"], int(not goes_on))


def test_a_hook_that_is_awaited_decides_then() -> None:
    async def later(_: object, piece: bytes) -> bool:
        await asyncio.sleep(0)
        return piece == b"yes"

    waiting: list[Any] = []
    request, body = hooked(later, waiting)
    assert [body.feed(b"yes"), body.feed(b"no")] == [False, False]
    asyncio.run(waiting[0])
    asyncio.run(waiting[1])

    assert waiting[2:] == ["on"]
    assert request.failed == 1


def test_a_result_of_a_hook_after_the_end_is_ignored() -> None:
    async def later(_: object, piece: bytes) -> bool:
        return True

    waiting: list[Any] = []
    _, body = hooked(later, waiting)
    body.feed(b"a")
    body.close()
    asyncio.run(waiting[0])

    assert waiting[1:] == []

"""Timers: in time, without drift, whatever their callbacks do."""

import asyncio
import gc
import time
from typing import Any

import pytest

import kore
from kore._aio.timer import RUNNING_TASKS
from kore.errors import KoreError
from tests.helpers.loops import Errors, on_both, passes, until


@on_both
async def test_oneshot_timer_fires_once() -> None:
    seen: list[str] = []
    timer = kore.timer(lambda: seen.append("fired"), 5, kore.TIMER_ONESHOT)
    before = timer.closed
    await until(lambda: seen)
    await kore.suspend(20)

    assert (seen, before, timer.closed) == (["fired"], False, True)


@on_both
async def test_callback_gets_the_data_if_it_is_given() -> None:
    seen: list[Any] = []
    kore.timer(seen.append, 1, kore.TIMER_ONESHOT, data=None)
    kore.timer(seen.append, 3, kore.TIMER_ONESHOT, data={"a": 1})
    await until(lambda: len(seen) == 2)

    assert seen == [None, {"a": 1}]


@on_both
async def test_interval_timer_fires_until_it_is_closed() -> None:
    seen: list[int] = []
    timer = kore.timer(lambda: seen.append(1), 2, 0)
    await until(lambda: len(seen) >= 5)
    closed = timer.close(), timer.close()
    count = len(seen)
    await kore.suspend(20)

    assert (closed, len(seen), timer.closed) == ((True, True), count, True)


@on_both
async def test_interval_timer_does_not_drift() -> None:
    """However long each call takes, the n-th comes after n delays."""
    # Each is due at a multiple of the delay. With 4 ms of drift a call two of five would be near
    # one, always; a busy machine is late now and then, and gets another try.
    near = 0
    for _ in range(20):
        offsets = [offset % 0.01 for offset in await called_slowly(20)]
        near = sum(offset < 0.003 or offset > 0.0085 for offset in offsets)
        if near > 14:
            break
    assert near > 14, offsets


async def called_slowly(count: int) -> list[float]:
    """Return when a callback was called that takes 4 ms of each 10."""
    loop = asyncio.get_running_loop()
    times: list[float] = []

    def slow() -> None:
        times.append(loop.time())
        time.sleep(0.004)

    start = loop.time()
    timer = kore.timer(slow, 10, 0)
    await until(lambda: len(times) >= count)
    timer.close()
    return [each - start for each in times[:count]]


def hold_up(seconds: float) -> None:
    time.sleep(seconds)


@on_both
async def test_delayed_timer_skips_missed_calls() -> None:
    seen: list[int] = []
    timer = kore.timer(lambda: seen.append(1), 5, 0)
    hold_up(0.1)
    await passes(3)
    held = len(seen)
    await until(lambda: len(seen) > held)
    timer.close()

    assert held < 10, "one for each turn of the loop, not twenty"


@on_both
async def test_timer_without_delay_fires_once_a_turn() -> None:
    seen: list[int] = []
    timer = kore.timer(lambda: seen.append(1), 0, 0)
    await until(lambda: len(seen) > 10)
    timer.close()


@on_both
async def test_callback_may_close_its_timer() -> None:
    seen: list[int] = []

    def callback() -> None:
        seen.append(1)
        timer.close()

    timer = kore.timer(callback, 1, 0)
    await until(lambda: seen)
    await kore.suspend(10)

    assert seen == [1]


@pytest.mark.parametrize("error", [LookupError, SystemExit, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("waits", [False, True])
@on_both
async def test_error_of_a_callback_is_reported_and_the_timer_goes_on(
    error: type[BaseException], *, waits: bool
) -> None:
    errors = Errors()

    def fails() -> None:
        raise error

    async def fails_later() -> None:
        await asyncio.sleep(0)
        raise error

    timer = kore.timer(fails_later if waits else fails, 1, 0)
    await until(lambda: len(errors.found) >= 2)
    timer.close()
    await until(lambda: not RUNNING_TASKS)

    assert {type(found) for _, found in errors.found} == {error}
    assert all("<kore.timer" in where and "fails" in where for where, _ in errors.found)


@on_both
async def test_async_callback_ends_before_it_is_called_again() -> None:
    running, most, done = 0, 0, 0

    async def callback() -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await kore.suspend(10)
        running -= 1
        done += 1

    timer = kore.timer(callback, 2, 0)
    await until(lambda: done >= 3)
    timer.close()
    await until(lambda: not running)

    assert most == 1


@on_both
async def test_running_async_callback_is_kept_alive() -> None:
    seen: list[int] = []

    async def callback() -> None:
        await asyncio.sleep(0.01)
        seen.append(1)

    kore.timer(callback, 1, kore.TIMER_ONESHOT)
    await until(lambda: RUNNING_TASKS)
    gc.collect()
    await until(lambda: seen and not RUNNING_TASKS)


@on_both
async def test_timers_fire_in_the_order_of_their_creation() -> None:
    seen: list[int] = []
    for number in range(20):
        kore.timer(seen.append, 2, kore.TIMER_ONESHOT, data=number)
    await until(lambda: len(seen) == 20)

    assert seen == list(range(20))


def test_timer_needs_an_event_loop() -> None:
    with pytest.raises(KoreError, match=r"kore\.timer not supported on parent process"):
        kore.timer(print, 10, 0)


@on_both
async def test_arguments_are_checked() -> None:
    with pytest.raises(KoreError, match="invalid flags"):
        kore.timer(print, 10, 2)
    with pytest.raises(TypeError, match="a timer's method must be callable, not 'x'"):
        kore.timer("x", 10, 0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        kore.timer(print, 1.5, 0)  # type: ignore[arg-type]


def test_timers_end_with_their_loop() -> None:
    async def callback() -> None:
        await asyncio.sleep(100)

    async def main() -> None:
        kore.timer(callback, 0, 0)
        kore.timer(print, 1000, kore.TIMER_ONESHOT)
        await until(lambda: RUNNING_TASKS)

    asyncio.run(main())
    gc.collect()

    assert not RUNNING_TASKS


@on_both
async def test_cancelled_await_in_a_callback_does_not_stop_the_timer() -> None:
    errors = Errors()
    seen: list[int] = []

    async def fails() -> None:
        seen.append(1)
        other = asyncio.get_running_loop().create_future()
        other.cancel()
        await other

    timer = kore.timer(fails, 2, 0)
    await until(lambda: len(seen) > 2)
    timer.close()
    await passes(3)

    assert len(errors.found) == len(seen)

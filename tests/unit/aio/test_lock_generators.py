"""Locks that async generators hold: released when these are closed, by whatever task."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import kore
from kore.errors import KoreError
from tests.helpers.loops import Errors, on_both, passes, until


async def numbers_within(lock: Any) -> AsyncIterator[int]:
    async with lock:
        for number in range(3):
            yield number


async def numbers_between(lock: Any) -> AsyncIterator[int]:
    await lock.acquire()
    try:
        yield 1
        yield 2
    finally:
        lock.release()


async def numbers_tried(lock: Any) -> AsyncIterator[int]:
    assert lock.trylock()
    try:
        yield 1
    finally:
        lock.release()


async def numbers_nested(lock: Any) -> AsyncIterator[int]:
    async for number in numbers_within(lock):
        yield number


@asynccontextmanager
async def managed(lock: Any) -> AsyncIterator[int]:
    async with lock:
        yield 1


GENERATORS = pytest.mark.parametrize(
    "numbers", [numbers_within, numbers_between, numbers_tried, numbers_nested]
)


async def leave(numbers: Any, lock: Any, then: Any = None) -> None:
    async for _ in numbers(lock):
        break
    if then is not None:
        await then()


@GENERATORS
@pytest.mark.parametrize("waits_before", [False, True])
@on_both
async def test_lock_of_an_abandoned_generator_is_released(numbers: Any, waits_before: bool) -> None:
    lock, release, over = kore.lock(), asyncio.Event(), asyncio.Event()

    async def others() -> None:
        async with lock:
            assert lock.locked

    async def lives_on() -> None:
        async for _ in numbers(lock):
            await release.wait()
            break
        await over.wait()

    owner = asyncio.create_task(lives_on())
    await passes(2)
    assert lock.locked
    waiting = [asyncio.create_task(others()) for _ in range(3 * waits_before)]
    await passes(2)
    release.set()
    await asyncio.gather(*waiting)
    await until(lambda: not lock.locked)
    await others()
    over.set()
    await owner
    assert not lock.locked


@GENERATORS
@on_both
async def test_task_can_acquire_the_lock_of_its_abandoned_generator(numbers: Any) -> None:
    lock = kore.lock()
    await leave(numbers, lock, lock.acquire)
    assert lock.locked
    lock.release()


@on_both
async def test_suspended_generator_keeps_the_lock() -> None:
    lock = kore.lock()
    generator = numbers_within(lock)
    await anext(generator)
    with pytest.raises(KoreError, match=r"recursive lock detected.*contextlib.aclosing"):
        await lock.acquire()
    with pytest.raises(KoreError, match="recursive lock detected"):
        async for _ in numbers_within(lock):
            pass
    closing = asyncio.create_task(generator.aclose())  # type: ignore[attr-defined]
    await closing
    assert not lock.locked


@on_both
async def test_holder_on_the_call_stack_is_recursion_at_once() -> None:
    lock = kore.lock()
    steps = []

    async def within() -> None:
        async with lock:
            await deeper()

    async def deeper() -> None:
        asyncio.get_running_loop().call_soon(steps.append, 1)
        with pytest.raises(KoreError, match="recursive lock detected"):
            await lock.acquire()
        assert steps == []

    await within()


@on_both
async def test_other_function_cannot_release_the_lock_of_a_generator() -> None:
    lock = kore.lock()
    generator = numbers_within(lock)

    async def begin() -> None:
        await anext(generator)
        await asyncio.sleep(10)

    owner = asyncio.create_task(begin())
    await passes(2)
    for release in (lock.release, lock.__aexit__):
        with pytest.raises(KoreError, match=r"lock not owned by caller.*contextlib.aclosing"):
            await release()
    owner.cancel()
    await asyncio.gather(owner, return_exceptions=True)
    await generator.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("numbers", [numbers_within, numbers_between, numbers_tried])
@pytest.mark.parametrize("is_taken", [False, True])
@on_both
async def test_generator_closed_after_its_task_was_cancelled_raises_nothing(
    numbers: Any, is_taken: bool
) -> None:
    lock, errors = kore.lock(), Errors()

    async def begin() -> None:
        async for _ in numbers(lock):
            await asyncio.sleep(10)

    owner = asyncio.create_task(begin())
    await passes(2)
    waiting = [asyncio.create_task(lock.acquire())] * is_taken
    await passes(2)
    owner.cancel()
    await asyncio.gather(owner, *waiting, return_exceptions=True)
    del owner
    gc.collect()
    await passes(10)
    gc.collect()
    assert (lock.locked, errors.found) == (False, [])


@pytest.mark.parametrize("numbers", [numbers_within, numbers_between, numbers_tried])
@on_both
async def test_generator_of_an_ended_task_does_not_release_the_lock(numbers: Any) -> None:
    lock, kept = kore.lock(), []

    async def begin() -> None:
        kept.append(numbers(lock))
        await anext(kept[0])

    await asyncio.create_task(begin())
    async with lock:
        await asyncio.create_task(kept[0].aclose())
        assert lock.locked
    assert not lock.locked


@on_both
async def test_context_manager_may_exit_in_another_task() -> None:
    lock = kore.lock()
    manager = managed(lock)
    await manager.__aenter__()
    await asyncio.create_task(manager.__aexit__(None, None, None))
    assert not lock.locked


@on_both
async def test_frames_of_the_same_function_are_distinguished() -> None:
    lock = kore.lock()
    first, second = numbers_within(lock), numbers_within(lock)
    await anext(first)
    taking = asyncio.create_task(anext(second))  # type: ignore[arg-type]
    await passes(2)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    assert lock.locked
    await asyncio.create_task(first.aclose())  # type: ignore[attr-defined]
    assert not lock.locked


def test_lock_keeps_no_reference_to_a_frame() -> None:
    lock = kore.lock()

    async def main() -> None:
        async with lock:
            pass

    asyncio.run(main())
    assert sys.getrefcount(main) == 2

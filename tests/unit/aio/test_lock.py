"""Locks: one holder, the longest wait next, and no lock is ever lost with its holder."""

import asyncio
import gc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kore
from kore.errors import KoreError
from tests.helpers.loops import LOOPS, on_both, passes


async def hold(lock: Any, until: asyncio.Event) -> None:
    async with lock:
        await until.wait()


@on_both
async def test_lock_is_held_by_one_task_at_a_time_in_order() -> None:
    lock, seen = kore.lock(), []

    async def work(number: int) -> None:
        async with lock:
            seen.append(number)
            await asyncio.sleep(0)
            seen.append(number)

    await asyncio.gather(*[work(number) for number in range(20)])

    assert seen == [number for number in range(20) for _ in range(2)]
    assert not lock.locked


@on_both
async def test_async_with_binds_none_and_passes_exceptions() -> None:
    lock = kore.lock()
    with pytest.raises(LookupError):
        async with lock as nothing:
            raise LookupError(nothing)

    assert (nothing, lock.locked) == (None, False)


@on_both
async def test_waiting_tasks_are_not_overtaken() -> None:
    lock, seen = kore.lock(), []

    async def work(name: str) -> None:
        async with lock:
            seen.append(name)

    await lock.acquire()
    waiting = asyncio.create_task(work("waited"))
    await passes(1)
    lock.release()
    taken = lock.trylock()
    late = asyncio.create_task(work("came late"))
    await asyncio.gather(waiting, late)

    assert (taken, seen) == (False, ["waited", "came late"])


@on_both
async def test_lock_is_released_by_its_holder_only() -> None:
    lock = kore.lock()
    with pytest.raises(KoreError, match="no lock owner set"):
        lock.release()
    done = asyncio.Event()
    holder = asyncio.create_task(hold(lock, done))
    await passes(1)
    with pytest.raises(KoreError, match="lock not owned by caller"):
        lock.release()
    with pytest.raises(KoreError, match="lock not owned by caller"):
        await lock.__aexit__()
    done.set()
    await holder


@on_both
async def test_holder_cannot_acquire_the_lock_again() -> None:
    lock = kore.lock()
    async with lock:
        assert lock.trylock() is False
        with pytest.raises(KoreError, match="recursive lock detected"):
            await lock.acquire()
        with pytest.raises(KoreError, match="recursive lock detected"):
            async with lock:
                raise AssertionError

        assert lock.locked
    assert lock.trylock()
    lock.release()


@pytest.mark.parametrize("name", ["trylock", "release", "acquire"])
def test_lock_needs_a_running_task(name: str) -> None:
    lock = kore.lock()
    told = []

    async def main() -> None:
        asyncio.get_running_loop().call_soon(call)
        await passes(2)

    def call() -> None:
        try:
            getattr(lock, name)().send(None)
        except KoreError as error:
            told.append(str(error))

    call()
    asyncio.run(main())
    expected = "no lock owner set" if name == "release" else "only available in coroutines"
    assert [expected in each for each in told] == [True, True]


@on_both
async def test_acquire_without_await_does_not_lock() -> None:
    lock = kore.lock()
    lock.acquire().close()

    assert not lock.locked


@pytest.mark.parametrize("waiters", [0, 1, 3])
@on_both
async def test_lock_is_released_when_its_holder_ends(waiters: int) -> None:
    lock, seen = kore.lock(), []

    async def forgets() -> None:
        await lock.acquire()
        await asyncio.sleep(0)

    async def work() -> None:
        async with lock:
            seen.append(1)

    holder = asyncio.create_task(forgets())
    await passes(1)
    tasks = [asyncio.create_task(work()) for _ in range(waiters)]
    await holder
    await asyncio.gather(*tasks)

    assert (len(seen), lock.locked) == (waiters, False)
    assert lock.trylock()
    lock.release()


@on_both
async def test_end_of_a_later_holder_is_noticed_too() -> None:
    """The first ends with nobody waiting any more, the second with somebody waiting."""
    lock = kore.lock()
    ended = [asyncio.Event(), asyncio.Event()]

    async def forgets(when: asyncio.Event) -> None:
        await lock.acquire()
        await when.wait()

    first = asyncio.create_task(forgets(ended[0]))
    await passes(1)
    waiter = asyncio.create_task(lock.acquire())
    await passes(1)
    waiter.cancel()
    ended[0].set()
    await passes(1)
    second = asyncio.create_task(forgets(ended[1]))
    await passes(3)
    third = asyncio.create_task(lock.acquire())
    await passes(1)
    ended[1].set()
    await asyncio.gather(first, second, third)


@on_both
async def test_end_of_an_earlier_holder_does_not_release_the_lock() -> None:
    """It ends while one waits that leaves in the same turn; the next comes before we are told."""
    lock, end, stay = kore.lock(), asyncio.Event(), asyncio.Event()

    async def forgets() -> None:
        await lock.acquire()
        await end.wait()

    first = asyncio.create_task(forgets())
    await passes(1)
    waiter = asyncio.create_task(lock.acquire())
    await passes(1)
    end.set()
    waiter.cancel()
    second = asyncio.create_task(hold(lock, stay))
    await passes(3)

    assert first.done()
    assert lock.trylock() is False
    stay.set()
    await second


@on_both
async def test_task_cancelled_while_getting_the_lock_hands_it_over() -> None:
    lock, done = kore.lock(), asyncio.Event()
    done.set()
    await lock.acquire()
    first, second = [asyncio.create_task(hold(lock, done)) for _ in range(2)]
    await passes(1)
    lock.release()
    first.cancel()
    await second

    assert first.cancelled()
    assert not lock.locked


@on_both
async def test_thousand_waiters_may_be_cancelled_at_once() -> None:
    lock, done = kore.lock(), asyncio.Event()
    await lock.acquire()
    tasks = [asyncio.create_task(hold(lock, done)) for _ in range(1000)]
    await passes(1)
    for task in tasks[:-1]:
        task.cancel()
    await passes(2)

    assert repr(lock) == "<kore.lock locked, 1 waiting>"
    lock.release()
    done.set()
    await tasks[-1]


def test_lock_can_be_used_in_several_loops_in_turn() -> None:
    lock = kore.lock()

    async def main() -> None:
        async with lock:
            await asyncio.sleep(0)
        await lock.acquire()

    asyncio.run(main())
    asyncio.run(main())
    gc.collect()


class House:
    """Tasks that take a lock, keep it until told, and end in all possible ways."""

    def __init__(self) -> None:
        self.lock = kore.lock()
        self.tasks: list[asyncio.Task[None]] = []
        self.orders: list[asyncio.Future[str]] = []
        self.acquired: list[int] = []
        self.holders: set[int] = set()

    def start(self) -> None:
        self.orders.append(asyncio.get_running_loop().create_future())
        self.tasks.append(asyncio.create_task(self.work(len(self.tasks))))

    async def work(self, number: int) -> None:
        await self.lock.acquire()
        self.acquired.append(number)
        self.holders.add(number)
        assert self.living() == {number}, "one at a time"
        try:
            if await self.orders[number] == "release":
                self.lock.release()
        finally:
            self.holders.discard(number)

    def living(self) -> set[int]:
        return {number for number in self.holders if not self.tasks[number].done()}

    def order(self, what: str) -> None:
        for number in self.holders:
            if not self.orders[number].done():
                self.orders[number].set_result(what)


STEPS = st.lists(
    st.sampled_from(["start", "start", "turn", "turn", "release", "end", "try"])
    | st.integers(0, 20),  # the task to cancel
    max_size=50,
)


@pytest.mark.parametrize("kind", LOOPS)
@given(steps=STEPS)
@settings(max_examples=1000, deadline=None)
def test_lock_behaves_like_its_model(kind: str, steps: list[str | int]) -> None:
    with asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
        runner.run(follow(steps))


async def follow(steps: list[str | int]) -> None:
    house = House()
    for step in steps:
        if step == "start":
            house.start()
        elif step == "turn":
            await asyncio.sleep(0)
        elif step == "try" and house.lock.trylock():
            assert not house.living()
            house.lock.release()
        elif step in ("release", "end"):
            house.order(str(step))
        elif isinstance(step, int) and step < len(house.tasks):
            house.tasks[step].cancel()
    for _ in range(5 * len(house.tasks) + 5):
        house.order("end")
        await asyncio.sleep(0)

    assert all(task.done() for task in house.tasks), "everybody had their turn"
    for task in house.tasks:
        assert task.cancelled() or task.exception() is None
    assert house.acquired == sorted(house.acquired), "in the order in which they came"
    assert not house.lock.locked
    assert set(range(len(house.tasks))) - set(house.acquired) == {
        number
        for number, task in enumerate(house.tasks)
        if task.cancelled() and number not in house.acquired
    }

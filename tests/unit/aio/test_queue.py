"""Queues: objects in order, tasks in order, and nothing lost when somebody is cancelled."""

import asyncio
from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kore
from kore.errors import KoreError, QueueFullError
from tests.helpers.loops import LOOPS, on_both, passes, run


@on_both
async def test_queue_is_first_in_first_out() -> None:
    queue = kore.queue()
    pushed = [queue.push(each) for each in ("a", None, "c")]

    assert (pushed, len(queue)) == ([True] * 3, 3)
    assert [await queue.pop(), await queue.pop(), await queue.pop()] == ["a", None, "c"]
    assert queue.popnow() is None


@on_both
async def test_longest_waiting_task_is_served_first() -> None:
    queue = kore.queue()
    tasks = [asyncio.create_task(queue.pop()) for _ in range(5)]
    await passes(1)
    for number in range(5):
        queue.push(number)
    late = asyncio.create_task(queue.pop())
    queue.push("late")

    assert await asyncio.gather(*tasks, late) == [0, 1, 2, 3, 4, "late"]


@on_both
async def test_late_pop_does_not_take_a_promised_object() -> None:
    queue = kore.queue()
    early = asyncio.create_task(queue.pop())
    await passes(1)
    queue.push("for the early one")
    now = queue.popnow()
    late = asyncio.create_task(queue.pop())
    await passes(3)
    queue.push("for the late one")

    assert now is None
    assert (await early, await late) == ("for the early one", "for the late one")


@on_both
async def test_task_cancelled_after_wake_up_loses_no_object() -> None:
    queue = kore.queue()
    first, second = [asyncio.create_task(queue.pop()) for _ in range(2)]
    await passes(1)
    queue.push("it")
    first.cancel()

    assert await second == "it"
    assert first.cancelled()


@on_both
async def test_objects_of_cancelled_tasks_keep_their_order() -> None:
    queue = kore.queue()
    tasks = [asyncio.create_task(queue.pop()) for _ in range(3)]
    await passes(1)
    for number in range(5):
        queue.push(number)
    for task in tasks:
        task.cancel()
    await passes(2)

    assert [queue.popnow() for _ in range(6)] == [0, 1, 2, 3, 4, None]


@on_both
async def test_thousand_waiting_tasks_may_be_cancelled_at_once() -> None:
    queue = kore.queue()
    tasks = [asyncio.create_task(queue.pop()) for _ in range(1000)]
    await passes(1)
    for task in tasks[:-1]:
        task.cancel()
    await passes(1)
    queue.push("last")

    assert await tasks[-1] == "last"
    assert repr(queue) == "<kore.queue 0 objects, 0 waiting>"


@on_both
async def test_full_queue_raises_and_adds_nothing() -> None:
    queue = kore.queue(2)
    queue.push(1)
    queue.push(2)
    with pytest.raises(QueueFullError, match="the queue is full: 2 objects wait in it"):
        queue.push(3)

    assert queue.popnow() == 1
    assert queue.push(4)
    assert [queue.popnow(), queue.popnow(), queue.popnow()] == [2, 4, None]


@on_both
async def test_full_queue_accepts_an_object_for_a_waiting_task() -> None:
    queue = kore.queue(limit=1)
    tasks = [asyncio.create_task(queue.pop()) for _ in range(3)]
    await passes(1)
    for number in range(4):
        queue.push(number)
    with pytest.raises(QueueFullError):
        queue.push(4)

    assert await asyncio.gather(*tasks) == [0, 1, 2]
    assert queue.popnow() == 3


@pytest.mark.parametrize("limit", [0, -1, 1.5, "1"])
def test_limit_must_be_positive(limit: Any) -> None:
    with pytest.raises(KoreError, match="a queue's limit must be a positive number"):
        kore.queue(limit)


def test_queue_works_without_a_loop() -> None:
    queue = kore.queue()
    queue.push("kept")

    assert bool(kore.queue())
    assert asyncio.run(queue.pop()) == "kept"


class Model:
    """What an event loop and a queue do, step by step, in the order of the loop's callbacks."""

    def __init__(self) -> None:
        self.items: deque[int] = deque()
        self.waiting: list[int] = []
        self.woken: list[int] = []
        self.unwanted: set[int] = set()
        self.ready: list[tuple[str, int]] = []
        self.results: dict[int, object] = {}

    def pop(self, who: int) -> None:
        self.ready.append(("begin", who))

    def push(self, item: int) -> None:
        self.items.append(item)
        self.wake()

    def popnow(self) -> int | None:
        return self.take() if len(self.items) > len(self.woken) else None

    def take(self) -> int:
        item = self.items[len(self.woken)]
        del self.items[len(self.woken)]
        return item

    def wake(self) -> None:
        while self.waiting and len(self.items) > len(self.woken):
            who = self.waiting.pop(0)
            self.woken.append(who)
            self.ready.append(("wake", who))

    def cancel(self, who: int) -> None:
        if who in self.results or who in self.unwanted:
            return
        self.unwanted.add(who)
        if who in self.waiting:
            self.waiting.remove(who)
            self.ready.append(("leave", who))

    def turn(self) -> None:
        ready, self.ready = self.ready, []
        for what, who in ready:
            if what == "wake":
                self.woken.remove(who)
            if who in self.unwanted:
                self.results[who] = "cancelled"
                self.wake()
            elif what == "wake":
                self.results[who] = self.items.popleft()
            elif len(self.items) > len(self.woken):
                self.results[who] = self.take()
            else:
                self.waiting.append(who)


STEPS = st.lists(
    st.sampled_from(["pop", "pop", "push", "push", "turn", "turn", "popnow"])
    | st.integers(0, 30),  # the task to cancel
    max_size=60,
)


@pytest.mark.parametrize("kind", LOOPS)
@given(steps=STEPS)
@settings(max_examples=1000, deadline=None)
def test_queue_behaves_like_its_model(kind: str, steps: list[str | int]) -> None:
    with asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
        runner.run(follow(steps))



async def follow(steps: list[str | int]) -> None:
    queue, model = kore.queue(), Model()
    tasks: list[asyncio.Task[Any]] = []
    pushed = 0
    taken: list[object] = []
    for step in [*steps, "turn", "turn", "turn"]:
        if step == "pop":
            model.pop(len(tasks))
            tasks.append(asyncio.create_task(queue.pop()))
        elif step == "push":
            model.push(pushed)
            queue.push(pushed)
            pushed += 1
        elif step == "popnow":
            taken.append(model.popnow())
            assert queue.popnow() == taken[-1]
        elif step == "turn":
            model.turn()
            await asyncio.sleep(0)
        elif isinstance(step, int) and step < len(tasks):
            model.cancel(step)
            tasks[step].cancel()
        assert results(tasks) == model.results
        assert len(queue) == len(model.items) - len(model.woken)
    got = [each for each in [*model.results.values(), *taken] if isinstance(each, int)]
    assert sorted([*got, *model.items]) == list(range(pushed)), "each object came once"
    assert not (model.waiting and len(queue)), "nobody waits for what is there"
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def results(tasks: list[asyncio.Task[Any]]) -> dict[int, object]:
    return {
        number: "cancelled" if task.cancelled() else task.result()
        for number, task in enumerate(tasks)
        if task.done()
    }


@pytest.mark.parametrize("kind", LOOPS)
def test_cancelled_producers_and_consumers_lose_nothing(kind: str) -> None:
    async def check() -> tuple[list[int], list[int]]:
        queue = kore.queue()
        got: list[int] = []

        async def consume() -> None:
            while True:
                got.append(await queue.pop())

        consumers = [asyncio.create_task(consume()) for _ in range(50)]
        for number in range(5000):
            queue.push(number)
            if number % 3 == 0:
                consumers[number % 50].cancel()
                consumers[number % 50] = asyncio.create_task(consume())
            if number % 7 == 0:
                await asyncio.sleep(0)
        await passes(5)
        for consumer in consumers:
            consumer.cancel()
        return got, [queue.popnow() for _ in range(len(queue))]

    got, left = run(kind, check)
    assert sorted(got + left) == list(range(5000))
    assert got == sorted(got)

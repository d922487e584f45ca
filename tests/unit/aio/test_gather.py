"""Gather: all results in order, a window that slides, children that end with their parent."""

import asyncio
import gc
from contextvars import ContextVar
from typing import Any

import pytest

import kore
from tests.helpers.loops import LOOPS, on_both, passes, run


async def after(turns: int, result: Any) -> Any:
    for _ in range(turns):
        await asyncio.sleep(0)
    return result


@on_both
async def test_results_have_the_order_of_the_arguments() -> None:
    assert await kore.gather(after(3, "a"), after(0, "b"), after(1, "c")) == ["a", "b", "c"]


@on_both
async def test_gather_of_nothing_returns_at_once() -> None:
    assert await kore.gather() == []


class CustomError(Exception):
    pass


@pytest.mark.parametrize(
    "error", [CustomError, SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit]
)
@on_both
async def test_exception_of_a_child_is_its_result(error: type[BaseException]) -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise error

    results = await kore.gather(after(2, 1), fails(), after(0, 3))

    assert [results[0], type(results[1]), results[2]] == [1, error, 3]


@on_both
async def test_stop_iteration_becomes_runtime_error() -> None:
    async def fails() -> None:
        raise StopIteration

    (error,) = await kore.gather(fails())
    assert isinstance(error, RuntimeError)


@pytest.mark.parametrize("level", [1, 2, 3, 7, True])
@on_both
async def test_concurrency_limits_the_running_children(level: int) -> None:
    running, most = set(), []
    ends = [asyncio.Event() for _ in range(10)]

    async def child(number: int) -> int:
        running.add(number)
        most.append(len(running))
        await ends[number].wait()
        running.discard(number)
        return number

    gathering = asyncio.ensure_future(every(child, level))
    await passes(3)
    assert running == set(range(level))
    for number in reversed(range(level)):  # whichever ends, another one begins
        ends[number].set()
        await passes(5)
        begun = min(10, 2 * level - number)
        assert running == set(range(number)) | set(range(level, begun))
    for end in ends:
        end.set()
    assert await gathering == list(range(10))
    assert max(most) == level


async def every(child: Any, level: int) -> list[int]:
    return list(await kore.gather(*map(child, range(10)), concurrency=level))


@on_both
async def test_gather_accepts_any_awaitable() -> None:
    future = asyncio.get_running_loop().create_future()
    future.set_result("future")
    queue = kore.queue()
    queue.push("popped")

    results = await kore.gather(
        future, asyncio.create_task(after(2, "task")), kore.suspend(1), queue.pop()
    )
    assert results == ["future", "task", None, "popped"]


@on_both
async def test_gather_can_be_nested() -> None:
    async def pair(number: int) -> list[int]:
        return list(await kore.gather(after(1, number), after(0, -number)))

    assert await kore.gather(pair(1), pair(2), concurrency=1) == [[1, -1], [2, -2]]


@on_both
async def test_cancelled_gather_waits_for_its_children() -> None:
    told: list[str] = []

    async def child(name: str) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await passes(3)
            told.append(name)

    async def parent() -> None:
        try:
            await kore.gather(child("a"), child("b"), child("never begun"), concurrency=2)
        finally:
            told.append("parent")

    task = asyncio.create_task(parent())
    await passes(3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert told == ["a", "b", "parent"]


@on_both
async def test_timeout_around_gather_cancels_the_children() -> None:
    told = []

    async def child() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            told.append("ended")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await kore.gather(child(), child())
    assert told == ["ended"] * 2


@on_both
async def test_children_cancelled_before_their_start_are_closed() -> None:
    async def parent() -> None:
        await kore.gather(after(0, 1), after(0, 2), after(0, 3), concurrency=2)

    task = asyncio.create_task(parent())
    await passes(1)
    task.cancel()
    await passes(4)
    gc.collect()  # a warning would be an error

    assert task.cancelled()


@on_both
async def test_child_cancelled_elsewhere_before_its_start_has_a_result() -> None:
    async def meddle() -> None:
        for task in asyncio.all_tasks():
            if "Gather._run" in repr(task) and task is not asyncio.current_task():
                task.cancel()

    results = await kore.gather(meddle(), after(0, 1), after(0, 2))

    assert results[0] is None
    assert [type(each) for each in results[1:]] == [asyncio.CancelledError] * 2
    gc.collect()


@pytest.mark.parametrize("concurrency", [0, 1])
@on_both
async def test_children_have_a_copy_of_the_context_each(concurrency: int) -> None:
    variable = ContextVar("variable", default="nothing")

    async def child() -> str:
        seen = variable.get()
        variable.set("a child's")
        return seen

    variable.set("the parent's")
    results = await kore.gather(child(), child(), child(), concurrency=concurrency)
    assert results == ["the parent's"] * 3
    assert variable.get() == "the parent's"


@pytest.mark.parametrize("kind", LOOPS)
def test_gather_that_is_never_awaited_warns_once(kind: str) -> None:
    async def check() -> None:
        with pytest.warns(RuntimeWarning, match="coroutine 'gather' was never") as warned:
            kore.gather(after(0, 1), after(0, 2))
        gc.collect()
        assert len(warned) == 1

    run(kind, check)


@on_both
async def test_closing_a_gather_cancels_its_children() -> None:
    told = []

    async def child() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            told.append("ended")

    async def parent() -> None:
        await kore.gather(child(), child())

    coroutine = parent()
    coroutine.send(None)
    await passes(1)
    coroutine.close()
    await passes(2)

    assert told == ["ended"] * 2


@on_both
async def test_gather_cannot_be_awaited_twice() -> None:
    gathering = kore.gather(after(0, 1))
    await gathering
    with pytest.raises(RuntimeError, match="awaited already"):
        await gathering


def test_gather_checks_its_arguments() -> None:
    coroutine = after(0, 1)
    with pytest.raises(TypeError, match="not a coroutine: 5"):
        kore.gather(coroutine, 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="concurrency level must be an integer"):
        kore.gather(concurrency="2")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="concurrency must be 0"):
        kore.gather(concurrency=-1)
    gc.collect()


@on_both
async def test_gather_runs_ten_thousand_children() -> None:
    results = await kore.gather(*[after(1, n) for n in range(10_000)], concurrency=100)

    assert results == list(range(10_000))


@on_both
async def test_same_coroutine_twice_is_an_error_and_does_not_hang() -> None:
    one = asyncio.sleep(0.001, 7)

    async with asyncio.timeout(2):
        first, second = await kore.gather(one, one)

    assert first == 7
    assert str(second) == "coroutine is being awaited already"


def test_invalid_keywords_leave_no_pending_coroutine(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TypeError, match="foo"):
        kore.gather(foo=1)  # type: ignore[call-arg]
    gc.collect()

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("level", [0, 1, 2])
@on_both
async def test_gather_that_is_cancelled_twice_still_waits(times: int, level: int) -> None:
    """As `asyncio.TaskGroup` does: the children hear of the first time only."""
    order: list[str] = []

    async def child() -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            await passes(10 * times)
            order.append("child")
            raise

    async def parent() -> None:
        try:
            await kore.gather(child(), child(), concurrency=level)
        finally:
            order.append("parent")

    task = asyncio.create_task(parent())
    await passes(3)
    for _ in range(times):
        task.cancel()
        await passes(2)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert order == [*["child"] * (1 if level == 1 else 2), "parent"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


@on_both
async def test_outer_timeout_wins_over_an_inner_one() -> None:
    ended = []

    async def child() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(0.02)
            ended.append(True)

    async def parent() -> None:
        async with asyncio.timeout(0.015), asyncio.timeout(0.005):
            await kore.gather(child(), child())

    with pytest.raises(TimeoutError):
        await parent()
    assert ended == [True, True]

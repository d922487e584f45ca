"""A coroutine's first step runs at once; what is left of it is an ordinary task of asyncio."""

import asyncio
import contextvars
import gc
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from kore._core.eager_task import TaskStarter
from tests.helpers.core_loop import run

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


class FakeRequest:
    """What a started coroutine asks of its request."""

    answered = True
    is_unended = False

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []

    def register_task(self, task: asyncio.Task[None]) -> None:
        self.tasks.append(task)


class Bench:
    """A starter, and what it has called."""

    def __init__(self) -> None:
        self.handlers: dict[int, Any] = {}
        self.returned: list[object] = []
        self.errors: list[BaseException] = []
        self.request = FakeRequest()
        loop = asyncio.get_running_loop()
        self.starter = TaskStarter(loop, self.handlers, self.on_return, self.on_error)

    def on_return(self, request: FakeRequest, then: Any, result: object) -> None:
        self.returned.append(result)
        if then is not None:
            then(result)

    def on_error(self, request: FakeRequest, error: BaseException) -> bool:
        self.errors.append(error)
        return isinstance(error, asyncio.CancelledError)

    def start(self, inner: Coroutine[Any, Any, Any], then: Any = None) -> asyncio.Task[None]:
        """Start *inner* where no task runs, as the core does."""
        started: list[asyncio.Task[None]] = []
        task = asyncio.current_task()
        assert task is not None
        asyncio.tasks._leave_task(asyncio.get_running_loop(), task)
        try:
            started.append(self.starter.start(inner, self.request, then))
        finally:
            asyncio.tasks._enter_task(asyncio.get_running_loop(), task)
        return started[0]


def checked(check: Callable[[Bench], Any]) -> Callable[[], None]:
    """Run a test on a loop, with a bench."""

    def test() -> None:
        run(lambda: check(Bench()))

    test.__name__ = check.__name__
    return test


@checked
async def test_the_first_step_runs_at_once(bench: Bench) -> None:
    told: list[str] = []

    async def inner() -> None:
        told.append("first")
        await asyncio.sleep(0)
        told.append("second")

    task = bench.start(inner())
    assert told == ["first"]
    assert [kept for kept, _ in bench.handlers.values()] == bench.request.tasks == [task]
    await task
    assert (told, bench.handlers) == (["first", "second"], {})


@checked
async def test_a_coroutine_that_does_not_wait_is_no_task(bench: Bench) -> None:
    before = asyncio.all_tasks()

    async def inner() -> None:
        pass

    bench.start(inner())
    assert asyncio.all_tasks() == before
    assert (bench.handlers, bench.request.tasks, bench.returned) == ({}, [], [])


@checked
async def test_results_and_errors_of_the_first_step_are_passed_on(bench: Bench) -> None:
    async def returns() -> int:
        return 3

    async def raises() -> None:
        raise ValueError("bad")

    bench.start(returns(), lambda _: None)
    bench.start(raises())
    assert bench.returned == [3]
    assert [str(error) for error in bench.errors] == ["bad"]


@checked
async def test_an_error_of_what_follows_is_passed_on(bench: Bench) -> None:
    def fail(_: object) -> None:
        raise ValueError("late")

    async def inner() -> None:
        pass

    async def waits() -> None:
        await asyncio.sleep(0)

    bench.start(inner(), fail)
    await bench.start(waits(), fail)
    assert [str(error) for error in bench.errors] == ["late", "late"]


@checked
async def test_the_current_task_is_one_object_before_and_after_the_first_step(
    bench: Bench,
) -> None:
    seen: list[asyncio.Task[Any] | None] = []

    async def inner() -> None:
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    task = bench.start(inner())
    await task
    assert seen == [task, task]
    assert isinstance(task, asyncio.Task)


@pytest.mark.parametrize(
    "use",
    [
        repr,
        str,
        lambda task: task.get_coro(),
        lambda task: task.get_name(),
        lambda task: task.get_loop(),
        lambda task: task.get_stack(),
        lambda task: task.cancelling(),
        lambda task: task.uncancel(),
        lambda task: task.done(),
        lambda task: task.add_done_callback(lambda _: None),
        lambda task: task._asyncio_future_blocking,
        lambda task: setattr(task, "_log_destroy_pending", True),
        lambda task: hasattr(task, "nothing"),
        lambda task: task.__class__,
        iter,
        asyncio.isfuture,
        asyncio.ensure_future,
        asyncio.shield,
    ],
)
@pytest.mark.parametrize("waits", [False, True])
def test_a_task_that_is_used_in_the_first_step_is_an_ordinary_one(
    use: Callable[[Any], object], *, waits: bool
) -> None:
    async def check() -> None:
        bench = Bench()
        ended: list[object] = []

        async def inner() -> None:
            task = asyncio.current_task()
            assert task is not None
            use(task)
            assert task in asyncio.all_tasks()
            task.add_done_callback(ended.append)
            if waits:
                await asyncio.sleep(0)

        task = bench.start(inner())
        await task
        await asyncio.sleep(0)
        assert ended == [task]
        assert (task.done(), bench.handlers, bench.errors) == (True, {}, [])
        assert bench.request.tasks == [task] or not waits

    run(check)


@checked
async def test_a_task_may_be_used_after_its_only_step(bench: Bench) -> None:
    async def inner() -> None:
        pass

    task = bench.start(inner())
    ended: list[object] = []
    task.add_done_callback(ended.append)
    assert await task is None
    await asyncio.sleep(0)
    assert (ended, bench.request.tasks) == ([task], [])


@checked
async def test_a_task_cannot_await_itself(bench: Bench) -> None:
    async def inner() -> None:
        task: Any = asyncio.current_task()
        await task

    task = bench.start(inner())
    await asyncio.wait([task])
    assert [type(error) for error in bench.errors] == [RuntimeError]


@checked
async def test_a_task_may_be_a_key_and_be_weakly_referred_to(bench: Bench) -> None:
    keys: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()

    async def inner() -> None:
        keys[asyncio.current_task()] = "once"
        await asyncio.sleep(0)
        assert keys[asyncio.current_task()] == "once"

    await bench.start(inner())
    bench.request.tasks.clear()
    await asyncio.sleep(0)  # the loop holds what it has woken up for
    gc.collect()
    assert (bench.errors, len(keys)) == ([], 0)


@checked
async def test_contextvars_are_those_of_one_copy_in_all_steps(bench: Bench) -> None:
    seen: list[str] = []

    async def inner() -> None:
        VARIABLE.set("inner")
        await asyncio.sleep(0)
        seen.append(VARIABLE.get())

    VARIABLE.set("outer")
    await bench.start(inner())
    assert (seen, VARIABLE.get()) == (["inner"], "outer")


@checked
async def test_a_coroutine_may_be_started_by_a_task(bench: Bench) -> None:
    seen: list[object] = []

    async def inner() -> None:
        seen.append(asyncio.current_task())

    async def outer() -> None:
        own = asyncio.current_task()
        bench.starter.start(inner(), bench.request)
        seen.append(asyncio.current_task() is own)
        bench.starter.start(inner(), bench.request)

    await bench.start(outer())
    first, is_own, second = seen
    assert is_own is True
    assert first is not second


@checked
async def test_two_may_await_one_future_from_the_first_step_on(bench: Bench) -> None:
    future = asyncio.get_running_loop().create_future()
    results: list[object] = []

    async def inner() -> None:
        results.append(await future)

    tasks = [bench.start(inner()) for _ in range(2)]
    future.set_result(7)
    await asyncio.wait(tasks)
    assert (results, bench.errors) == ([7, 7], [])


@checked
async def test_a_future_may_fail_before_the_task_has_its_turn(bench: Bench) -> None:
    future = asyncio.get_running_loop().create_future()
    caught: list[str] = []

    async def inner() -> None:
        try:
            await future
        except ValueError as error:
            caught.append(str(error))
            await asyncio.sleep(0)

    task = bench.start(inner())
    future.set_exception(ValueError("lost"))
    await task
    assert (caught, bench.errors) == (["lost"], [])


@checked
async def test_a_wait_that_is_over_costs_no_second_turn(bench: Bench) -> None:
    future = asyncio.get_running_loop().create_future()
    seen: list[object] = []

    async def await_future() -> None:
        seen.append(await future)

    async def await_turn() -> None:
        await asyncio.sleep(0)
        seen.append("turn")

    tasks = [bench.start(await_future()), bench.start(await_turn())]
    future.set_result(7)
    await asyncio.sleep(0)
    assert seen == [7, "turn"]
    await asyncio.wait(tasks)
    assert bench.errors == []


# ---- cancelling


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_a_cancelled_task_cancels_what_it_awaits(turns: int) -> None:
    async def check() -> None:
        bench = Bench()
        ended: list[str] = []

        async def other() -> None:
            await asyncio.get_running_loop().create_future()

        awaited = asyncio.ensure_future(other())

        async def inner() -> None:
            try:
                await awaited
            finally:
                ended.append("inner")

        task = bench.start(inner())
        for _ in range(turns):
            await asyncio.sleep(0)
        assert task.cancel("now")
        await asyncio.wait([task])
        assert (ended, awaited.cancelled(), task.cancelled()) == (["inner"], True, True)
        assert [error.args for error in bench.errors] == [("now",)]

    run(check)


@checked
async def test_a_cancelled_task_may_await_more(bench: Bench) -> None:
    ended: list[str] = []

    async def inner() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0)
            ended.append("clean")

    task = bench.start(inner())
    task.cancel()
    await asyncio.wait([task])
    assert ended == ["clean"]


@checked
async def test_a_task_may_cancel_itself_in_its_first_step(bench: Bench) -> None:
    told: list[str] = []

    async def inner() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        told.append("goes on")
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    task = bench.start(inner())
    await asyncio.wait([task])
    assert (told, task.cancelled()) == (["goes on", "cancelled"], True)


@checked
async def test_a_bare_yield_may_be_cancelled(bench: Bench) -> None:
    async def inner() -> None:
        await asyncio.sleep(0)
        raise AssertionError("it is cancelled before")

    task = bench.start(inner())
    task.cancel()
    await asyncio.wait([task])
    assert [type(error) for error in bench.errors] == [asyncio.CancelledError]


@checked
async def test_a_timeout_may_begin_in_the_first_step(bench: Bench) -> None:
    late: list[str] = []

    async def inner() -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            late.append("late")

    await bench.start(inner())
    assert (late, bench.errors) == (["late"], [])


@checked
async def test_a_task_group_may_begin_in_the_first_step(bench: Bench) -> None:
    async def fail() -> None:
        raise ValueError("part")

    async def inner() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.get_running_loop().create_future()

    task = bench.start(inner())
    await asyncio.wait([task])
    (error,) = bench.errors
    assert isinstance(error, ExceptionGroup)


# ---- what others see of it


@checked
async def test_a_task_shows_where_its_coroutine_is(bench: Bench) -> None:
    async def inner() -> None:
        await asyncio.sleep(10)

    task = bench.start(inner())
    coroutine: Any = task.get_coro()
    (frame,) = task.get_stack()
    assert frame.f_code is inner.__code__
    assert "inner" in repr(task)
    assert coroutine.cr_code is inner.__code__
    assert coroutine.cr_await is not None
    assert not coroutine.cr_running
    assert asyncio.iscoroutine(coroutine)
    task.cancel()
    await asyncio.wait([task])


@checked
async def test_nothing_of_a_coroutine_is_left(bench: Bench) -> None:
    class Resource:
        pass

    left: list[weakref.ref[Resource]] = []

    async def inner(*, waits: bool) -> None:
        resource = Resource()
        left.append(weakref.ref(resource))
        if waits:
            await asyncio.sleep(0)

    bench.start(inner(waits=False))
    await bench.start(inner(waits=True))
    assert [ref() for ref in left] == [None, None]

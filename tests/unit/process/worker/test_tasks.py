"""Handlers that wait and tasks on their own: answered once, cancelled in order, not forgotten."""

import asyncio
import gc
import inspect
from collections.abc import Callable, Generator
from typing import Any, cast

import pytest

from kore._core.request import Request
from kore._process.worker.tasks import RequestTasks
from tests.helpers.core_loop import run


class FakeRequest:
    """What tasks need of a request."""

    def __init__(self) -> None:
        self.answered = False
        self.is_served = True
        self.is_unended = False
        self.failures: list[int] = []
        self.tasks: list[asyncio.Task[None]] = []

    def fail(self, status: int = 500) -> None:
        self.failures.append(status)
        self.answered = True

    def fail_unless_responded(self, status: int) -> None:
        if not self.answered:
            self.fail(status)

    def register_task(self, task: asyncio.Task[None]) -> None:
        self.tasks.append(task)


class Bench:
    """Tasks, and a request to run handlers for."""

    def __init__(self) -> None:
        self.reports: list[BaseException | None] = []
        self.failed: list[tuple[str, BaseException]] = []
        loop = asyncio.get_running_loop()
        self.tasks = RequestTasks(loop, lambda _, error, *result: self.reports.append(error))
        loop.set_exception_handler(
            lambda _, context: self.failed.append((context["message"], context["exception"]))
        )
        self.request = FakeRequest()

    def spawn(self, handler: Any) -> None:
        self.tasks.spawn(handler, cast("Request", self.request))

    async def end(self) -> None:
        """Wait until no handler runs any more."""
        while running := [task for task, *_ in self.tasks.handlers.values()]:
            await asyncio.wait(running)


def checked(check: Callable[[Bench], Any]) -> Callable[[], None]:
    """Run a test on a loop, with a bench."""

    def test() -> None:
        run(lambda: check(Bench()))

    test.__name__ = check.__name__
    return test


# ---- handlers


@checked
async def test_handler_that_responds_is_not_reported(bench: Bench) -> None:
    async def handler() -> None:
        await asyncio.sleep(0)
        bench.request.answered = True

    bench.spawn(handler())
    serving = bench.tasks.serving
    await bench.end()

    assert (serving, bench.reports, bench.request.failures) == (1, [], [])


@checked
async def test_handler_runs_in_its_own_task(bench: Bench) -> None:
    seen: list[object] = []

    async def handler() -> None:
        seen.append(asyncio.current_task())
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
        bench.request.answered = True

    bench.spawn(handler())
    await bench.end()

    assert seen == bench.request.tasks


@checked
async def test_handler_without_a_response_fails_the_request(bench: Bench) -> None:
    async def handler() -> None:
        await asyncio.sleep(0)

    bench.spawn(handler())
    await bench.end()

    assert (bench.reports, bench.request.failures) == ([None], [500])


FAULTS = [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, TimeoutError]


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("error", FAULTS)
@pytest.mark.parametrize("waits", [False, True])
def test_error_of_a_handler_is_reported_and_responded_to_once(
    error: type[BaseException], *, answered: bool, waits: bool
) -> None:
    async def check() -> None:
        bench = Bench()

        async def handler() -> None:
            if waits:
                await asyncio.sleep(0)
            bench.request.answered = answered
            raise error

        bench.spawn(handler())
        await bench.end()
        assert [type(report) for report in bench.reports] == [error]
        assert bench.request.failures == ([] if answered else [500])

    run(check)


@checked
async def test_handler_task_is_kept_until_it_is_done(bench: Bench) -> None:
    async def handler() -> None:
        await asyncio.get_running_loop().create_future()

    bench.spawn(handler())
    await asyncio.sleep(0)
    bench.request.tasks.clear()
    gc.collect()

    assert bench.tasks.serving == 1
    await bench.tasks.cancel_everything(1)


@checked
async def test_any_awaitable_is_a_handler(bench: Bench) -> None:
    class Awaitable:
        def __await__(self) -> Generator[None, None, None]:
            yield
            bench.request.answered = True

    bench.spawn(Awaitable())
    await bench.end()

    assert (bench.reports, bench.request.answered) == ([], True)


@checked
async def test_future_is_a_handler(bench: Bench) -> None:
    future = asyncio.get_running_loop().create_future()
    bench.spawn(future)
    bench.request.answered = True
    await asyncio.sleep(0)
    before = bench.tasks.serving
    future.set_result(None)
    await bench.end()

    assert (before, bench.reports) == (1, [])


def test_handlers_may_wait_for_the_same_future() -> None:
    async def check() -> None:
        bench = Bench()
        future = asyncio.get_running_loop().create_future()
        bench.spawn(future)
        bench.spawn(future)
        serving = bench.tasks.serving
        bench.request.answered = True
        future.set_result(None)
        await bench.end()
        assert serving == 2

    run(check)


# ---- cancelling


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_cancelled_handler_is_not_reported(steps: int) -> None:
    """Before its first step too: a coroutine that never ran would warn."""

    async def check() -> None:
        bench = Bench()
        told: list[str] = []

        async def handler() -> None:
            told.append("begun")
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                told.append("ended")

        bench.spawn(handler())
        for _ in range(steps):
            await asyncio.sleep(0)
        bench.request.tasks[0].cancel()
        await bench.end()
        gc.collect()
        assert told in ([], ["begun", "ended"])
        assert told or not steps
        assert (bench.reports, bench.request.failures) == ([], [500])

    run(check)


@checked
async def test_handler_may_clean_up_after_its_client_left(bench: Bench) -> None:
    told: list[str] = []

    async def handler() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0)
            told.append("clean")

    bench.spawn(handler())
    await asyncio.sleep(0)
    bench.request.tasks[0].cancel()
    await bench.end()

    assert told == ["clean"]


@checked
async def test_cancelled_handler_may_still_respond(bench: Bench) -> None:
    async def handler() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            bench.request.answered = True

    bench.spawn(handler())
    await asyncio.sleep(0)
    bench.request.tasks[0].cancel()
    await bench.end()

    assert (bench.reports, bench.request.failures) == ([], [])


def test_foreign_cancellation_is_reported_as_an_error() -> None:
    async def check() -> None:
        bench = Bench()

        async def handler() -> None:
            inner = asyncio.ensure_future(asyncio.sleep(10))
            inner.cancel()
            await inner

        bench.spawn(handler())
        await bench.end()
        assert bench.request.failures == [500]
        assert [type(report) for report in bench.reports] == [asyncio.CancelledError]

    run(check)


@checked
async def test_waiting_handlers_respond_503_when_the_worker_ends(bench: Bench) -> None:
    async def handler() -> None:
        await asyncio.get_running_loop().create_future()

    bench.spawn(handler())
    await asyncio.sleep(0)
    await bench.tasks.cancel_everything(1)

    assert (bench.request.failures, bench.tasks.serving) == ([503], 0)


# ---- tasks on their own


@checked
async def test_tasks_have_ids_and_are_kept(bench: Bench) -> None:
    done: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)

    numbers = [bench.tasks.create(work(n)) for n in range(3)]
    gc.collect()
    for _ in range(3):
        await asyncio.sleep(0)

    assert (len(set(numbers)), done, bench.tasks.entries) == (3, [0, 1, 2], {})


@pytest.mark.parametrize("error", FAULTS)
def test_failing_task_is_reported_with_its_name(error: type[BaseException]) -> None:
    async def check() -> None:
        bench = Bench()

        async def work() -> None:
            raise error

        number = bench.tasks.create(work())
        await asyncio.sleep(0)
        ((where, found),) = bench.failed
        assert type(found) is error
        assert where.startswith(f"task {number} (test_failing_task")
        assert where.endswith("work)")

    run(check)


@checked
async def test_task_of_a_non_coroutine_is_reported(bench: Bench) -> None:
    bench.tasks.create(cast("Any", 3))
    await asyncio.sleep(0)

    assert [(where, type(error)) for where, error in bench.failed] == [("task 1 (int)", TypeError)]


@checked
async def test_cancel_everything_waits_no_longer_than_needed(bench: Bench) -> None:
    told: list[str] = []

    async def polite() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            told.append("polite")

    async def stubborn() -> None:
        while "stop" not in told:
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                told.append("no")

    bench.tasks.create(polite())
    bench.tasks.create(stubborn())
    await asyncio.sleep(0)
    await bench.tasks.cancel_everything(0.05)

    assert sorted(told) == ["no", "polite"]
    assert (bench.failed, len(bench.tasks.entries)) == ([], 1)
    told.append("stop")
    await asyncio.gather(*[task for task, *_ in bench.tasks.entries.values()])


def test_task_cancelled_before_its_start_is_closed() -> None:
    """Or its coroutine would warn that nobody awaited it."""

    async def check() -> None:
        bench = Bench()

        async def work() -> None:
            raise AssertionError("it never begins")

        coroutine = work()
        bench.tasks.create(coroutine)
        await bench.tasks.cancel_everything(1)
        state = inspect.getcoroutinestate(coroutine)
        coroutine.close()
        assert state == inspect.CORO_CLOSED

    run(check)


# ---- what is awaited besides coroutines


@checked
async def test_any_awaitable_is_run_as_a_handler(bench: Bench) -> None:
    class Later:
        def __await__(self) -> Generator[Any, None, None]:
            yield from asyncio.sleep(0).__await__()
            bench.request.answered = True

    bench.spawn(Later())
    await bench.end()

    assert (bench.reports, bench.request.failures) == ([], [])


@checked
async def test_steps_of_a_handler_are_traced_if_asked(bench: Bench) -> None:
    steps: list[str] = []

    async def handler() -> None:
        await asyncio.sleep(0)
        bench.request.answered = True

    def trace(handler: Any) -> Any:
        steps.append("traced")
        return handler

    bench.tasks.tracing = True
    bench.tasks.trace = trace  # type: ignore[method-assign]
    bench.spawn(handler())
    await bench.end()

    assert (steps, bench.reports) == (["traced"], [])


@checked
async def test_waiting_for_requests_ends_with_them_or_in_time(bench: Bench) -> None:
    release = asyncio.Event()
    await bench.tasks.wait(0.0)

    async def handler() -> None:
        await release.wait()
        bench.request.answered = True

    bench.spawn(handler())
    await bench.tasks.wait(0.001)
    assert bench.tasks.serving == 1
    release.set()
    await bench.tasks.wait(100.0)
    assert bench.tasks.serving == 0

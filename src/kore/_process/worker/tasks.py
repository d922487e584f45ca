"""The tasks of a worker: handlers that wait, hooks after requests, callbacks of WebSockets.

Beside them it lists, as a registry, the tasks that the application makes by `kore.task_create()`.
The event loop itself keeps tasks only weakly.
"""

import asyncio
import builtins
import contextlib
import sys
import time
from asyncio import AbstractEventLoop, Task
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any, TypeAlias

from kore._aio.task_utils import close_if_not_started, is_cancelling, report_unhandled
from kore._aio.tasks import TaskInfo, TaskRegistry
from kore._core.eager_task import TaskStarter
from kore._core.request import Request, get_start_time
from kore._maybe_async import await_result

# Called with a request and the error of its handler, or with None and what the handler returned
# when that gave no response.
FailureReport: TypeAlias = Callable[..., None]
# Called with what a hook has returned.
ResultCallback: TypeAlias = Callable[[Any], object]


class WorkerTask(Task[None]):
    """The worker's main task, which an application that cancels all tasks must not end."""

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002 - as in asyncio.Task
        """Do nothing."""
        return False


class RequestTasks(TaskRegistry):
    """All tasks of a worker: those of its requests, and those of the application."""

    def __init__(self, loop: AbstractEventLoop, report: FailureReport) -> None:
        super().__init__()
        self.loop = loop
        self.report = report
        # Tasks of handlers and their hooks, each with its request.
        self.handlers: dict[int, tuple[Task[None], Request]] = {}
        self.starter = TaskStarter(loop, self.handlers, self._conclude, self._fail)
        # Hooks after requests and callbacks of WebSockets: a drain waits for them.
        self.after_requests: set[Task[Any]] = set()
        # Handlers are being cancelled, since the worker ends.
        self.is_ending = False

    @property
    def serving(self) -> int:
        """How many tasks belong to requests or WebSockets."""
        return len(self.handlers) + len(self.after_requests)

    # ---- handlers

    def spawn(
        self, handler: Awaitable[Any], request: Request, then: ResultCallback | None = None
    ) -> Task[None]:
        """Run the *handler* of *request*: its first step at once, what follows as a task.

        The task is cancelled when the client leaves. Returns it. *then* is for hooks, which need
        not give a response: it is called with the result.
        """
        if type(handler) is not CoroutineType:
            handler = await_result(handler)
        if self.tracing:
            handler = await_result(self.trace(handler))
        return self.starter.start(handler, request, then)

    def _conclude(self, request: Request, then: ResultCallback | None, result: object) -> None:
        """Call *then*, or make sure that a request whose handler has returned gets a response."""
        if then is not None:
            then(result)
        elif not request.answered and request.is_served:
            self.report(request, None, result)
            type(request).fail_unless_responded(request, 500)
        elif request.is_unended:
            Request.note_handler_done(request)

    def _fail(self, request: Request, error: BaseException) -> bool:
        """Respond for a handler that has raised; return whether it was cancelled by us."""
        is_cancelled = isinstance(error, asyncio.CancelledError) and is_cancelling()
        if not is_cancelled:
            self.report(request, error)
        type(request).fail_unless_responded(request, 503 if self.is_ending else 500)
        return is_cancelled

    def run_after_request(
        self, hook: Awaitable[object], where: str, done: Callable[[], None] | None = None
    ) -> Task[None]:
        """Run a *hook* of a request that is over, or of a message, then call *done*.

        A drain waits for it. *where* names it in messages. Returns the task.
        """

        def end(task: Task[None]) -> None:
            self.after_requests.discard(task)
            close_if_not_started(hook)
            if done is not None:
                done()

        task = self.loop.create_task(self._run_hook(hook, where))
        self.after_requests.add(task)
        task.add_done_callback(end)
        return task

    async def _run_hook(self, hook: Awaitable[object], where: str) -> None:
        """Await *hook*, and report what it raises."""
        try:
            await hook
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - as in a handler
            report_unhandled(where, error)

    def run_callback(self, callback: Awaitable[object]) -> Task[BaseException | None]:
        """Await a WebSocket's callback; the task's result is what it raised, or None.

        A drain waits for it.
        """
        outcome = _catch_error(callback)
        if sys.version_info >= (3, 12):     # a callback that never waits costs no turn
            task = Task(outcome, loop=self.loop, eager_start=True)
            if task.done():
                return task
        else:
            task = self.loop.create_task(outcome)
        self.after_requests.add(task)

        def end(task: Task[BaseException | None]) -> None:
            self.after_requests.discard(task)
            close_if_not_started(callback)

        task.add_done_callback(end)
        return task

    # ---- all of them

    def list(self) -> list[TaskInfo]:
        """Return information about all tasks and handlers, the oldest first."""
        now = time.monotonic()
        serving = [
            self.make_info(
                task, self.get_id(task), f"route '{Request.get_route_label(request)}'",
                now - get_start_time(request),
            )
            for task, request in self.handlers.values()
        ]
        return sorted([*serving, *super().list()], key=lambda task: -task.age)

    def describe(self, task: Task[Any]) -> str:
        """Return what a task is called in messages: a handler by its route."""
        for handler, request in self.handlers.values():
            if handler is task:
                return f"route '{Request.get_route_label(request)}'"
        return super().describe(task)

    async def cancel_requests(self, seconds: float) -> None:
        """Cancel handlers and hooks, and wait at most *seconds* for `finally` blocks."""
        self.is_ending = True
        if tasks := self._request_tasks():
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=seconds)

    async def cancel_everything(self, seconds: float) -> None:
        """Cancel all tasks of the loop, and wait at most *seconds* for `finally` blocks."""
        self.is_ending = True
        self.cancel_all()
        tasks = asyncio.all_tasks(self.loop) - {asyncio.current_task(self.loop)}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def close_generators(self, seconds: float) -> None:
        """Close the async generators that were not run to their end, for their `finally` blocks.

        Among them are those that an application keeps open for as long as the loop runs.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.loop.shutdown_asyncgens(), seconds)

    def close_executor(self) -> Task[None]:
        """Start to shut down the loop's default executor, which finishes its work first.

        The task must not be cancelled: that would block the loop until the threads have ended.
        """
        task = self.loop.create_task(self.loop.shutdown_default_executor())
        self.after_requests.add(task)
        return task

    async def wait(self, seconds: float) -> None:
        """Wait at most *seconds* for the tasks of requests."""
        if tasks := self._request_tasks():
            await asyncio.wait(tasks, timeout=seconds)

    def _request_tasks(self) -> "builtins.list[Task[Any]]":
        return [*(task for task, _ in self.handlers.values()), *self.after_requests]


async def _catch_error(callback: Awaitable[object]) -> BaseException | None:
    """Await *callback* and return what it raises, but for our own cancellation."""
    try:
        await callback
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError) and is_cancelling():
            raise
        return error
    return None

"""The coroutines of a worker: handlers that wait, and tasks on their own."""

import asyncio
import contextlib
import sys
import time
from asyncio import AbstractEventLoop, Task
from collections.abc import Awaitable, Callable, Coroutine
from types import CoroutineType
from typing import Any, TypeAlias

from kore._aio.task_utils import being_cancelled, close_unbegun, report
from kore._aio.tasks import Registry, TaskInfo
from kore._core.eager_task import TaskStarter
from kore._core.request import Request, began
from kore._maybe_async import await_result

# Called with a request, what its handler did wrong, or None and what it returned: no answer.
Report: TypeAlias = Callable[..., None]
Handler: TypeAlias = Coroutine[Any, Any, Any]
# What follows when a hook has been awaited.
Then: TypeAlias = Callable[[Any], object]


class WorkerTask(Task[None]):
    """The worker's own task: an application that cancels all tasks does not mean this one."""

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002 - as in asyncio.Task
        """Do nothing."""
        return False


class RequestTasks(Registry):
    """What runs in a worker beside its event loop's callbacks."""

    def __init__(self, loop: AbstractEventLoop, report: Report) -> None:
        super().__init__()
        self.loop = loop
        self.report = report
        # Each with its request. The loop itself holds tasks only weakly.
        self.handlers: dict[int, tuple[Task[None], Request]] = {}
        self.starter = TaskStarter(loop, self.handlers, self._conclude, self._fail)
        # What follows requests that are over.
        self.endings: set[Task[Any]] = set()
        self.ending = False

    @property
    def serving(self) -> int:
        """How many handlers wait for something."""
        return len(self.handlers) + len(self.endings)

    # ---- handlers

    def spawn(
        self, handler: Awaitable[Any], request: Request, then: Then | None = None
    ) -> Task[None]:
        """Run the *handler* of *request*: its first step at once, what follows as a task.

        The task is cancelled when the client leaves. *then* is for what need not answer, such as a
        hook: it is called with what that returns. Returns the task.
        """
        if type(handler) is not CoroutineType:
            handler = await_result(handler)
        if self.tracing:
            handler = await_result(self.traced(handler))
        return self.starter.start(handler, request, then)

    def _conclude(self, request: Request, then: Then | None, result: object) -> None:
        """Go on after a handler that has returned: its client gets one response."""
        if then is not None:
            then(result)
        elif not request.answered and request.is_served:
            self.report(request, None, result)
            type(request).fail_rest(request, 500)
        elif request.is_unended:
            Request.expect_end(request)

    def _fail(self, request: Request, error: BaseException) -> bool:
        """Respond for a handler that has raised; True: it ends as it was told to."""
        is_told = isinstance(error, asyncio.CancelledError) and being_cancelled()
        if not is_told:
            self.report(request, error)
        type(request).fail_rest(request, 503 if self.ending else 500)
        return is_told

    def see_off(
        self, hook: Awaitable[object], where: str, done: Callable[[], None]
    ) -> Task[None]:
        """Run what follows the end of a request, then call *done*; a drain waits for it, too.

        Or what follows something else that has come from outside. Returns the task.
        """

        def over(task: Task[None]) -> None:
            self.endings.discard(task)
            close_unbegun(hook)
            done()

        task = self.loop.create_task(self.last(hook, where))
        self.endings.add(task)
        task.add_done_callback(over)
        return task

    async def last(self, hook: Awaitable[object], where: str) -> None:
        """Await *hook*: nobody waits for it, and nobody else hears of its failure."""
        try:
            await hook
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - as in a handler
            report(where, error)

    def converse(self, callback: Awaitable[object]) -> Task[BaseException | None]:
        """Await a WebSocket's callback; the result is what it raised. A drain waits for it."""
        outcome = caught(callback)
        if sys.version_info >= (3, 12):     # at once: one that does not wait costs no round
            task = Task(outcome, loop=self.loop, eager_start=True)
            if task.done():
                return task
        else:
            task = self.loop.create_task(outcome)
        self.endings.add(task)

        def over(task: Task[BaseException | None]) -> None:
            self.endings.discard(task)
            close_unbegun(callback)

        task.add_done_callback(over)
        return task

    # ---- all of them

    def list(self) -> list[TaskInfo]:
        """Return all tasks and handlers, the oldest first."""
        now = time.monotonic()
        serving = [
            self.info(
                task, self.number_of(task), f"route '{Request.where(request)}'",
                now - began(request),
            )
            for task, request in self.handlers.values()
        ]
        return sorted([*serving, *super().list()], key=lambda task: -task.age)

    def describe(self, task: Task[Any]) -> str:
        """Return what a task is called in messages: that of a handler by its route."""
        for handler, request in self.handlers.values():
            if handler is task:
                return f"route '{Request.where(request)}'"
        return super().describe(task)

    async def cancel_requests(self, seconds: float) -> None:
        """Cancel handlers and what follows requests; give `finally` blocks some seconds."""
        self.ending = True
        if tasks := [*(task for task, _ in self.handlers.values()), *self.endings]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=seconds)

    async def cancel_everything(self, seconds: float) -> None:
        """Cancel all that runs on the loop, and give `finally` blocks some seconds."""
        self.ending = True
        self.cancel_all()
        tasks = asyncio.all_tasks(self.loop) - {asyncio.current_task(self.loop)}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def close_generators(self, seconds: float) -> None:
        """Let async generators that nobody finished come to their `finally` blocks.

        So ends what is kept open for as long as the loop runs, too.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.loop.shutdown_asyncgens(), seconds)

    def close_executor(self) -> Task[None]:
        """Let the threads of the loop's own executor finish what they were given.

        The task must not be cancelled: it would block the loop until they have.
        """
        task = self.loop.create_task(self.loop.shutdown_default_executor())
        self.endings.add(task)
        return task

    async def wait(self, seconds: float) -> None:
        """Wait for what still works for requests, for so long at most."""
        if tasks := [*(task for task, _ in self.handlers.values()), *self.endings]:
            await asyncio.wait(tasks, timeout=seconds)


async def caught(callback: Awaitable[object]) -> BaseException | None:
    """Await *callback* and return what it raises, but for our own cancellation."""
    try:
        await callback
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError) and being_cancelled():
            raise
        return error
    return None

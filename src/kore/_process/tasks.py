"""The coroutines of a worker: handlers that wait, and tasks on their own."""

import asyncio
import sys
import time
from asyncio import AbstractEventLoop, Task
from collections.abc import Callable, Coroutine
from typing import Any

from kore._aio.tasks import Registry, TaskInfo
from kore._aio.tracing import place_of
from kore._aio.unbegun import close_unbegun
from kore._core.request import Request
from kore._http.streaming import gate

# What a handler did wrong; None: it gave no answer.
Report = Callable[[Request, BaseException | None], None]


class Tasks(Registry):
    """What runs in a worker beside its event loop's callbacks."""

    def __init__(self, loop: AbstractEventLoop, report: Report) -> None:
        super().__init__()
        self.loop = loop
        self.report = report
        # With the route and the time it began. The loop itself holds tasks only weakly.
        self.handlers: dict[int, tuple[Task[None], Request, float]] = {}
        self.ending = False

    @property
    def serving(self) -> int:
        """How many handlers wait for something."""
        return len(self.handlers)

    # ---- handlers

    def spawn(self, handler: Coroutine[Any, Any, Any], request: Request) -> None:
        """Run the *handler* of *request* as a task; it is cancelled when the client leaves."""
        number = next(self.counter)
        if self.tracing:
            handler = self.traced(handler, number)
        # Asked for before the handler runs, which may put attributes in front of the methods.
        attend = request.attend
        guarded = self.guard(handler, request, number)
        if sys.version_info >= (3, 12):     # at once: a handler that does not wait costs no round
            task = Task(guarded, loop=self.loop, eager_start=True)
            if task.done():
                return
        else:
            # Parked inside its `try`: a task cancelled before its first step ends in order too.
            guarded.send(None)
            task = Task(guarded, loop=self.loop)
        self.handlers[number] = (task, request, time.monotonic())
        attend(task)

    async def guard(
        self, handler: Coroutine[Any, Any, Any], request: Request, number: int
    ) -> None:
        """Await *handler*: whatever it does, its client gets one answer."""
        fail = request.fail
        try:
            if sys.version_info < (3, 12):
                await gate()
            await handler
            if not request.answered and request.is_served:
                self.report(request, None)
                fail()
        except BaseException as error:  # SystemExit too: a request ends no worker
            close_unbegun(handler)
            ours = isinstance(error, asyncio.CancelledError) and being_cancelled()
            if not ours:
                self.report(request, error)
            if not request.answered:
                fail(503 if self.ending else 500)
            if ours:
                raise
        finally:
            self.handlers.pop(number, None)

    # ---- all of them

    def number_of(self, task: Task[Any]) -> int:
        """Return the number of a task; who had none gets one."""
        found = (number for number, entry in self.handlers.items() if entry[0] is task)
        return next(found, 0) or super().number_of(task)

    def list(self) -> list[TaskInfo]:
        """Return all tasks and handlers, the oldest first."""
        now = time.monotonic()
        serving = [
            TaskInfo(
                number,
                self.names.get(task) or f"route '{request.where()}'",
                now - begun,
                place_of(task.get_coro()),
            )
            for number, (task, request, begun) in self.handlers.items()
        ]
        return sorted([*serving, *super().list()], key=lambda task: -task.age)

    async def cancel_everything(self, seconds: float) -> None:
        """Cancel everything, and give `finally` blocks some seconds to run."""
        self.ending = True
        handlers = [task for task, _, _ in self.handlers.values()]
        for task in handlers:
            task.cancel()
        tasks = handlers + self.cancel_all()
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)


def being_cancelled() -> bool:
    """Tell our own cancellation from a CancelledError that a handler met somewhere else."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0

"""The coroutines of a worker: handlers that wait, and tasks on their own."""

import asyncio
import itertools
import sys
from asyncio import AbstractEventLoop, Task
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from kore._core.request import Request
from kore._http.streaming import gate

# What a handler did wrong, None for no answer; what else failed, and where.
Report = Callable[[Request, BaseException | None], None]
Failed = Callable[[str, BaseException], None]
# What follows when a hook has been awaited.
Then = Callable[[Any], object]


class Tasks:
    """What runs in a worker beside its event loop's callbacks."""

    def __init__(self, loop: AbstractEventLoop, report: Report, failed: Failed) -> None:
        self.loop = loop
        self.report = report
        self.failed = failed
        # The loop itself holds tasks only weakly.
        self.handlers: dict[int, Task[None]] = {}
        self.others: dict[int, Task[None]] = {}
        self.numbers = itertools.count(1)
        self.ending = False

    @property
    def serving(self) -> int:
        """How many handlers wait for something."""
        return len(self.handlers)

    # ---- handlers

    def spawn(
        self, handler: Coroutine[Any, Any, Any], request: Request, then: Then | None = None
    ) -> None:
        """Run the *handler* of *request* as a task; it is cancelled when the client leaves.

        *then* is for what need not answer, such as a hook: it is called with what that returns.
        """
        number = next(self.numbers)
        # Asked for before the handler runs, which may put attributes in front of the methods.
        attend = request.attend
        guarded = self.guard(handler, request, number, then)
        if sys.version_info >= (3, 12):     # at once: a handler that does not wait costs no round
            task = Task(guarded, loop=self.loop, eager_start=True)
            if task.done():
                return
        else:
            # Parked inside its `try`: a task cancelled before its first step ends in order too.
            guarded.send(None)
            task = Task(guarded, loop=self.loop)
        self.handlers[number] = task
        attend(task)

    async def guard(
        self,
        handler: Coroutine[Any, Any, Any],
        request: Request,
        number: int,
        then: Then | None,
    ) -> None:
        """Await *handler*: whatever it does, its client gets one answer."""
        fail = request.fail
        try:
            if sys.version_info < (3, 12):
                await gate()
            result = await handler
            if then is not None:
                then(result)
            elif not request.answered and request.is_served:
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

    def see_off(self, hook: Awaitable[object], where: str, done: Callable[[], None]) -> None:
        """Run what follows the end of a request, then call *done*; a drain waits for it, too."""
        number = next(self.numbers)

        def over(_: Task[None]) -> None:
            self.handlers.pop(number, None)
            close_unbegun(hook)
            done()

        task = self.loop.create_task(self.last(hook, where))
        self.handlers[number] = task
        task.add_done_callback(over)

    async def last(self, hook: Awaitable[object], where: str) -> None:
        """Await *hook*: nobody waits for it, and nobody else hears of its failure."""
        try:
            await hook
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - as in a handler
            self.failed(where, error)

    # ---- tasks of their own

    def create(self, coroutine: Coroutine[Any, Any, Any]) -> int:
        """Run *coroutine*; return its id."""
        number = next(self.numbers)
        task = self.loop.create_task(self.watch(coroutine, number))
        # One that is cancelled before it begins has nobody else to close it.
        task.add_done_callback(lambda _: close_unbegun(coroutine))
        self.others[number] = task
        return number

    async def watch(self, coroutine: Coroutine[Any, Any, Any], number: int) -> None:
        """Await *coroutine*, and report what it does not catch: nobody else asks for it."""
        try:
            await coroutine
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - as in a handler
            self.failed(f"task {number} ({name_of(coroutine)})", error)
        finally:
            self.others.pop(number, None)

    async def cancel_all(self, seconds: float) -> None:
        """Cancel everything, and give `finally` blocks some seconds to run."""
        self.ending = True
        tasks = [*self.handlers.values(), *self.others.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def wait(self, seconds: float) -> None:
        """Wait for what still works for requests, for so long at most."""
        if self.handlers:
            await asyncio.wait(list(self.handlers.values()), timeout=seconds)


def close_unbegun(coroutine: object) -> None:
    """Close a coroutine that may never have begun; one that has ended does not mind."""
    if close := getattr(coroutine, "close", None):
        close()


def being_cancelled() -> bool:
    """Tell our own cancellation from a CancelledError that a handler met somewhere else."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def name_of(coroutine: Coroutine[Any, Any, Any]) -> str:
    """Return the name of the function that made *coroutine*."""
    return str(getattr(coroutine, "__qualname__", type(coroutine).__name__))

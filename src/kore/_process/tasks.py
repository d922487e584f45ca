"""The coroutines of a worker: handlers that wait, and tasks on their own."""

import asyncio
import itertools
import sys
from asyncio import AbstractEventLoop, Task
from collections.abc import Callable, Coroutine
from typing import Any

from kore._core.request import Request
from kore._http.streaming import gate

# What a handler did wrong, None for no answer; what else failed, and where.
Report = Callable[[Request, BaseException | None], None]
Failed = Callable[[str, BaseException], None]


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

    def spawn(self, handler: Coroutine[Any, Any, Any], request: Request) -> None:
        """Run the *handler* of *request* as a task; it is cancelled when the client leaves."""
        guarded = self.guard(handler, request)
        if sys.version_info >= (3, 12):     # at once: a handler that does not wait costs no round
            task = Task(guarded, loop=self.loop, eager_start=True)
            if task.done():
                return
        else:
            # Parked inside its `try`: a task cancelled before its first step ends in order too.
            guarded.send(None)
            task = Task(guarded, loop=self.loop)
        self.handlers[id(handler)] = task
        request.attend(task)

    async def guard(self, handler: Coroutine[Any, Any, Any], request: Request) -> None:
        """Await *handler*: whatever it does, its client gets one answer."""
        try:
            if sys.version_info < (3, 12):
                await gate()
            await handler
            if not request.answered:
                self.report(request, None)
                request.fail()
        except asyncio.CancelledError:
            if close := getattr(handler, "close", None):
                close()  # it may not have begun
            if not request.answered:
                request.fail(503 if self.ending else 500)
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit too: a request ends no worker
            self.report(request, error)
            if not request.answered:
                request.fail()
        finally:
            self.handlers.pop(id(handler), None)

    # ---- tasks of their own

    def create(self, coroutine: Coroutine[Any, Any, Any]) -> int:
        """Run *coroutine*; return its id."""
        number = next(self.numbers)
        self.others[number] = self.loop.create_task(self.watch(coroutine, number))
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


def name_of(coroutine: Coroutine[Any, Any, Any]) -> str:
    """Return the name of the function that made *coroutine*."""
    return str(getattr(coroutine, "__qualname__", type(coroutine).__name__))

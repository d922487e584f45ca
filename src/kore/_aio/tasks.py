"""Tasks of their own: numbers, names, and where each of them waits."""

import asyncio
import itertools
import time
from asyncio import Task, get_running_loop
from collections.abc import Coroutine
from dataclasses import dataclass
from inspect import CORO_CREATED, getcoroutinestate
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from kore._aio.tracing import place_of, traced
from kore._aio.unbegun import close_unbegun
from kore.errors import KoreError


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A running task, as `kore.tasks()` shows it. *age* is in seconds, *where* is `file:line`."""

    id: int
    name: str
    age: float
    where: str


class Entry(NamedTuple):
    """A task, and what is known of it."""

    task: Task[None]
    coroutine: Coroutine[Any, Any, Any]
    begun: float


class Registry:
    """The tasks that `kore.task_create()` made, and numbers for all others that ask for one.

    What a task raises goes to the event loop's exception handler.
    """

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.numbers: WeakKeyDictionary[Task[Any], int] = WeakKeyDictionary()
        self.names: WeakKeyDictionary[Task[Any], str] = WeakKeyDictionary()
        self.counter = itertools.count(1)
        self.tracing = False

    def create(self, coroutine: Coroutine[Any, Any, Any]) -> int:
        """Run *coroutine* as a task; return its number."""
        number = next(self.counter)
        if self.tracing:
            coroutine = self.traced(coroutine, number)
        task = get_running_loop().create_task(self.watch(coroutine, number))
        self.entries[number] = Entry(task, coroutine, time.monotonic())
        return number

    async def watch(self, coroutine: Coroutine[Any, Any, Any], number: int) -> None:
        """Await *coroutine*, and report what it does not catch: nobody else asks for it."""
        try:
            await coroutine
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit too: a task ends no worker
            message = f"task {number} ({name_of(coroutine)})"
            get_running_loop().call_exception_handler({"message": message, "exception": error})
        finally:
            del self.entries[number]

    def traced(self, coroutine: Coroutine[Any, Any, Any], number: int) -> Coroutine[Any, Any, Any]:
        """Return *coroutine* such that the log says when it runs and when it waits."""
        return traced(coroutine, lambda: self.names.get(asyncio.current_task(), number))

    # ---- what a task asks about itself

    def current(self) -> Task[Any]:
        """Return the running task; KoreError where none runs."""
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        if task is None:
            raise KoreError("no coroutine active")
        return task

    def number_of(self, task: Task[Any]) -> int:
        """Return the number of a task; who had none gets one."""
        if not self.numbers.get(task):
            found = (number for number, entry in self.entries.items() if entry.task is task)
            self.numbers[task] = next(found, 0) or next(self.counter)
        return self.numbers[task]

    def rename(self, name: str) -> None:
        """Give the running task a name."""
        self.names[self.current()] = name

    # ---- what others ask

    def kill(self, number: int) -> bool:
        """Cancel a task; return whether there is one of that number."""
        entry = self.entries.get(number)
        if entry is None:
            return False
        if entry.task is asyncio.current_task():
            raise KoreError("refusing to kill active coroutine")
        self.cancel(entry)
        return True

    def cancel(self, entry: Entry) -> None:
        """Cancel a task, which may not have begun: then it is gone at once."""
        entry.task.cancel()
        if getcoroutinestate(entry.coroutine) == CORO_CREATED:
            entry.task.add_done_callback(lambda _: self.forget(entry))

    def forget(self, entry: Entry) -> None:
        """Close what never ran."""
        close_unbegun(entry.coroutine)
        for number in [number for number, each in self.entries.items() if each is entry]:
            del self.entries[number]

    def cancel_all(self) -> list[Task[None]]:
        """Cancel every task; return what to wait for."""
        entries = list(self.entries.values())
        for entry in entries:
            self.cancel(entry)
        return [entry.task for entry in entries]

    def list(self) -> list[TaskInfo]:
        """Return all tasks, the oldest first."""
        now = time.monotonic()
        return [
            TaskInfo(
                number,
                self.names.get(entry.task) or name_of(entry.coroutine),
                now - entry.begun,
                place_of(entry.coroutine),
            )
            for number, entry in self.entries.items()
        ]


def name_of(coroutine: Coroutine[Any, Any, Any]) -> str:
    """Return the name of the function that made *coroutine*."""
    return str(getattr(coroutine, "__qualname__", type(coroutine).__name__))

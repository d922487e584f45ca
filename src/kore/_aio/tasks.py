"""Tasks of their own: numbers, names, and where each of them waits."""

import asyncio
import itertools
import operator
from asyncio import CancelledError, Task, get_running_loop
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from kore._aio.task_utils import close_if_not_started, is_cancelling, report_unhandled
from kore._aio.tracing import place_of, traced
from kore.errors import KoreError


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A running task, as `kore.tasks()` shows it. *age* is in seconds, *where* is `file:line`."""

    id: int
    name: str
    age: float
    where: str


# A task, what it was made of, and when that was on the monotonic clock.
Entry: TypeAlias = tuple[Task[None], Coroutine[Any, Any, Any], float]


class Registry:
    """The tasks that `kore.task_create()` made, and numbers for all others that ask for one.

    What a task raises goes to the event loop's exception handler.
    """

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        # Tasks that others have made, as far as somebody has asked for their numbers.
        self.others: WeakKeyDictionary[Task[Any], int] = WeakKeyDictionary()
        self.names: WeakKeyDictionary[Task[Any], str] = WeakKeyDictionary()
        self.counter = itertools.count(1)
        self.tracing = False

    def create(self, coroutine: Coroutine[Any, Any, Any]) -> int:
        """Run *coroutine* as a task; return its number."""
        number = next(self.counter)
        # Not the loop's create_task(): its detour costs a tenth, and a factory there may make tasks
        # that begin at once. A name saves making one up.
        loop = get_running_loop()
        name = getattr(coroutine, "__qualname__", None)
        task = Task(self.watch(coroutine, number), loop=loop, name=name)
        self.entries[number] = (task, coroutine, monotonic())
        return number

    async def watch(self, coroutine: Coroutine[Any, Any, Any], number: int) -> None:
        """Await *coroutine*, and report what it does not catch: nobody else asks for it."""
        try:
            await (self.traced(coroutine) if self.tracing else coroutine)
        except BaseException as error:  # SystemExit too: a task ends no worker
            if isinstance(error, CancelledError) and is_cancelling():
                raise
            report_unhandled(f"task {number} ({name_of(coroutine)})", error)
        finally:
            del self.entries[number]

    def traced(self, coroutine: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        """Return *coroutine* such that the log says when it runs and when it waits."""
        return traced(coroutine, self.label)

    def label(self) -> int | str:
        """Return what the running task is called in traces."""
        task = self.current()
        return self.names.get(task) or self.number_of(task)

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
        coroutine: Any = task.get_coro()
        if getattr(coroutine, "cr_code", None) is self.watch.__code__:
            # There, and not in another table, which each task would pay for.
            return int(coroutine.cr_frame.f_locals["number"])
        number = self.others.get(task)
        if number is None:
            number = self.others[task] = next(self.counter)
        return number

    def rename(self, name: str) -> None:
        """Give the running task a name."""
        self.names[self.current()] = name

    # ---- what others ask

    def kill(self, number: int) -> bool:
        """Cancel a task; return whether there is one of that number."""
        number = operator.index(number)
        if self.is_running(number):
            raise KoreError("refusing to kill active coroutine")
        if number not in self.entries:
            return False
        self.cancel(number)
        return True

    def is_running(self, number: int) -> bool:
        """Return whether it is the number of the very task that runs now."""
        try:
            task = asyncio.current_task()
        except RuntimeError:  # no event loop
            return False
        if task is None:
            return False
        # That of a handler is in no other table.
        own, _, _ = self.entries.get(number, (None, None, None))
        return own is task or self.others.get(task) == number

    def cancel(self, number: int) -> None:
        """Cancel a task; one that has not begun will never know."""
        task, coroutine, _ = self.entries[number]
        task.cancel()
        task.add_done_callback(partial(self.forget, number, coroutine))

    def forget(self, number: int, coroutine: Coroutine[Any, Any, Any], _: Task[None]) -> None:
        """Strike off a task that has ended without running, perhaps."""
        close_if_not_started(coroutine)
        self.entries.pop(number, None)

    def cancel_all(self) -> None:
        """Cancel every task."""
        for number in list(self.entries):
            self.cancel(number)

    def list(self) -> list[TaskInfo]:
        """Return all tasks, the oldest first."""
        now = monotonic()
        return [
            self.info(task, number, name_of(coroutine), now - made)
            for number, (task, coroutine, made) in self.entries.items()
        ]

    def describe(self, task: Task[Any]) -> str:
        """Return what a task is called in messages."""
        return f"task '{self.names.get(task) or task.get_name()}'"

    def info(self, task: Task[Any], number: int, name: str, age: float) -> TaskInfo:
        """Return what is known of a task; *name* is for one that has not named itself."""
        name = self.names.get(task, name)
        return TaskInfo(number, name, age, place_of(task.get_coro()))


def name_of(coroutine: object) -> str:
    """Return the name of the function that made *coroutine*."""
    return str(getattr(coroutine, "__qualname__", type(coroutine).__name__))

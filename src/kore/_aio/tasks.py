"""The tasks of an application: their ids, names, and where each waits: `kore.task_create()`."""

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

from kore._aio.task_utils import (
    close_if_not_started,
    get_running_task,
    is_cancelling,
    report_unhandled,
)
from kore._aio.tracing import get_wait_location, trace_steps
from kore.errors import KoreError


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A running task, as `kore.tasks()` shows it. *age* is in seconds, *where* is `file:line`."""

    id: int
    name: str
    age: float
    where: str


# A task, its coroutine, and when it was created on the monotonic clock.
Entry: TypeAlias = tuple[Task[None], Coroutine[Any, Any, Any], float]


class TaskRegistry:
    """The tasks made by `kore.task_create()`, by id, and ids for other tasks on request.

    What a task raises goes to the event loop's exception handler.
    """

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        # The ids of other tasks, assigned on first use.
        self.other_ids: WeakKeyDictionary[Task[Any], int] = WeakKeyDictionary()
        self.names: WeakKeyDictionary[Task[Any], str] = WeakKeyDictionary()
        self.ids = itertools.count(1)
        self.tracing = False

    def create(self, coroutine: Coroutine[Any, Any, Any]) -> int:
        """Run *coroutine* as a task; return its id."""
        number = next(self.ids)
        # Not the loop's create_task(): that takes a tenth longer, and a task factory there may
        # start tasks eagerly. With a name, asyncio need not format one.
        loop = get_running_loop()
        name = getattr(coroutine, "__qualname__", None)
        task = Task(self.run(coroutine, number), loop=loop, name=name)
        self.entries[number] = (task, coroutine, monotonic())
        return number

    async def run(self, coroutine: Coroutine[Any, Any, Any], number: int) -> None:
        """Await *coroutine*, and report what it raises."""
        try:
            await (self.trace(coroutine) if self.tracing else coroutine)
        except BaseException as error:  # SystemExit, too, does not end the worker
            if isinstance(error, CancelledError) and is_cancelling():
                raise
            report_unhandled(f"task {number} ({_get_coroutine_name(coroutine)})", error)
        finally:
            del self.entries[number]

    def trace(self, coroutine: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        """Return *coroutine* with a log line for each of its steps."""
        return trace_steps(coroutine, self.get_trace_name)

    def get_trace_name(self) -> int | str:
        """Return the name, or else the id, of the running task."""
        task = self.get_current()
        return self.names.get(task) or self.get_id(task)

    # ---- the running task

    def get_current(self) -> Task[Any]:
        """Return the running task. Raises KoreError if none runs."""
        return get_running_task("no coroutine active")

    def get_id(self, task: Task[Any]) -> int:
        """Return the id of a task, assigning one on first use."""
        coroutine: Any = task.get_coro()
        if getattr(coroutine, "cr_code", None) is self.run.__code__:
            # Read from its frame: a second table would cost memory for each task.
            return int(coroutine.cr_frame.f_locals["number"])
        number = self.other_ids.get(task)
        if number is None:
            number = self.other_ids[task] = next(self.ids)
        return number

    def rename(self, name: str) -> None:
        """Set the name of the running task. Raises KoreError if none runs."""
        self.names[self.get_current()] = name

    # ---- all tasks

    def kill(self, number: int) -> bool:
        """Cancel a task; return whether it exists. Raises KoreError if it is the running one."""
        number = operator.index(number)
        if self.is_running(number):
            raise KoreError("refusing to kill active coroutine")
        if number not in self.entries:
            return False
        self.cancel(number)
        return True

    def is_running(self, number: int) -> bool:
        """Return whether *number* is the id of the task that runs now."""
        try:
            task = asyncio.current_task()
        except RuntimeError:  # no event loop
            return False
        if task is None:
            return False
        # Handlers are not among the entries.
        own, _, _ = self.entries.get(number, (None, None, None))
        return own is task or self.other_ids.get(task) == number

    def cancel(self, number: int) -> None:
        """Cancel a task; one that has not started never runs."""
        task, coroutine, _ = self.entries[number]
        task.cancel()
        task.add_done_callback(partial(self.forget, number, coroutine))

    def forget(self, number: int, coroutine: Coroutine[Any, Any, Any], _: Task[None]) -> None:
        """Remove a task that may have ended without having run."""
        close_if_not_started(coroutine)
        self.entries.pop(number, None)

    def cancel_all(self) -> None:
        """Cancel every task."""
        for number in list(self.entries):
            self.cancel(number)

    def list(self) -> list[TaskInfo]:
        """Return information about all tasks, the oldest first."""
        now = monotonic()
        return [
            self.make_info(task, number, _get_coroutine_name(coroutine), now - created)
            for number, (task, coroutine, created) in self.entries.items()
        ]

    def describe(self, task: Task[Any]) -> str:
        """Return what a task is called in messages."""
        return f"task '{self.names.get(task) or task.get_name()}'"

    def make_info(self, task: Task[Any], number: int, name: str, age: float) -> TaskInfo:
        """Return information about a task; *name* is used unless it has set its own."""
        name = self.names.get(task, name)
        return TaskInfo(number, name, age, get_wait_location(task.get_coro()))


def _get_coroutine_name(coroutine: object) -> str:
    """Return the name of the function that made *coroutine*."""
    return str(getattr(coroutine, "__qualname__", type(coroutine).__name__))

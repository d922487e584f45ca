"""The functions of `import kore` for tasks. Loaded when asked for: the parent has no event loop."""

import operator
from asyncio import _get_running_loop
from collections.abc import Coroutine
from types import CoroutineType
from typing import Any

from kore import _context
from kore._aio.tasks import TaskInfo, TaskRegistry
from kore._conf import arguments
from kore.errors import KoreError


def registry() -> TaskRegistry:
    """Return the tasks of this process: a worker's, or those of any other asyncio program."""
    current = _context.current
    if current.worker is not None:
        return current.worker.tasks
    if current.tasks is None:
        current.tasks = TaskRegistry()
    return current.tasks


def task_create(task: Coroutine[Any, Any, Any]) -> int:
    """Run a coroutine as a task of its own; return its id. Before the start: one in each worker.

    What it raises goes to the log, or to the tracer.
    """
    if type(task) is not CoroutineType and not isinstance(task, Coroutine):
        raise TypeError("object is not a coroutine: write kore.task_create(function())")
    current = _context.current
    if current.worker is not None:
        return current.worker.tasks.create(task)
    if current.builder is not None:
        return current.builder.create_task(task)
    if current.unserved is not None and _get_running_loop() is None:
        return current.unserved.create_task(task)
    if _get_running_loop() is None and current.tasks is None:
        task.close()
        raise KoreError(f"no event loop runs a task here: {_context.how_to_start()}")
    return (current.tasks or registry()).create(task)


def task_id() -> int:
    """Return the id of the running task. KoreError: none runs."""
    tasks = registry()
    return tasks.get_id(tasks.get_current())


def task_kill(task_id: int) -> bool:
    """Cancel the task of that id; return whether there is one. KoreError: it is the caller."""
    return registry().kill(task_id)


def tasks() -> list[TaskInfo]:
    """Return what runs: each task's id, name, age in seconds and where it waits; handlers too."""
    return registry().list()


def coroname(name: str) -> None:
    """Name the running task, for `tasks()` and for traces. KoreError: none runs."""
    registry().rename(arguments.check_text(name, "name"))


def corotrace(flag: int) -> None:
    """Log each step of all tasks and handlers that begin from now on, or stop doing so."""
    registry().tracing = bool(operator.index(flag))

"""The functions of `import kore` for tasks, imported on first use: they need an event loop."""

import operator
from asyncio import _get_running_loop
from collections.abc import Coroutine
from types import CoroutineType
from typing import Any

from kore import _context
from kore._aio.tasks import TaskInfo, TaskRegistry
from kore._conf import arguments
from kore.errors import KoreError


def _get_registry() -> TaskRegistry:
    """Return the task registry of the worker, or of any other asyncio program."""
    current = _context.current
    if current.worker is not None:
        return current.worker.tasks
    if current.tasks is None:
        current.tasks = TaskRegistry()
    return current.tasks


def task_create(task: Coroutine[Any, Any, Any]) -> int:
    """Run a coroutine as a task; return its id. Before the start: one in each worker.

    What it raises goes to the log, or to the tracer. Raises TypeError if it is not a coroutine,
    KoreError where no event loop runs.
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
    return (current.tasks or _get_registry()).create(task)


def task_id() -> int:
    """Return the id of the running task. Raises KoreError if none runs."""
    tasks = _get_registry()
    return tasks.get_id(tasks.get_current())


def task_kill(task_id: int) -> bool:
    """Cancel the task of that id; return whether it exists. Raises KoreError for the caller's."""
    return _get_registry().kill(task_id)


def tasks() -> list[TaskInfo]:
    """Return all tasks and handlers: id, name, age in seconds, and where each waits."""
    return _get_registry().list()


def coroname(name: str) -> None:
    """Name the running task, for `tasks()` and traces. Raises KoreError if none runs."""
    _get_registry().rename(arguments.check_text(name, "name"))


def corotrace(flag: int) -> None:
    """Log each step of all tasks and handlers that start from now on; 0 stops that."""
    _get_registry().tracing = bool(operator.index(flag))

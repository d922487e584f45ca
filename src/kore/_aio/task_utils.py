"""Helpers for tasks: the running one, its cancellation, coroutines that never started, errors."""

import contextlib
from asyncio import Task, current_task, get_running_loop
from collections.abc import Coroutine
from typing import Any

from kore._unawaited import Unawaited
from kore.errors import KoreError


def get_running_task(reason: str) -> Task[Any]:
    """Return the running task. Raises KoreError with *reason* if none runs."""
    try:
        task = current_task()
    except RuntimeError:  # no event loop runs
        task = None
    if task is None:
        raise KoreError(reason)
    return task


def close_if_not_started(awaitable: object) -> None:
    """Close a coroutine that may never have started, and drop our own awaitables without a warning.

    Closing a coroutine that has ended does nothing.
    """
    if isinstance(awaitable, Coroutine) and not _is_in_use(awaitable):
        awaitable.close()
    if isinstance(awaitable, Unawaited):
        awaitable._drop()  # noqa: SLF001 - of a base class of ours, not for applications


def _is_in_use(coroutine: object) -> bool:
    """Return whether a coroutine runs, or is awaited by another task, which must go on with it."""
    is_suspended = getattr(coroutine, "cr_suspended", False)
    return bool(is_suspended or getattr(coroutine, "cr_running", False))


def is_cancelling() -> bool:
    """Return whether a CancelledError is the running task's own, not one it met elsewhere."""
    task = current_task()
    return task is None or task.cancelling() > 0


def report_unhandled(where: str, error: BaseException) -> None:
    """Pass an exception to the event loop's exception handler; without a loop, drop it."""
    with contextlib.suppress(RuntimeError):
        get_running_loop().call_exception_handler({"message": where, "exception": error})

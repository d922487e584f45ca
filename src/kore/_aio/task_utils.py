"""What nobody else looks after: coroutines that will not run, errors that nobody caught."""

import contextlib
from asyncio import current_task, get_running_loop
from collections.abc import Coroutine

from kore._unawaited import Unawaited


def close_unbegun(awaitable: object) -> None:
    """Close a coroutine that may never have begun, and drop our own awaitables without a warning.

    One that has ended does not mind.
    """
    if isinstance(awaitable, Coroutine) and not runs_elsewhere(awaitable):
        awaitable.close()
    if isinstance(awaitable, Unawaited):
        awaitable._drop()  # noqa: SLF001 - of a base class of ours, not for applications


def runs_elsewhere(coroutine: object) -> bool:
    """Whether somebody else awaits it, who would never hear that it was closed, or it runs."""
    suspended = getattr(coroutine, "cr_suspended", False)
    return bool(suspended or getattr(coroutine, "cr_running", False))


def being_cancelled() -> bool:
    """Tell our own cancellation from a CancelledError that was met somewhere else."""
    task = current_task()
    return task is None or task.cancelling() > 0


def report(where: str, error: BaseException) -> None:
    """Hand what nobody caught to the event loop. Without one it is the end, and no error."""
    with contextlib.suppress(RuntimeError):
        get_running_loop().call_exception_handler({"message": where, "exception": error})

"""What nobody else looks after: coroutines that will not run, errors that nobody caught."""

import contextlib
from asyncio import get_running_loop
from collections.abc import Coroutine


def close_unbegun(awaitable: object) -> None:
    """Close a coroutine that may never have begun; one that has ended does not mind."""
    if isinstance(awaitable, Coroutine):
        awaitable.close()


def report(where: str, error: BaseException) -> None:
    """Hand what nobody caught to the event loop. Without one it is the end, and no error."""
    with contextlib.suppress(RuntimeError):
        get_running_loop().call_exception_handler({"message": where, "exception": error})

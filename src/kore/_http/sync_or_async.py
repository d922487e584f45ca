"""Chains of calls to functions of the application that may be async.

A chain is a generator (`Work`): it yields awaitables and is sent their results. A request whose
validators are all plain functions needs no coroutine. For one call within a coroutine there is
`kore._maybe_async`.
"""

import logging
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final, TypeVar

from kore._maybe_async import is_awaitable
from kore.errors import KoreError

log = logging.getLogger("kore")

# C Kore's value for True.
RESULT_OK: Final = 1

T = TypeVar("T")
Work = Generator[Awaitable[object], object, T]


def call_validator(verify: Callable[..., Any], *arguments: object) -> Work[bool]:
    """Call *verify*, and return whether it accepts: with True, or an int that equals RESULT_OK.

    All else is a rejection. Values other than False, None and RESULT_ERROR are logged.
    """
    result = verify(*arguments)
    if is_awaitable(result):
        result = yield result
    is_accepted = isinstance(result, int) and result == RESULT_OK
    if not is_accepted and not (result is None or (isinstance(result, int) and result == 0)):
        log.warning("validator did not return True/False: %r returned %r", verify, result)
    return is_accepted


def run_maybe_async(work: Work[T]) -> Any:
    """Run *work*. Returns its result, or a coroutine for it if something must be awaited."""
    try:
        return _resume_work(work, next(work))
    except StopIteration as done:
        return done.value


async def _resume_work(work: Work[T], pending: Awaitable[object]) -> T:
    """Await *pending*, and run the rest of *work*."""
    while True:
        try:
            pending = work.send(await pending)
        except StopIteration as done:
            # StopIteration carries its value untyped.
            result: T = done.value
            return result


def run_sync(work: Work[T]) -> T:
    """Run *work*. Raises KoreError if something must be awaited."""
    try:
        pending = next(work)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    if close := getattr(pending, "close", None):
        close()  # a coroutine that will not be awaited
    raise KoreError(
        "a validator of this route must be awaited: its parameters are there for the handler only"
    )

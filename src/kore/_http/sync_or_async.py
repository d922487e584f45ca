"""Ask functions of the application for a verdict; each may answer at once or be awaited.

What asks is a generator that yields what must be awaited, and is sent the result: it costs no
coroutine when nothing waits.
"""

import logging
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final, TypeVar

from kore._maybe_async import is_awaitable
from kore.errors import KoreError

log = logging.getLogger("kore")

# What functions of C Kore return for yes.
RESULT_OK: Final = 1

T = TypeVar("T")
Work = Generator[Awaitable[object], object, T]


def call_validator(verify: Callable[..., Any], *arguments: object) -> Work[bool]:
    """Ask *verify*. True is a yes, and so is an int that equals RESULT_OK, as in C.

    False, None and RESULT_ERROR are a no; anything else is one, too, and is logged.
    """
    verdict = verify(*arguments)
    if is_awaitable(verdict):
        verdict = yield verdict
    is_yes = isinstance(verdict, int) and verdict == RESULT_OK
    if not is_yes and not (verdict is None or (isinstance(verdict, int) and verdict == 0)):
        log.warning("validator did not return True/False: %r returned %r", verify, verdict)
    return is_yes


def run_maybe_async(work: Work[T]) -> Any:
    """Do *work*; return its result, or a coroutine that will when something must be awaited."""
    try:
        return _resume_work(work, next(work))
    except StopIteration as done:
        return done.value


async def _resume_work(work: Work[T], pending: Awaitable[object]) -> T:
    """Go on with *work* that waits for something."""
    while True:
        try:
            pending = work.send(await pending)
        except StopIteration as done:
            # StopIteration carries its value untyped.
            result: T = done.value
            return result


def run_sync(work: Work[T]) -> T:
    """Do *work* that must not wait."""
    try:
        pending = next(work)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    if close := getattr(pending, "close", None):
        close()  # a coroutine that nobody will await
    raise KoreError(
        "a validator of this route must be awaited: its parameters are there for the handler only"
    )

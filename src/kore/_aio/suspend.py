"""A pause of the task that awaits it."""

import operator
from asyncio import Future, get_running_loop
from collections.abc import Generator
from typing import Any, Final


def suspend(delay_ms: int) -> "Suspension | Gate":
    """Return what to await for a pause of so many milliseconds, counted from the await.

    With 0 it lasts until all others that can run have done so once.
    """
    delay_ms = operator.index(delay_ms)
    return Suspension(delay_ms) if delay_ms > 0 else GATE


class Suspension:
    """A pause; never awaited, it is nothing."""

    __slots__ = ("_delay_ms",)

    def __init__(self, delay_ms: int) -> None:
        self._delay_ms = delay_ms

    def __await__(self) -> Generator[Any, None, None]:
        loop = get_running_loop()
        over: Future[None] = loop.create_future()
        alarm = loop.call_later(self._delay_ms / 1000, wake, over)
        try:
            yield from over
        finally:
            alarm.cancel()

    def __repr__(self) -> str:
        return f"<kore.suspend {self._delay_ms} ms>"


class Gate:
    """Lets others run."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield


GATE: Final = Gate()


def wake(sleeper: "Future[None]") -> None:
    """Resolve a future, if nobody has done so."""
    if not sleeper.done():
        sleeper.set_result(None)


def has_result(future: "Future[Any]") -> bool:
    """Return whether there is something to be had from *future*."""
    return future.done() and not future.cancelled() and future.exception() is None

"""A pause of the task that awaits it."""

import operator
from asyncio import Future, TimerHandle, get_running_loop
from collections.abc import Generator
from typing import Any, Final

from kore._unawaited import Unawaited, warn_unawaited


def suspend(delay_ms: int) -> "Sleep | YieldOnce":
    """Return what to await for a pause of so many milliseconds, counted from the await.

    With 0 it lasts until all others that can run have done so once.
    """
    delay_ms = operator.index(delay_ms)
    return Sleep(delay_ms) if delay_ms > 0 else GATE


class Sleep(Unawaited):
    """A pause; never awaited, it is a mistake, and a warning."""

    __slots__ = ("_awaited", "_delay_ms")

    def __init__(self, delay_ms: int) -> None:
        self._delay_ms = delay_ms
        self._awaited = False

    def __await__(self) -> Generator[Any, None, None]:
        self._awaited = True
        loop = get_running_loop()
        pause = SleepFuture(loop=loop)
        pause.alarm = loop.call_later(self._delay_ms / 1000, wake, pause)
        return pause.__await__()

    def _drop(self) -> None:
        """Be dropped without a warning."""
        self._awaited = True

    def __del__(self) -> None:
        if not self._awaited:
            warn_unawaited("suspend")

    def __repr__(self) -> str:
        return f"<kore.suspend {self._delay_ms} ms>"


class SleepFuture(Future[None]):
    """What a task waits for. A generator would do, and cost each of 100,000 tasks 250 bytes."""

    __slots__ = ("alarm",)

    alarm: TimerHandle

    def cancel(self, msg: Any = None) -> bool:
        """Wait no longer."""
        self.alarm.cancel()
        return super().cancel(msg)


class YieldOnce:
    """Lets others run."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield


GATE: Final = YieldOnce()


def wake(sleeper: "Future[None]") -> None:
    """Resolve a future, if nobody has done so."""
    if not sleeper.done():
        sleeper.set_result(None)


def has_result(future: "Future[Any]") -> bool:
    """Return whether there is something to be had from *future*."""
    return future.done() and not future.cancelled() and future.exception() is None

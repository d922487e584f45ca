"""Pause the running task: `kore.suspend()`."""

import operator
from asyncio import Future, TimerHandle, get_running_loop
from collections.abc import Generator
from typing import Any, Final

from kore._unawaited import Unawaited, warn_unawaited


def suspend(delay_ms: int) -> "Sleep | YieldOnce":
    """Return an awaitable that pauses for *delay_ms* milliseconds, counted from the await.

    With 0 it lasts until all other tasks that are ready have run once.
    """
    delay_ms = operator.index(delay_ms)
    return Sleep(delay_ms) if delay_ms > 0 else YIELD


class Sleep(Unawaited):
    """An awaitable pause. Warns if it is dropped without having been awaited."""

    __slots__ = ("_awaited", "_delay_ms")

    def __init__(self, delay_ms: int) -> None:
        self._delay_ms = delay_ms
        self._awaited = False

    def __await__(self) -> Generator[Any, None, None]:
        self._awaited = True
        loop = get_running_loop()
        pause = SleepFuture(loop=loop)
        pause.timer = loop.call_later(self._delay_ms / 1000, _wake_sleeper, pause)
        return pause.__await__()

    def _drop(self) -> None:
        """Do not warn when this is dropped."""
        self._awaited = True

    def __del__(self) -> None:
        if not self._awaited:
            warn_unawaited("suspend")

    def __repr__(self) -> str:
        return f"<kore.suspend {self._delay_ms} ms>"


class SleepFuture(Future[None]):
    """The future of a pause, which owns its timer.

    A generator would do as well, but costs 250 bytes more for each of, say, 100,000 tasks.
    """

    __slots__ = ("timer",)

    timer: TimerHandle

    def cancel(self, msg: Any = None) -> bool:
        """Cancel the pause and its timer."""
        self.timer.cancel()
        return super().cancel(msg)


class YieldOnce:
    """An awaitable that lets other tasks run once."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield


YIELD: Final = YieldOnce()


def _wake_sleeper(sleeper: "Future[None]") -> None:
    """Resolve a future that is not done yet."""
    if not sleeper.done():
        sleeper.set_result(None)


def has_result(future: "Future[Any]") -> bool:
    """Return whether *future* is done with a result, not cancelled or failed."""
    return future.done() and not future.cancelled() and future.exception() is None

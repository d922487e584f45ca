"""Functions called later, once or again and again."""

import operator
from asyncio import CancelledError, Task, TimerHandle, get_running_loop
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from kore._aio.task_utils import close_if_not_started, is_cancelling, report_unhandled
from kore._maybe_async import is_awaitable
from kore.errors import KoreError

ONESHOT: Final = 1


class _Unset:
    """The data of a timer that has none; None is something."""

    def __repr__(self) -> str:
        return "nothing"


NOTHING: Final = _Unset()
# Coroutines that timers have begun. Loops hold tasks only weakly.
RUNNING: Final[set[Task[None]]] = set()


class Timer:
    """Calls *method*, with *data* where it is given.

    With *flags* 0 it does so every *delay_ms* milliseconds, counted from its making and not from
    the end of the last call; what came too late for a turn waits for the next one. A coroutine
    that *method* returns is run as a task, and while it runs its turns are left out. What it
    raises goes to the event loop's exception handler, and the timer goes on.
    """

    __slots__ = ("__weakref__", "_alarm", "_arguments", "_delay", "_due", "_loop", "_method",
                 "_once", "_task")

    def __init__(
        self, method: Callable[..., Any], delay_ms: int, flags: int, *, data: object = NOTHING
    ) -> None:
        if not callable(method):
            raise TypeError(f"a timer's method must be callable, not {method!r}")
        if operator.index(flags) not in {0, ONESHOT}:
            raise KoreError("invalid flags: a timer's are 0, or kore.TIMER_ONESHOT")
        try:
            self._loop = get_running_loop()
        except RuntimeError:
            raise KoreError(
                "kore.timer not supported on parent process: make it where an event loop runs, "
                "in koreapp.workerstart() or a handler"
            ) from None
        self._method = method
        self._arguments = () if data is NOTHING else (data,)
        self._delay = max(operator.index(delay_ms), 0) / 1000
        self._once = flags == ONESHOT
        self._due = self._loop.time() + self._delay
        self._task: Task[None] | None = None
        # The loop keeps it, and it keeps this object.
        self._alarm: TimerHandle | None = self._loop.call_at(self._due, self._fire)

    @property
    def closed(self) -> bool:
        """Whether it will not fire any more."""
        return self._alarm is None

    def close(self) -> bool:
        """Stop it. What it has begun goes on."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        return True

    def __repr__(self) -> str:
        name = getattr(self._method, "__qualname__", self._method)
        return f"<kore.timer {name} {self._delay * 1000:.0f} ms{', closed' * self.closed}>"

    def _fire(self) -> None:
        self._alarm = None if self._once else self._next()
        if self._task is not None:  # its coroutine still runs
            return
        try:
            pending = self._method(*self._arguments)
        except BaseException as error:  # noqa: BLE001 - whatever an application raises
            self._report(error)
            return
        if is_awaitable(pending):
            self._task = self._loop.create_task(self._run(pending))
            RUNNING.add(self._task)
            self._task.add_done_callback(partial(self._ended, pending))

    def _next(self) -> TimerHandle:
        now = self._loop.time()
        self._due += self._delay
        if self._due < now and self._delay:
            self._due += -(-(now - self._due) // self._delay) * self._delay
        return self._loop.call_at(max(self._due, now), self._fire)

    async def _run(self, pending: Awaitable[Any]) -> None:
        try:
            await pending
        except BaseException as error:  # SystemExit too: it ends no loop
            if isinstance(error, CancelledError) and is_cancelling():
                raise
            self._report(error)

    def _ended(self, pending: Awaitable[Any], task: Task[None]) -> None:
        RUNNING.discard(task)
        self._task = None
        if task.cancelled():  # whoever did so wants no more of it: the loop ends, perhaps
            self.close()
        close_if_not_started(pending)

    def _report(self, error: BaseException) -> None:
        report_unhandled(repr(self), error)

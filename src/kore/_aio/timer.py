"""Functions that are called later, once or periodically: `kore.timer`."""

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
    """The type of UNSET: a timer's *data* may be None."""

    def __repr__(self) -> str:
        return "nothing"


UNSET: Final = _Unset()
# Tasks that timers have started. Event loops keep tasks only weakly.
RUNNING_TASKS: Final[set[Task[None]]] = set()


class Timer:
    """Calls *method* after *delay_ms* milliseconds, with *data* if that is given.

    With *flags* 0 it is called every *delay_ms* milliseconds, counted from the creation of the
    timer and not from the end of the last call; a call that is late by more than a period is left
    out. A coroutine that *method* returns is run as a task, and while it runs there are no further
    calls. What it raises goes to the event loop's exception handler, and the timer goes on.
    Raises KoreError for invalid flags, or where no event loop runs.
    """

    __slots__ = (
        "__weakref__",
        "_arguments",
        "_delay",
        "_due",
        "_loop",
        "_method",
        "_once",
        "_task",
        "_timer",
    )

    def __init__(
        self, method: Callable[..., Any], delay_ms: int, flags: int, *, data: object = UNSET
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
        self._arguments = () if data is UNSET else (data,)
        self._delay = max(operator.index(delay_ms), 0) / 1000
        self._once = flags == ONESHOT
        self._due = self._loop.time() + self._delay
        self._task: Task[None] | None = None
        # The loop keeps the handle, and the handle keeps this object.
        self._timer: TimerHandle | None = self._loop.call_at(self._due, self._on_timer)

    @property
    def closed(self) -> bool:
        """Whether it will not fire any more."""
        return self._timer is None

    def close(self) -> bool:
        """Stop the timer. A task that it has started goes on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return True

    def __repr__(self) -> str:
        name = getattr(self._method, "__qualname__", self._method)
        return f"<kore.timer {name} {self._delay * 1000:.0f} ms{', closed' * self.closed}>"

    def _on_timer(self) -> None:
        self._timer = None if self._once else self._schedule_next()
        if self._task is not None:  # the task of an earlier call still runs
            return
        try:
            pending = self._method(*self._arguments)
        except BaseException as error:  # noqa: BLE001 - whatever an application raises
            self._report(error)
            return
        if is_awaitable(pending):
            self._task = self._loop.create_task(self._run(pending))
            RUNNING_TASKS.add(self._task)
            self._task.add_done_callback(partial(self._on_task_done, pending))

    def _schedule_next(self) -> TimerHandle:
        now = self._loop.time()
        self._due += self._delay
        if self._due < now and self._delay:
            self._due += -(-(now - self._due) // self._delay) * self._delay
        return self._loop.call_at(max(self._due, now), self._on_timer)

    async def _run(self, pending: Awaitable[Any]) -> None:
        try:
            await pending
        except BaseException as error:  # SystemExit too: it ends no loop
            if isinstance(error, CancelledError) and is_cancelling():
                raise
            self._report(error)

    def _on_task_done(self, pending: Awaitable[Any], task: Task[None]) -> None:
        RUNNING_TASKS.discard(task)
        self._task = None
        if task.cancelled():  # by the end of the loop, for one: stop the timer as well
            self.close()
        close_if_not_started(pending)

    def _report(self, error: BaseException) -> None:
        report_unhandled(repr(self), error)

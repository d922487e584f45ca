"""Signals of a worker: its own actions, and the application's hook for them.

The hook is called for signals to this process and for those to the parent, which passes them on.
"""

import asyncio
import contextlib
import os
import signal
import time
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final

from kore._maybe_async import start_maybe_async
from kore._process.log.handlers import NOTICE, log

# A terminal sends SIGINT to all processes of the group, and the parent passes its own on, too. Both
# within so many seconds count as one.
DUPLICATE_SECONDS: Final = 1.0
SIGHUP_HINT: Final = (
    "SIGHUP to a worker does nothing: send it to the parent, process %d, which loads the "
    "application anew"
)

Hook = Callable[[int], Any]
TaskStarter = Callable[[Coroutine[Any, Any, Any]], object]
ErrorReport = Callable[[str, BaseException], None]


class Signals:
    """The actions of a worker on signals, and the application's hook after them."""

    def __init__(self, hook: Hook | None, start_task: TaskStarter, report: ErrorReport) -> None:
        self.hook = hook
        self.start_task = start_task
        self.report = report
        # Hooks that are being awaited: a draining worker waits for them.
        self.running_hooks = 0
        # Signals that are handled already, or reserved.
        self.known: set[int] = {signal.SIGCHLD}
        # Python's handlers for the signals that the event loop handles.
        self._handlers: dict[int, Any] = {}
        # For each signal, whether the last one was the parent's, and when it came.
        self._last: dict[int, tuple[bool, float]] = {}

    def add_actions(
        self, loop: AbstractEventLoop, actions: dict[int, Callable[[], object]]
    ) -> None:
        """Have the event loop call *actions* for signals, and the hook after each."""
        self.known.update(actions)
        for number, action in actions.items():
            self._add(loop, number, action)
        if self.hook is not None:
            # For the hook only. uvloop reserves this signal and raises RuntimeError.
            with contextlib.suppress(RuntimeError):
                self._add(loop, signal.SIGCHLD, lambda: None)

    def _add(self, loop: AbstractEventLoop, number: int, action: Callable[[], object]) -> None:
        loop.add_signal_handler(number, self.on_signal, number, action)
        self._handlers[number] = signal.getsignal(number)

    def restore_defaults(self) -> None:
        """Restore the default actions, in a process forked from the worker.

        The loop's handlers write to a socket that both processes share: the worker would handle
        signals to its child. Handlers that the application has installed itself stay.
        """
        signal.set_wakeup_fd(-1)
        for number, handler in self._handlers.items():
            if signal.getsignal(number) is handler:
                default = number != signal.SIGINT
                signal.signal(number, signal.SIG_DFL if default else signal.default_int_handler)

    def trap(self, loop: AbstractEventLoop, number: int) -> None:
        """Have the event loop call the hook for one more signal."""
        if number not in self.known:
            self.add_actions(loop, {number: lambda: None})

    def on_signal(self, number: int, action: Callable[[], object]) -> None:
        """Handle a signal to this process."""
        action()
        self._call_hook(number, from_parent=False)

    def on_parent_signal(self, number: int) -> None:
        """Handle a signal to the parent."""
        self._call_hook(number, from_parent=True)

    def on_sighup(self) -> None:
        """Log a hint for SIGHUP, which is for the parent, unless the parent gets it, too."""
        if self.hook is None:
            asyncio.get_running_loop().call_later(DUPLICATE_SECONDS, self._log_sighup_hint)

    def _log_sighup_hint(self) -> None:
        from_parent, when = self._last.get(signal.SIGHUP, (False, 0.0))
        if not (from_parent and time.monotonic() - when < 2 * DUPLICATE_SECONDS):
            log.warning(SIGHUP_HINT, os.getppid(), extra={"priority": NOTICE})

    def _call_hook(self, number: int, *, from_parent: bool) -> None:
        now = time.monotonic()
        last, self._last[number] = self._last.get(number), (from_parent, now)
        if self.hook is None:
            return
        if last is not None and last[0] != from_parent and now - last[1] < DUPLICATE_SECONDS:
            # The same signal, received both ways.
            del self._last[number]
            return
        try:
            start_maybe_async(partial(self.hook, number), self._start_hook)
        except Exception as error:  # noqa: BLE001 - whatever an application raises
            self.report("the signal hook", error)

    def _start_hook(self, pending: Awaitable[Any]) -> None:
        self.running_hooks += 1
        self.start_task(self._await_hook(pending))

    async def _await_hook(self, pending: Awaitable[Any]) -> None:
        try:
            await pending
        finally:
            self.running_hooks -= 1

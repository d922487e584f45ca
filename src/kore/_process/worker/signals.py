"""The application's hook for signals: those of a worker's own, and those the parent tells it of."""

import asyncio
import contextlib
import os
import signal
import time
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from kore._maybe_async import is_awaitable
from kore._process.log.handlers import NOTICE, log

# A terminal sends ctrl-C to all processes at once, and the parent tells the workers of it, too.
ONCE_WITHIN: Final = 1.0
MISDIRECTED: Final = (
    "SIGHUP to a worker does nothing: send it to the parent, process %d, which loads the "
    "application anew"
)

Hook = Callable[[int], Any]
Spawn = Callable[[Coroutine[Any, Any, Any]], object]
Failed = Callable[[str, BaseException], None]


class Signals:
    """What a worker does on signals, and the application's hook after it."""

    def __init__(self, hook: Hook | None, spawn: Spawn, failed: Failed) -> None:
        self.hook = hook
        self.spawn = spawn
        self.failed = failed
        # Hooks that wait for something: a worker that drains waits for them.
        self.running = 0
        # What is caught already, or not ours to catch.
        self.known: set[int] = {signal.SIGCHLD}
        # What Python calls for those that were caught here.
        self._handlers: dict[int, Any] = {}
        # Of each signal: whether the parent told it, and when.
        self._heard: dict[int, tuple[bool, float]] = {}

    def catch(self, loop: AbstractEventLoop, actions: dict[int, Callable[[], object]]) -> None:
        """Have the event loop call *actions* for signals, and the hook."""
        self.known.update(actions)
        for number, action in actions.items():
            self._add(loop, number, action)
        if self.hook is not None:
            # For the hook only. uvloop keeps this one to itself.
            with contextlib.suppress(RuntimeError):
                self._add(loop, signal.SIGCHLD, lambda: None)

    def _add(self, loop: AbstractEventLoop, number: int, action: Callable[[], object]) -> None:
        loop.add_signal_handler(number, self.caught, number, action)
        self._handlers[number] = signal.getsignal(number)

    def abandon(self) -> None:
        """Give signals their default meaning back, in a process forked from the worker.

        The loop's handlers write to a socket that both share: the worker would take a signal to its
        child for its own. What the application has installed itself stays.
        """
        signal.set_wakeup_fd(-1)
        for number, handler in self._handlers.items():
            if signal.getsignal(number) is handler:
                default = number != signal.SIGINT
                signal.signal(number, signal.SIG_DFL if default else signal.default_int_handler)

    def trap(self, loop: AbstractEventLoop, number: int) -> None:
        """Have the event loop call the hook for one more signal."""
        if number not in self.known:
            self.catch(loop, {number: lambda: None})

    def caught(self, number: int, action: Callable[[], object]) -> None:
        """Take a signal to this process."""
        action()
        self._tell(number, told=False)

    def told(self, number: int) -> None:
        """Take a signal to the parent."""
        self._tell(number, told=True)

    def hang_up(self) -> None:
        """Take a SIGHUP, which is for the parent, and say so unless that has got it, too."""
        if self.hook is None:
            asyncio.get_running_loop().call_later(ONCE_WITHIN, self._say_misdirected)

    def _say_misdirected(self) -> None:
        told, when = self._heard.get(signal.SIGHUP, (False, 0.0))
        if not (told and time.monotonic() - when < 2 * ONCE_WITHIN):
            log.warning(MISDIRECTED, os.getppid(), extra={"priority": NOTICE})

    def _tell(self, number: int, *, told: bool) -> None:
        before, self._heard[number] = self._heard.get(number), (told, time.monotonic())
        if self.hook is None:
            return
        if before is not None and before[0] != told and time.monotonic() - before[1] < ONCE_WITHIN:
            # The same one, over the other way.
            del self._heard[number]
            return
        try:
            pending = self.hook(number)
        except Exception as error:  # noqa: BLE001 - whatever an application raises
            self.failed("the signal hook", error)
        else:
            if is_awaitable(pending):
                self.running += 1
                self.spawn(self._finish(pending))

    async def _finish(self, pending: Awaitable[Any]) -> None:
        """Await a hook."""
        try:
            await pending
        finally:
            self.running -= 1

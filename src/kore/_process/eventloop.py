"""Event loop of the parent and of the key process: descriptors, signals and deadlines.

Not asyncio: these processes stay small, and one that starts others must not have threads.
"""

import heapq
import itertools
import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, Final, Protocol

from kore._process.privsep import unblock_signals

Callback = Callable[[], object]
READ: Final = select.EPOLLIN
WRITE: Final = select.EPOLLOUT


class HasFileno(Protocol):
    """An object with a descriptor."""

    def fileno(self) -> int:
        """Return the descriptor."""


class CallbackLoop:
    """Runs callbacks: for descriptors first, then for signals, then for deadlines."""

    def __init__(self) -> None:
        # The selectors module takes longer than most callbacks.
        self._poll = select.epoll()
        # Events and callback by descriptor.
        self._watched: dict[int, tuple[int, Callback]] = {}
        self._deadlines: list[tuple[float, int, Callback]] = []
        # Makes entries of equal deadlines comparable.
        self._order = itertools.count()
        self._signals: deque[int] = deque()
        self._actions: Mapping[int, Callback] = {}
        self._wake = os.pipe()
        for end in self._wake:
            os.set_blocking(end, False)
        self._poll.register(self._wake[0], READ)
        self._watched[self._wake[0]] = READ, self._drain_wake_pipe

    def trap_signals(self, actions: Mapping[int, Callback]) -> None:
        """Run *actions* for signals. None is lost: each is queued when it arrives."""
        self._actions = actions
        # The pipe only wakes epoll_wait(); it does no harm if it is full.
        signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        for number in actions:
            signal.signal(number, self._queue_signal)
        # Only now: pending signals that an inherited mask has blocked find their handlers.
        unblock_signals()

    def watch(self, source: HasFileno, callback: Callback, *, write: bool = False) -> None:
        """Call back when *source* is readable, with *write* also when it is writable."""
        events = READ | WRITE if write else READ
        fd = source.fileno()
        known = self._watched.get(fd)
        if known is None:
            self._poll.register(fd, events)
        elif known[0] == events:
            return
        else:
            self._poll.modify(fd, events)
        self._watched[fd] = events, callback

    def forget(self, source: HasFileno) -> None:
        """Stop watching *source*; to be called before it is closed."""
        if self._watched.pop(source.fileno(), None) is not None:
            self._poll.unregister(source.fileno())

    def after(self, seconds: float, callback: Callback) -> None:
        """Call back once, in *seconds*."""
        due = time.monotonic() + seconds
        heapq.heappush(self._deadlines, (due, next(self._order), callback))

    def turn(self) -> None:
        """Wait for events, and run the callbacks of all that have occurred."""
        ready = [(fd, self._watched[fd]) for fd, _ in self._poll.poll(self._get_timeout())]
        for fd, watched in ready:
            # An earlier callback may have closed it, and the number been reused.
            if self._watched.get(fd) is watched:
                watched[1]()
        if self._signals:
            self._run_signal_actions()
        while self._deadlines and self._deadlines[0][0] <= time.monotonic():
            heapq.heappop(self._deadlines)[2]()

    def close(self) -> None:
        """Close all descriptors; signals are ignored from here on."""
        signal.set_wakeup_fd(-1)
        for number in self._actions:
            signal.signal(number, signal.SIG_IGN)
        self._poll.close()
        for end in self._wake:
            os.close(end)

    def _get_timeout(self) -> float | None:
        if self._signals:
            return 0
        if not self._deadlines:
            return None
        return max(0.0, self._deadlines[0][0] - time.monotonic())

    def _queue_signal(self, number: int, _: FrameType | None) -> None:
        self._signals.append(number)

    def _drain_wake_pipe(self) -> None:
        os.read(self._wake[0], 65536)

    def _run_signal_actions(self) -> None:
        pending = [self._signals.popleft() for _ in range(len(self._signals))]
        # SIGCHLD last: a signal to the whole process group ends children as well, and the parent
        # knows then why they have exited.
        for number in sorted(pending, key=lambda number: number == signal.SIGCHLD):
            action: Any = self._actions[number]
            action()

"""What the parent waits on: descriptors, signals, deadlines. An epoll, nothing more.

No asyncio: a process that forks for a living must not own an event loop or a thread.
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
    """Anything with a descriptor."""

    def fileno(self) -> int:
        """Return it."""


class ParentLoop:
    """Calls back for what happened: descriptors first, then signals, then deadlines."""

    def __init__(self) -> None:
        # Not the selectors of the standard library: they take longer than what is called back.
        self._poll = select.epoll()
        # By descriptor, for what it is watched and who is called back.
        self._watched: dict[int, tuple[int, Callback]] = {}
        self._deadlines: list[tuple[float, int, Callback]] = []
        # Two deadlines of one moment are not compared by their callbacks.
        self._order = itertools.count()
        self._signals: deque[int] = deque()
        self._actions: Mapping[int, Callback] = {}
        self._wake = os.pipe()
        for end in self._wake:
            os.set_blocking(end, False)
        self._poll.register(self._wake[0], READ)
        self._watched[self._wake[0]] = READ, self._woken

    def trap(self, actions: Mapping[int, Callback]) -> None:
        """Call these for signals. None is lost: each is noted when it arrives."""
        self._actions = actions
        # The pipe only wakes select() up; that it may be full is therefore no loss.
        signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        for number in actions:
            signal.signal(number, self._note)
        # Only now: what waits behind a mask that was inherited finds its handler.
        unblock_signals()

    def watch(self, source: HasFileno, callback: Callback, *, write: bool = False) -> None:
        """Call back when *source* is readable, or writable as well."""
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
        """Stop watching; to be called before it is closed."""
        if self._watched.pop(source.fileno(), None) is not None:
            self._poll.unregister(source.fileno())

    def after(self, seconds: float, callback: Callback) -> None:
        """Call back once, in so many seconds."""
        due = time.monotonic() + seconds
        heapq.heappush(self._deadlines, (due, next(self._order), callback))

    def turn(self) -> None:
        """Wait for something, and handle all of it."""
        ready = [(fd, self._watched[fd]) for fd, _ in self._poll.poll(self._patience())]
        for fd, watched in ready:
            # A callback before this one may have ended it, and the number be another's.
            if self._watched.get(fd) is watched:
                watched[1]()
        if self._signals:
            self._act()
        while self._deadlines and self._deadlines[0][0] <= time.monotonic():
            heapq.heappop(self._deadlines)[2]()

    def close(self) -> None:
        """Give everything back; signals go to nobody from here on."""
        signal.set_wakeup_fd(-1)
        for number in self._actions:
            signal.signal(number, signal.SIG_IGN)
        self._poll.close()
        for end in self._wake:
            os.close(end)

    def _patience(self) -> float | None:
        if self._signals:
            return 0
        if not self._deadlines:
            return None
        return max(0.0, self._deadlines[0][0] - time.monotonic())

    def _note(self, number: int, _: FrameType | None) -> None:
        self._signals.append(number)

    def _woken(self) -> None:
        os.read(self._wake[0], 65536)

    def _act(self) -> None:
        pending = [self._signals.popleft() for _ in range(len(self._signals))]
        # The end of a child last: a signal to the whole group ends children, too, and is then
        # known to be the reason.
        for number in sorted(pending, key=lambda number: number == signal.SIGCHLD):
            action: Any = self._actions[number]
            action()

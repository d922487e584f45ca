"""One epoll instance for all connections to a database, watched by the event loop.

The connections are not registered with the loop itself: libuv stops watching a descriptor after
an error, but the server's last message is still to be read then.
"""

import contextlib
import select
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Final

EVENTS_MAX: Final = 64

EventCallback = Callable[[int], object]


class LoopEpoll:
    """An epoll instance with a callback for each descriptor, which is called with its events."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop
        self.epoll = select.epoll()
        self.callbacks: dict[int, EventCallback] = {}
        loop.add_reader(self.epoll.fileno(), self.dispatch)

    def watch(self, fd: int, callback: EventCallback) -> None:
        """Call *callback* when *fd* is readable."""
        self.callbacks[fd] = callback
        self.epoll.register(fd, select.EPOLLIN)

    def watch_writable(self, fd: int, *, wanted: bool) -> None:
        """Call back when *fd* is writable, too; or, if not *wanted*, only when it is readable."""
        self.epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if wanted else 0))

    def unwatch(self, fd: int) -> None:
        """Stop watching *fd*, which may be closed already."""
        if self.callbacks.pop(fd, None) is not None:
            # The kernel removes a closed descriptor by itself.
            with contextlib.suppress(OSError):
                self.epoll.unregister(fd)

    def dispatch(self) -> None:
        """Call back for the descriptors that are ready."""
        for fd, events in self.epoll.poll(0, EVENTS_MAX):
            if (callback := self.callbacks.get(fd)) is not None:
                callback(events)

    def close(self) -> None:
        """Stop watching all descriptors."""
        if not self.epoll.closed:
            self.loop.remove_reader(self.epoll.fileno())
            self.epoll.close()

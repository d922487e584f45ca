"""The descriptors of all connections to one database, behind one of the event loop's.

Not the loop's own watchers: after an error libuv stops one for good, and what the server said
before it hung up is still to be read then.
"""

import contextlib
import select
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Final

BATCH: Final = 64

Ready = Callable[[int], object]


class LoopEpoll:
    """An epoll instance; each descriptor has a callable that is told which events there are."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop
        self.epoll = select.epoll()
        self.calls: dict[int, Ready] = {}
        loop.add_reader(self.epoll.fileno(), self.dispatch)

    def watch(self, fd: int, ready: Ready) -> None:
        """Call *ready* when *fd* can be read."""
        self.calls[fd] = ready
        self.epoll.register(fd, select.EPOLLIN)

    def want(self, fd: int, *, writing: bool) -> None:
        """Say whether to call when *fd* can be written, too."""
        self.epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if writing else 0))

    def forget(self, fd: int) -> None:
        """Call no more for *fd*, which may be closed already."""
        if self.calls.pop(fd, None) is not None:
            # Closed ones the kernel has forgotten by itself.
            with contextlib.suppress(OSError):
                self.epoll.unregister(fd)

    def dispatch(self) -> None:
        """Call for all that are ready."""
        for fd, events in self.epoll.poll(0, BATCH):
            if (ready := self.calls.get(fd)) is not None:
                ready(events)

    def close(self) -> None:
        """Watch nothing any more."""
        if not self.epoll.closed:
            self.loop.remove_reader(self.epoll.fileno())
            self.epoll.close()

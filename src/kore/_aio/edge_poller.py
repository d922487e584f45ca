"""Descriptors whose event loop may have given up on them: an epoll of our own, edge-triggered.

After an error libuv watches a descriptor no more and tells nobody, though more may follow: what
came before a reset, the next datagram after one that was refused. asyncio's loop goes round and
round for as long as there is an error that no read takes away. Here both are one event.
"""

import contextlib
import select
from asyncio import AbstractEventLoop
from typing import Final, Protocol
from weakref import WeakKeyDictionary, WeakValueDictionary

BATCH: Final = 64


class WatchedFd(Protocol):
    """Who is told."""

    def on_edge(self) -> None:
        """Look what there is."""


class EdgePoller:
    """One for each event loop, which watches it."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.epoll = select.epoll()
        # Weak, as is the table of these: nobody here may keep a loop that is forgotten.
        self.watched: WeakValueDictionary[int, WatchedFd] = WeakValueDictionary()
        loop.add_reader(self.epoll.fileno(), self.dispatch)

    def watch(self, fd: int, watched: WatchedFd) -> None:
        """Tell *watched* of errors; data are still the loop's subject."""
        self.watched[fd] = watched
        self.epoll.register(fd, select.EPOLLET)

    def take_over(self, fd: int) -> None:
        """Tell of data, too, and begin with those that are there."""
        self.epoll.modify(fd, select.EPOLLIN | select.EPOLLET)

    def forget(self, fd: int) -> None:
        """Tell nothing more."""
        self.watched.pop(fd, None)
        with contextlib.suppress(OSError, ValueError):  # closed: the descriptor, or the epoll
            self.epoll.unregister(fd)

    def dispatch(self) -> None:
        """Tell who has something to look at."""
        for fd, _ in self.epoll.poll(0, BATCH):
            if (watched := self.watched.get(fd)) is not None:
                watched.on_edge()


EDGES: Final[WeakKeyDictionary[AbstractEventLoop, EdgePoller]] = WeakKeyDictionary()


def edges_of(loop: AbstractEventLoop) -> EdgePoller:
    """Return the one of this loop."""
    found = EDGES.get(loop)
    if found is None:
        found = EDGES[loop] = EdgePoller(loop)
    return found

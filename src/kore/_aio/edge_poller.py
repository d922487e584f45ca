"""An edge-triggered epoll beside the event loop, for errors on descriptors.

After an error on a descriptor, libuv stops watching it without a notice, though more may arrive:
data from before a reset, or the next datagram after one that was refused. asyncio's loop, on the
other hand, spins as long as there is an error that no read clears. With EPOLLET either is a single
event.
"""

import contextlib
import select
from asyncio import AbstractEventLoop
from typing import Final, Protocol
from weakref import WeakKeyDictionary, WeakValueDictionary

EVENTS_MAX: Final = 64


class WatchedFd(Protocol):
    """What is called for events of a descriptor."""

    def on_edge(self) -> None:
        """Try the operation that waits on the descriptor."""


class EdgePoller:
    """One epoll instance for each event loop, which watches it."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.epoll = select.epoll()
        # Weak, as is the table of pollers: it must not keep a loop that is not used any more.
        self.watched: WeakValueDictionary[int, WatchedFd] = WeakValueDictionary()
        loop.add_reader(self.epoll.fileno(), self.dispatch)

    def watch(self, fd: int, watched: WatchedFd) -> None:
        """Call *watched* on errors; the event loop still watches for data."""
        self.watched[fd] = watched
        self.epoll.register(fd, select.EPOLLET)

    def watch_input(self, fd: int) -> None:
        """Watch for data as well, in place of the event loop; data that are there count."""
        self.epoll.modify(fd, select.EPOLLIN | select.EPOLLET)

    def unwatch(self, fd: int) -> None:
        """Stop watching a descriptor."""
        self.watched.pop(fd, None)
        with contextlib.suppress(OSError, ValueError):  # closed: the descriptor, or the epoll
            self.epoll.unregister(fd)

    def dispatch(self) -> None:
        """Call the owners of descriptors that have events."""
        for fd, _ in self.epoll.poll(0, EVENTS_MAX):
            if (watched := self.watched.get(fd)) is not None:
                watched.on_edge()


POLLERS: Final[WeakKeyDictionary[AbstractEventLoop, EdgePoller]] = WeakKeyDictionary()


def get_edge_poller(loop: AbstractEventLoop) -> EdgePoller:
    """Return the poller of *loop*, a new one on first use."""
    found = POLLERS.get(loop)
    if found is None:
        found = POLLERS[loop] = EdgePoller(loop)
    return found

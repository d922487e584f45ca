"""Processes end with the server, however that ends: the kernel sees to it.

The parent of the workers holds a pipe, and never writes to it. A worker opens its other end anew
for each process it starts, and asks the kernel for a signal to that process's group, SIGKILL, when
something happens there. All that can happen is the parent's end. It comes before that of workers,
which the kernel ends behind their parent, and whatever they are doing.
"""

import contextlib
import fcntl
import os
import select
import signal
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

OPEN: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


class ParentDeathPipe:
    """Both ends of the pipe, in the parent: with one reader at least it has no other events."""

    def __init__(self) -> None:
        self.fd, self._end = os.pipe()
        # Workers of another user open it, too; who has not been given it cannot.
        os.fchmod(self.fd, 0o444)

    def close(self) -> None:
        """Let go: everybody on it has ended."""
        os.close(self._end)
        os.close(self.fd)


LEASHES: Final[WeakKeyDictionary["AbstractEventLoop", int]] = WeakKeyDictionary()


def hold(loop: "AbstractEventLoop", fd: int) -> None:
    """Have processes that are started in this loop end with whoever has the other end of *fd*."""
    LEASHES[loop] = fd


def tie(loop: "AbstractEventLoop", group: int) -> int:
    """Have a group of processes end so. Return what to close when it is let go, or -1.

    The kernel keeps the group, not its number, so nobody else is ever meant.
    """
    fd = LEASHES.get(loop, -1)
    own = -1
    if fd >= 0:
        with contextlib.suppress(OSError):  # no /proc here, or no descriptor is left
            own = os.open(f"/proc/self/fd/{fd}", OPEN)
            fcntl.fcntl(own, fcntl.F_SETOWN, -group)
            fcntl.fcntl(own, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(own, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
    return own


def await_end(loop: "AbstractEventLoop", seconds: float) -> None:
    """Wait until the kernel has done this, at most so long; for who ends before it is ended.

    What is tied is let go with this process, and it may be faster than the end of the other one.
    """
    fd = LEASHES.get(loop, -1)
    waiter = select.poll()
    waiter.register(fd, 0)
    if waiter.poll(seconds * 1000):
        # The end is seen a moment before the signals are sent. This waits for them.
        os.read(fd, 1)

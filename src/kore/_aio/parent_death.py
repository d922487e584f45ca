"""Kill child processes when the server's parent process dies, by the kernel.

The parent of the workers holds a pipe and never writes to it. For each process that it starts, a
worker reopens the read end and asks the kernel, with O_ASYNC and F_SETSIG, to send SIGKILL to that
process's group when the pipe has an event (fcntl(2)). The only event it can have is the parent's
end. The signals are sent before the workers end, which the kernel kills after their parent, and
whatever the workers are doing.
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

OPEN_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC

# The read end of the parent's pipe, by the event loop of the worker that has it.
PIPE_FDS: Final[WeakKeyDictionary["AbstractEventLoop", int]] = WeakKeyDictionary()


def set_parent_death_fd(loop: "AbstractEventLoop", fd: int) -> None:
    """Set the pipe whose end kills the processes that are started in *loop*."""
    PIPE_FDS[loop] = fd


def kill_with_parent(loop: "AbstractEventLoop", group: int) -> int:
    """Have the kernel kill the process group *group* when the parent ends.

    Returns a descriptor whose closing cancels that, or -1 if it is not possible here. The kernel
    keeps the group itself, not its number, which therefore may be used again.
    """
    pipe_fd = PIPE_FDS.get(loop, -1)
    fd = -1
    if pipe_fd >= 0:
        with contextlib.suppress(OSError):  # no /proc here, or no descriptor is left
            fd = os.open(f"/proc/self/fd/{pipe_fd}", OPEN_FLAGS)
            fcntl.fcntl(fd, fcntl.F_SETOWN, -group)
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
    return fd


def wait_for_parent_death(loop: "AbstractEventLoop", timeout: float) -> None:
    """Wait, at most *timeout* seconds, until the kernel has sent the signals.

    For a worker that ends because its parent has: the end of this process closes its descriptors,
    which would cancel the signals if it came before the parent's end is complete.
    """
    fd = PIPE_FDS.get(loop, -1)
    poll = select.poll()
    poll.register(fd, 0)
    if poll.poll(timeout * 1000):
        # The hang-up is visible a moment before the signals are sent. This read waits for them.
        os.read(fd, 1)

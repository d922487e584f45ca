"""A child process as the event loop sees it: its end is noticed, it is reaped, it can be killed."""

import asyncio
import contextlib
import math
import os
import signal
import subprocess
import threading
import weakref
from asyncio import AbstractEventLoop, Future, Task
from typing import Any, Protocol

from kore._aio.parent_death import kill_with_parent


class Interruptible(Protocol):
    """An operation that a task may wait for, such as reading from a pipe."""

    @property
    def is_waiting(self) -> bool:
        """Whether a task waits for it."""

    def interrupt(self, error: BaseException) -> None:
        """Raise *error* in the task that waits."""

    def close(self) -> None:
        """Close it for good."""


class ChildWatcher:
    """A child process and its group. The event loop keeps this object until it is reaped."""

    def __init__(
        self, popen: "subprocess.Popen[bytes]", owner: Task[Any], pipes: "list[Interruptible]"
    ) -> None:
        self.popen = popen
        self.pipes = pipes
        self.loop: AbstractEventLoop = asyncio.get_running_loop()
        self.timer: asyncio.TimerHandle | None = None
        # The timeout passed while no task waited: the next one that does gets the error.
        self.is_timeout_due = False
        self.waiters: set[Future[None]] = set()
        self.owner = weakref.ref(owner)
        owner.add_done_callback(self.abandon)
        self.death_fd = kill_with_parent(self.loop, popen.pid)
        self.pidfd = self.watch()

    @property
    def status(self) -> int | None:
        """The exit status, the number of the signal that ended it, or None while it runs."""
        self.reap()
        return None if self.popen.returncode is None else abs(self.popen.returncode)

    def watch(self) -> int:
        """Call `reap()` when the process ends. Return the pidfd used for that, or -1."""
        try:
            pidfd = os.pidfd_open(self.popen.pid)
        except (OSError, AttributeError):  # an old kernel, or no descriptor is left
            threading.Thread(target=self.wait_in_thread, daemon=True).start()
            return -1
        self.loop.add_reader(pidfd, self.reap)
        return pidfd

    def wait_in_thread(self) -> None:
        """Wait for the end without reaping, so that no other process gets the pid meanwhile."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.popen.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self.reap)

    def reap(self) -> None:
        """Reap the process if it has ended, and wake the tasks that wait for that."""
        if self.popen.returncode is None and self.popen.poll() is not None:
            self.release()
            for waiter in self.waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def release(self) -> None:
        """Release the descriptors, the timer and the callback that a running process needs."""
        if self.pidfd >= 0:
            if not self.loop.is_closed():
                self.loop.remove_reader(self.pidfd)
            os.close(self.pidfd)
            self.pidfd = -1
        if self.death_fd >= 0:
            os.close(self.death_fd)
            self.death_fd = -1
        self.cancel_timeout()
        owner = self.owner()
        if owner is not None:
            owner.remove_done_callback(self.abandon)

    def set_timeout(self, seconds: float) -> None:
        """Raise TimeoutError in the task that waits, if the process still runs in *seconds*."""
        self.timer = self.loop.call_later(seconds, self.expire)

    def get_time_left(self) -> float:
        """Return the seconds until the timeout; infinity without one."""
        if self.timer is None or self.timer.cancelled():
            return math.inf
        return self.timer.when() - self.loop.time()

    def cancel_timeout(self) -> None:
        """Cancel the timeout."""
        if self.timer is not None:
            self.timer.cancel()

    def expire(self) -> None:
        """Raise TimeoutError in the tasks that wait, or else in the next one that does."""
        waiting = [pipe for pipe in self.pipes if pipe.is_waiting]
        sleeping = [waiter for waiter in self.waiters if not waiter.done()]
        self.is_timeout_due = not (waiting or sleeping)
        for pipe in waiting:
            pipe.interrupt(create_timeout_error())
        for waiter in sleeping:
            waiter.set_exception(create_timeout_error())

    def raise_if_timed_out(self) -> None:
        """Raise the TimeoutError that was due while no task waited, once."""
        if self.is_timeout_due:
            self.is_timeout_due = False
            raise create_timeout_error()

    async def wait(self) -> int:
        """Wait for the end and return the status. Raises TimeoutError if the timeout passes."""
        self.raise_if_timed_out()
        while (status := self.status) is None:
            waiter = asyncio.get_running_loop().create_future()
            self.waiters.add(waiter)
            try:
                await waiter
            finally:  # no reference cycle: an error in it has a traceback with this frame
                self.waiters.discard(waiter)
                del waiter
        return status

    def kill(self) -> None:
        """Kill the process and its group with SIGKILL. Until it is reaped, its pid is its own."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.popen.pid, signal.SIGKILL)

    def abandon(self, _: object = None) -> None:
        """Kill the process and close its pipes: its owner has ended or forgotten it."""
        self.kill()
        for pipe in self.pipes:
            pipe.close()

    def __del__(self) -> None:
        # The loop that kept it has been closed.
        if self.popen.returncode is None:
            self.abandon()
            self.popen.wait()
            self.release()


def create_timeout_error() -> TimeoutError:
    """Return the error for a process that runs longer than its timeout."""
    return TimeoutError("timeout before process exited")

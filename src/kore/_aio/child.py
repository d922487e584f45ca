"""A process that runs, as the event loop knows it: noticed when it ends, reaped, killed."""

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
    """Something that a task may wait for."""

    @property
    def waits(self) -> bool:
        """Whether one does."""

    def interrupt(self, error: BaseException) -> None:
        """End its wait."""

    def close(self) -> None:
        """Give it up."""


class ChildWatcher:
    """A process and all of its group. The loop keeps this object until the process is reaped."""

    def __init__(
        self, popen: "subprocess.Popen[bytes]", owner: Task[Any], pipes: "list[Interruptible]"
    ) -> None:
        self.popen = popen
        self.pipes = pipes
        self.loop: AbstractEventLoop = asyncio.get_running_loop()
        self.alarm: asyncio.TimerHandle | None = None
        # Its time was up while no task waited: the next one that does gets the error.
        self.late = False
        self.waiters: set[Future[None]] = set()
        self.owner = weakref.ref(owner)
        owner.add_done_callback(self.abandon)
        self.leash = kill_with_parent(self.loop, popen.pid)
        self.pidfd = self.watch()

    @property
    def status(self) -> int | None:
        """The exit status, the number of a signal, or None."""
        self.look()
        return None if self.popen.returncode is None else abs(self.popen.returncode)

    def watch(self) -> int:
        """Have the loop look when it has ended. Return the descriptor that says so, or -1."""
        try:
            pidfd = os.pidfd_open(self.popen.pid)
        except (OSError, AttributeError):  # an old kernel, or no descriptor is left
            threading.Thread(target=self.wait_aside, daemon=True).start()
            return -1
        self.loop.add_reader(pidfd, self.look)
        return pidfd

    def wait_aside(self) -> None:
        """Wait in a thread, without reaping: until then no other process gets its pid."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.popen.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self.look)

    def look(self) -> None:
        """Reap it if it has ended."""
        if self.popen.returncode is None and self.popen.poll() is not None:
            self.let_go()
            for waiter in self.waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def let_go(self) -> None:
        """Give back what was there for the sake of a running process."""
        if self.pidfd >= 0:
            if not self.loop.is_closed():
                self.loop.remove_reader(self.pidfd)
            os.close(self.pidfd)
            self.pidfd = -1
        if self.leash >= 0:
            os.close(self.leash)
            self.leash = -1
        self.cancel_timeout()
        owner = self.owner()
        if owner is not None:
            owner.remove_done_callback(self.abandon)

    def expire_in(self, seconds: float) -> None:
        """Raise TimeoutError in the task that waits, if the process still runs then."""
        self.alarm = self.loop.call_later(seconds, self.expire)

    def time_left(self) -> float:
        """Return the seconds until its time is up; infinity: it has no limit."""
        if self.alarm is None or self.alarm.cancelled():
            return math.inf
        return self.alarm.when() - self.loop.time()

    def cancel_timeout(self) -> None:
        """Have its time limit no more: TimeoutError has been raised."""
        if self.alarm is not None:
            self.alarm.cancel()

    def expire(self) -> None:
        """Raise TimeoutError in the tasks that wait, or else in the next one that does."""
        waiting = [pipe for pipe in self.pipes if pipe.waits]
        sleeping = [waiter for waiter in self.waiters if not waiter.done()]
        self.late = not (waiting or sleeping)
        for pipe in waiting:
            pipe.interrupt(late())
        for waiter in sleeping:
            waiter.set_exception(late())

    def punctual(self) -> None:
        """Raise the TimeoutError that was due while no task waited."""
        if self.late:
            self.late = False
            raise late()

    async def wait(self) -> int:
        """Wait for its end and return the status."""
        self.punctual()
        while (status := self.status) is None:
            waiter = asyncio.get_running_loop().create_future()
            self.waiters.add(waiter)
            try:
                await waiter
            finally:  # an error in it has a traceback, which leads to here
                self.waiters.discard(waiter)
                del waiter
        return status

    def kill(self) -> None:
        """Kill it and its group. Not reaped yet, its number is nobody else's."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.popen.pid, signal.SIGKILL)

    def abandon(self, _: object = None) -> None:
        """Kill it: nobody wants it any more."""
        self.kill()
        for pipe in self.pipes:
            pipe.close()

    def __del__(self) -> None:
        # The loop that kept it has been closed.
        if self.popen.returncode is None:
            self.abandon()
            self.popen.wait()
            self.let_go()


def late() -> TimeoutError:
    """Return what says that a process ran for too long."""
    return TimeoutError("timeout before process exited")

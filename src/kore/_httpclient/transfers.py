"""The running transfers of an event loop: a multi handle of libcurl, its sockets and timer."""

import math
import os
from asyncio import AbstractEventLoop, Future, Handle
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, epoll
from threading import Thread
from typing import Any, Final, NamedTuple, TypeAlias

import pycurl

# An easy handle. pycurl ships no types.
Curl: TypeAlias = Any
# libcurl's code for the end of a transfer, 0 for success, and its message.
Outcome: TypeAlias = tuple[int, str]

# The events that libcurl wants of a socket, as epoll's.
EPOLL_EVENTS: Final = {
    pycurl.POLL_IN: EPOLLIN,
    pycurl.POLL_OUT: EPOLLOUT,
    pycurl.POLL_INOUT: EPOLLIN | EPOLLOUT,
}
# And back: libcurl's for each set of epoll's.
CURL_EVENTS: Final = tuple(
    (pycurl.CSELECT_IN if events & (EPOLLIN | EPOLLHUP) else 0)
    | (pycurl.CSELECT_OUT if events & EPOLLOUT else 0)
    | (pycurl.CSELECT_ERR if events & EPOLLERR else 0)
    for events in range(32)
)
# Seconds. libcurl waits for a running lookup, which cannot be interrupted.
CLOSE_TIMEOUT: Final = 1.0


class TransferLimits(NamedTuple):
    """Limits of all transfers: `curl_timeout` in seconds, `curl_recv_max` in bytes.

    At most *connections* are open, idle ones among them.
    """

    timeout: int
    recv_max: int
    connections: int


class Transfers:
    """The running transfers of one event loop; they share its connections.

    The sockets are registered with an epoll instance, which the loop watches. That takes two
    system calls for a request, and none of the loop's bookkeeping.
    """

    def __init__(self, loop: AbstractEventLoop, limits: TransferLimits) -> None:
        self.loop = loop
        self.limits = limits
        self.is_closed = False
        self._multi = multi = pycurl.CurlMulti()
        self._sockets = epoll()
        self._watched: set[int] = set()
        self._running: dict[Curl, Future[Outcome]] = {}
        # Called once when a transfer has ended: whether to run it again.
        self._retries: dict[Curl, Callable[[], bool]] = {}
        self._timer: Handle | None = None
        # The time of the timer, which a handle of uvloop does not know if it is due at once; and
        # the time that libcurl wants.
        self._timer_time = math.inf
        self._due_time = math.inf
        self._run_handle: Handle | None = None
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        # Idle connections are kept. If all are in use, requests wait.
        multi.setopt(pycurl.M_MAXCONNECTS, limits.connections)
        multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, limits.connections)
        loop.add_reader(self._sockets.fileno(), self._on_events)
        # The loop closes this generator at its end, which it does not announce otherwise.
        self._lifetime = self._close_with_loop()
        with suppress(StopIteration):
            self._lifetime.__anext__().send(None)

    def __len__(self) -> int:
        """Return how many transfers run."""
        return len(self._running)

    def start(self, curl: Curl, retry: Callable[[], bool] | None = None) -> "Future[Outcome]":
        """Start a transfer; return the future of its outcome.

        *retry* is called once when it has ended; if it returns True, the transfer runs again.
        """
        future: Future[Outcome] = self.loop.create_future()
        if retry is not None:
            self._retries[curl] = retry
        self._multi.add_handle(curl)
        self._running[curl] = future
        return future

    def abort(self, curl: Curl) -> None:
        """End a transfer if it runs."""
        self._retries.pop(curl, None)
        if self._running.pop(curl, None) is not None:
            self._multi.remove_handle(curl)

    def resume(self, curl: Curl, directions: int) -> None:
        """Resume a transfer that a callback has paused."""
        if curl in self._running:
            try:
                curl.pause(directions)
            except pycurl.error as error:
                code = error.args[0]
                # Between two connections nothing is paused. Any other error loses data.
                if code != pycurl.E_BAD_FUNCTION_ARGUMENT:
                    self._complete(curl, (code, pycurl.easy_strerror(code)))

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call *callback* from the event loop; for finalizers, which run in any thread."""
        with suppress(RuntimeError):  # the loop is closed, and all transfers with it
            self.loop.call_soon_threadsafe(callback)

    def close(self) -> None:
        """End all transfers and close all connections."""
        if self.is_closed:
            return
        for curl in list(self._running):
            self._running[curl].cancel()
            self.abort(curl)
        self.is_closed = True
        for handle in (self._timer, self._run_handle):
            if handle is not None:
                handle.cancel()
        if not self.loop.is_closed():
            self.loop.remove_reader(self._sockets.fileno())
        self._sockets.close()
        closing = Thread(target=self._multi.close, daemon=True)
        closing.start()
        closing.join(CLOSE_TIMEOUT)

    def disown_after_fork(self) -> None:
        """Disable this object in a child process; the connections belong to its parent.

        Closing them would send close-notify messages on them, so the object is never freed, not
        even at the interpreter's end.
        """
        import ctypes  # rarely needed

        self.is_closed = True
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))

    async def _close_with_loop(self) -> AsyncGenerator[None, None]:
        """Close all when the loop shuts down its asynchronous generators."""
        try:
            yield
        finally:
            self.close()

    # ---- callbacks of libcurl

    def _on_socket(self, what: int, fd: int, *_: object) -> None:
        if self.is_closed:
            return
        wanted = EPOLL_EVENTS.get(what)
        if wanted is None:
            if fd in self._watched:
                self._watched.discard(fd)
                self._sockets.unregister(fd)
        elif fd in self._watched:
            self._sockets.modify(fd, wanted)
        else:
            self._sockets.register(fd, wanted)
            self._watched.add(fd)

    def _on_timer(self, milliseconds: int) -> None:
        if self.is_closed:
            return
        if milliseconds == 0:
            # Later, so that all transfers started in this iteration of the loop run together.
            if self._run_handle is None:
                self._run_handle = self.loop.call_soon(self._run_timeouts)
        elif milliseconds < 0:
            self._due_time = math.inf
        else:
            self._due_time = self.loop.time() + milliseconds / 1000
            # A timer that fires too early is set again then: rarer than libcurl's changes.
            if self._timer is None or self._due_time < self._timer_time:
                self._set_timer()

    # ---- callbacks of the loop

    def _on_events(self) -> None:
        if self.is_closed:
            return
        action = self._multi.socket_action
        running = 0
        for fd, events in self._sockets.poll(0):
            _, running = action(fd, CURL_EVENTS[events & 31])
        self._complete_ended(running)

    def _run_timeouts(self) -> None:
        self._run_handle = None
        if self.is_closed:
            return
        _, running = self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._complete_ended(running)

    def _on_timer_due(self) -> None:
        self._timer = None
        if self._due_time > self.loop.time():
            self._set_timer()
            return
        self._due_time = math.inf
        self._run_timeouts()
        # libcurl reports only changes, and there is none if the timer was a moment early.
        left = self._multi.timeout()
        if left >= 0:
            self._on_timer(left)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._due_time < math.inf:
            self._timer = self.loop.call_at(self._due_time, self._on_timer_due)
            self._timer_time = self._due_time

    def _complete_ended(self, running: int) -> None:
        """Complete the transfers that have ended; libcurl says that *running* still run."""
        while running < len(self._running):
            has_more, succeeded, failed = self._multi.info_read()
            for curl in succeeded:
                self._complete(curl, (0, ""))
            for curl, code, text in failed:
                self._complete(curl, (code, text))
            if not has_more:
                return

    def _complete(self, curl: Curl, outcome: Outcome) -> None:
        future = self._running.pop(curl, None)
        retry = self._retries.pop(curl, None)
        if future is None:
            return
        self._multi.remove_handle(curl)
        if not future.done():
            if retry is not None and retry():
                self._running[curl] = future
                self._multi.add_handle(curl)
            else:
                future.set_result(outcome)


BY_LOOP: Final[dict[AbstractEventLoop, Transfers]] = {}


def get_transfers(loop: AbstractEventLoop, limits: Callable[[], TransferLimits]) -> Transfers:
    """Return the transfers of a loop, created with *limits* if there are none yet."""
    found = BY_LOOP.get(loop)
    if found is None or found.is_closed:
        for old in [each for each in BY_LOOP if each.is_closed()]:
            BY_LOOP.pop(old).close()
        found = BY_LOOP[loop] = Transfers(loop, limits())
    return found


def _disown_all() -> None:
    """Disable all transfers in a child process."""
    for transfers in BY_LOOP.values():
        transfers.disown_after_fork()
    BY_LOOP.clear()


os.register_at_fork(after_in_child=_disown_all)

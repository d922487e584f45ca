"""The transfers of an event loop: one multi handle of libcurl, its sockets, its timer."""

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
# libcurl's number of how a transfer ended, 0 for well, and its words for it.
Outcome: TypeAlias = tuple[int, str]

# What libcurl wants to know of a socket, as epoll has it: in, out, both.
WANTED: Final = {
    pycurl.POLL_IN: EPOLLIN,
    pycurl.POLL_OUT: EPOLLOUT,
    pycurl.POLL_INOUT: EPOLLIN | EPOLLOUT,
}
# And back, for all that epoll may say.
HAPPENED: Final = tuple(
    (pycurl.CSELECT_IN if events & (EPOLLIN | EPOLLHUP) else 0)
    | (pycurl.CSELECT_OUT if events & EPOLLOUT else 0)
    | (pycurl.CSELECT_ERR if events & EPOLLERR else 0)
    for events in range(32)
)
# Seconds for closing. A lookup of a name cannot be interrupted, and libcurl waits for it.
CLOSING: Final = 1.0


class TransferLimits(NamedTuple):
    """What holds for all transfers: `curl_timeout` in seconds, `curl_recv_max` in bytes.

    *connections*: so many are open at a time, idle ones among them.
    """

    timeout: int
    recv_max: int
    connections: int


class Transfers:
    """What runs over libcurl on one event loop.

    The sockets are in an epoll of their own, which the loop watches: a request costs two system
    calls, and nothing of the loop's own bookkeeping for each of its turns.
    """

    def __init__(self, loop: AbstractEventLoop, limits: TransferLimits) -> None:
        self.loop = loop
        self.limits = limits
        self.closed = False
        self._multi = multi = pycurl.CurlMulti()
        self._sockets = epoll()
        self._watched: set[int] = set()
        self._running: dict[Curl, Future[Outcome]] = {}
        # Asked once when a transfer has ended, whether to run it again.
        self._retries: dict[Curl, Callable[[], bool]] = {}
        self._timer: Handle | None = None
        # When that comes. uvloop's handle of a timer that is due at once does not say.
        self._comes = math.inf
        self._due = math.inf
        self._kicked: Handle | None = None
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        # Idle ones are kept for the next request. When all are in use, requests wait.
        multi.setopt(pycurl.M_MAXCONNECTS, limits.connections)
        multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, limits.connections)
        loop.add_reader(self._sockets.fileno(), self._on_events)
        # When the loop says goodbye to generators: the only word of its end it has for anybody.
        self._life = self._live()
        with suppress(StopIteration):
            self._life.__anext__().send(None)

    def __len__(self) -> int:
        """Return how many run."""
        return len(self._running)

    def start(self, curl: Curl, retry: Callable[[], bool] | None = None) -> "Future[Outcome]":
        """Begin a transfer; the future has its outcome.

        *retry* is called when it has ended, before the outcome is set. Returning True runs the
        transfer once more.
        """
        future: Future[Outcome] = self.loop.create_future()
        if retry is not None:
            self._retries[curl] = retry
        self._multi.add_handle(curl)
        self._running[curl] = future
        return future

    def abort(self, curl: Curl) -> None:
        """End a transfer, if it still runs."""
        self._retries.pop(curl, None)
        if self._running.pop(curl, None) is not None:
            self._multi.remove_handle(curl)

    def go_on(self, curl: Curl, what: int) -> None:
        """Let a transfer go on that a callback has paused."""
        if curl in self._running:
            try:
                curl.pause(what)
            except pycurl.error as error:
                code = error.args[0]
                # Between two connections nothing is paused. Else what was kept back is lost.
                if code != pycurl.E_BAD_FUNCTION_ARGUMENT:
                    self._end(curl, (code, pycurl.easy_strerror(code)))

    def drop(self, end: Callable[[], None]) -> None:
        """Call *end* soon, from a finalizer: it may run in any thread, and within a callback."""
        with suppress(RuntimeError):  # the loop is closed, and with it everything
            self.loop.call_soon_threadsafe(end)

    def close(self) -> None:
        """End all transfers and close all connections."""
        if self.closed:
            return
        for curl in list(self._running):
            self._running[curl].cancel()
            self.abort(curl)
        self.closed = True
        for handle in (self._timer, self._kicked):
            if handle is not None:
                handle.cancel()
        if not self.loop.is_closed():
            self.loop.remove_reader(self._sockets.fileno())
        self._sockets.close()
        closing = Thread(target=self._multi.close, daemon=True)
        closing.start()
        closing.join(CLOSING)

    def forsake(self) -> None:
        """Never touch anything again, in a process that was forked from this one.

        The connections are the other process's. To close them here would say goodbye on them, so
        what holds them must outlive even the interpreter's end.
        """
        import ctypes  # nobody else needs it

        self.closed = True
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))

    async def _live(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self.close()

    # ---- what libcurl says

    def _on_socket(self, what: int, fd: int, *_: object) -> None:
        if self.closed:
            return
        wanted = WANTED.get(what)
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
        if self.closed:
            return
        if milliseconds == 0:
            # Not at once: whoever else begins a transfer in this turn of the loop joins in.
            if self._kicked is None:
                self._kicked = self.loop.call_soon(self._kick)
        elif milliseconds < 0:
            self._due = math.inf
        else:
            self._due = self.loop.time() + milliseconds / 1000
            # One that comes too early is set anew then, which happens less often than changes.
            if self._timer is None or self._due < self._comes:
                self._set()

    # ---- what the loop says

    def _on_events(self) -> None:
        if self.closed:
            return
        action = self._multi.socket_action
        running = 0
        for fd, events in self._sockets.poll(0):
            _, running = action(fd, HAPPENED[events & 31])
        self._reap(running)

    def _kick(self) -> None:
        self._kicked = None
        if self.closed:
            return
        _, running = self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._reap(running)

    def _on_due(self) -> None:
        self._timer = None
        if self._due > self.loop.time():
            self._set()
            return
        self._due = math.inf
        self._kick()
        # libcurl tells of changes only. Had it come a moment early, there would be none.
        left = self._multi.timeout()
        if left >= 0:
            self._on_timer(left)

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._due < math.inf:
            self._timer = self.loop.call_at(self._due, self._on_due)
            self._comes = self._due

    def _reap(self, running: int) -> None:
        """Tell those that have come to an end."""
        while running < len(self._running):
            more, well, badly = self._multi.info_read()
            for curl in well:
                self._end(curl, (0, ""))
            for curl, code, text in badly:
                self._end(curl, (code, text))
            if not more:
                return

    def _end(self, curl: Curl, outcome: Outcome) -> None:
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


OF_LOOP: Final[dict[AbstractEventLoop, Transfers]] = {}


def transfers_of(loop: AbstractEventLoop, limits: Callable[[], TransferLimits]) -> Transfers:
    """Return the transfers of a loop, within *limits* if they are new."""
    found = OF_LOOP.get(loop)
    if found is None or found.closed:
        for old in [each for each in OF_LOOP if each.is_closed()]:
            OF_LOOP.pop(old).close()
        found = OF_LOOP[loop] = Transfers(loop, limits())
    return found


def forsake_all() -> None:
    """Leave everything to the process that this one was forked from."""
    for transfers in OF_LOOP.values():
        transfers.forsake()
    OF_LOOP.clear()


os.register_at_fork(after_in_child=forsake_all)

"""Non-blocking I/O on one descriptor: try, wait for readiness, try again; with a timeout.

`kore.socket` and `kore.proc` have an `IoDirection` for reading and one for writing.
"""

from asyncio import AbstractEventLoop, Future, TimerHandle, get_running_loop, timeout
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from math import isnan
from typing import Any, Final, TypeVar

from kore._aio.edge_poller import EdgePoller, get_edge_poller
from kore._aio.sleep import YIELD, has_result
from kore._numbers import as_float
from kore.errors import KoreError, SocketError

A = TypeVar("A")
T = TypeVar("T")

# After so many operations that did not wait, other tasks run.
OPERATIONS_PER_TURN: Final = 32
# After EAGAIN, so many operations wait for readiness before one is tried at once again.
OPERATIONS_AFTER_EAGAIN: Final = 32
# Three thousand years: above that, event loops differ.
TIMEOUT_MAX_MS: Final = 10**14
TIMEOUT_REASON: Final = "timeout before operation completed"


class ClosedError(SocketError):
    """The socket or pipe was closed while an operation waited."""


class IoDirection:
    """Reading or writing of one descriptor: one operation at a time.

    An operation that would block is done in the callback of the event loop when the descriptor is
    ready. If its task is cancelled after that and before its next step, the result of a read is
    saved for the next operation.
    """

    __slots__ = ("__weakref__", "_argument", "_attempt", "_edges", "_fd", "_is_taken_over", "_loop",
                 "_name", "_operations", "_operations_to_skip", "_result", "_saved", "_timer",
                 "_writing")

    def __init__(self, fd: int, name: str, *, writing: bool) -> None:
        self._fd = fd
        self._name = name
        self._writing = writing
        # Where the descriptor is registered.
        self._loop: AbstractEventLoop | None = None
        # Reports errors on which the loop stops watching; and whether it has taken over from it.
        self._edges: EdgePoller | None = None
        self._is_taken_over = False
        # The result that the waiting operation gets, and the call that makes it.
        self._result: Future[Any] | None = None
        self._attempt: Callable[[Any], Any] = type
        self._argument: Any = None
        self._timer: TimerHandle | None = None
        # The result of an operation that was cancelled: at most one.
        self._saved: list[Any] = []
        self._operations = 0
        self._operations_to_skip = 0

    @property
    def is_waiting(self) -> bool:
        """Whether an operation waits."""
        return self._result is not None and not self._result.done()

    async def perform(
        self,
        attempt: Callable[[A], T],
        argument: A,
        timeout_ms: float | None = None,
        *,
        try_first: bool = True,
    ) -> T:
        """Return the result of *attempt*, which raises BlockingIOError when it would block.

        Without *try_first* it is not tried before the descriptor is ready. Raises TimeoutError if
        it was not done in time, SocketError with the system's reason if it failed.
        """
        self._operations += 1
        if self._operations > OPERATIONS_PER_TURN:
            self._operations = 0
            await YIELD
        if self._result is not None and not self._result.done():
            self.raise_if_waiting()
        if self._saved:
            saved: T = self._saved.pop()
            return saved
        # An edge is reported once: everything must be read before waiting for the next one.
        if self._loop is None or self._is_taken_over or (try_first and self._should_try()):
            try:
                return attempt(argument)
            except BlockingIOError:
                self._operations_to_skip = OPERATIONS_AFTER_EAGAIN
            except OSError as error:
                raise to_socket_error(error) from None
        result: Future[T] = self._start(attempt, argument, timeout_ms)
        try:
            return await result
        except BaseException:
            self._abandon(result)
            raise
        finally:  # no reference cycle: an error in it has a traceback with this frame
            del result

    def raise_if_waiting(self) -> None:
        """Raise KoreError if an operation waits."""
        if self.is_waiting:
            raise KoreError(f"only one {self._name} operation can be done per socket at a time")

    def save_result(self, result: object) -> None:
        """Save a result for the next operation, whatever that attempts."""
        self._saved.append(result)

    def take_saved(self) -> Any:
        """Remove and return the saved result, None if there is none."""
        return self._saved.pop() if self._saved else None

    def interrupt(self, error: BaseException) -> None:
        """Raise *error* in the operation that waits; the next one may wait again."""
        if self._result is not None and not self._result.done():
            self._result.set_exception(error)
            self._finish()

    def close(self) -> Any:
        """End the operation that waits and stop watching. Return the saved result, if any."""
        self._unwatch()
        self.interrupt(ClosedError("socket is closed"))
        return self.take_saved()

    def _start(
        self, attempt: Callable[[Any], Any], argument: object, timeout_ms: float | None
    ) -> "Future[Any]":
        seconds = None if timeout_ms is None else parse_timeout(timeout_ms)
        loop = self._loop
        # Reading stays registered from one operation to the next, which saves system calls.
        if loop is None or not loop.is_running():
            loop = get_running_loop()
            self._watch(loop)
        if self._timer is not None:  # of an operation that was cancelled just now
            self._finish()
        if seconds is not None:
            self._timer = loop.call_later(seconds, self._on_timeout)
        self._operations = 0
        self._attempt = attempt
        self._argument = argument
        self._result = result = loop.create_future()
        return result

    def _abandon(self, result: "Future[Any]") -> None:
        if not self._writing and has_result(result):
            self.save_result(result.result())
        if result is self._result:
            self._finish()

    def _finish(self) -> None:
        self._result = self._argument = None
        self._attempt = type  # not a bound method of the owner, which would be a cycle
        if self._writing:  # almost always ready: the loop would spin
            self._unwatch()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _should_try(self) -> bool:
        self._operations_to_skip -= 1
        return self._operations_to_skip < 0

    def _watch(self, loop: AbstractEventLoop) -> None:
        self._unwatch()
        self._loop = loop
        if self._writing:  # registered anew for each operation: no error can be missed
            loop.add_writer(self._fd, self._on_event)
            return
        loop.add_reader(self._fd, self._on_event)
        self._edges = get_edge_poller(loop)
        self._edges.watch(self._fd, self)

    def _unwatch(self) -> None:
        loop, self._loop = self._loop, None
        edges, self._edges = self._edges, None
        self._is_taken_over = False
        if edges is not None:
            edges.unwatch(self._fd)
        if loop is not None and not loop.is_closed():
            (loop.remove_writer if self._writing else loop.remove_reader)(self._fd)

    def on_edge(self) -> None:
        """Try the waiting operation; the loop may report nothing more, or spin."""
        self._take_over()
        self._on_event()

    def _take_over(self) -> None:
        if self._loop is not None and self._edges is not None and not self._is_taken_over:
            self._is_taken_over = True
            self._loop.remove_reader(self._fd)
            self._edges.watch_input(self._fd)

    def _on_event(self) -> None:
        result = self._result
        if result is None or result.done():
            self._unwatch()
        elif not self._try_attempt(result):
            self._take_over()  # the event was for an error that was reported elsewhere

    def _try_attempt(self, result: "Future[Any]") -> bool:
        """Make the attempt; return False if it would still block."""
        try:
            result.set_result(self._attempt(self._argument))
        except BlockingIOError:
            return False
        except OSError as error:
            self._unwatch()
            result.set_exception(to_socket_error(error))
        except BaseException as error:  # noqa: BLE001 - raised in the task
            result.set_exception(error)
        self._finish()
        return True

    def _on_timeout(self) -> None:
        result = self._result
        # Data that arrived in the same moment are not too late.
        if result is not None and not result.done() and not self._try_attempt(result):
            self.interrupt(TimeoutError(TIMEOUT_REASON))


def to_socket_error(error: OSError) -> SocketError:
    """Return the error that an application gets: the system's reason and number."""
    return SocketError(error.strerror or str(error), error.errno)


def parse_timeout(timeout_ms: object) -> float | None:
    """Return a timeout in seconds; None for no limit: None, negative, or above TIMEOUT_MAX_MS.

    Raises TypeError if it is not a real number, ValueError if it is NaN.
    """
    if timeout_ms is None:
        return None
    try:
        number = as_float(timeout_ms)
    except TypeError:
        raise TypeError(
            f"a timeout must be a number of milliseconds, not {timeout_ms!r}"
        ) from None
    if isnan(number):
        raise ValueError("a timeout must be a number of milliseconds, not NaN")
    return number / 1000 if 0 <= number <= TIMEOUT_MAX_MS else None


def check_maxlen(maxlen: int) -> int:
    """Return *maxlen*. Raises ValueError below 1: no bytes would look like the end of input."""
    if maxlen < 1:
        raise ValueError(f"maxlen must be 1 or more, not {maxlen}")
    return maxlen


def to_bytes(data: object) -> bytes | memoryview:
    """Return *data* as bytes to send; str is encoded as UTF-8."""
    if type(data) is bytes:
        return data
    if isinstance(data, str):
        return data.encode()
    with suppress(TypeError):
        return memoryview(data).cast("B")  # type: ignore[arg-type] # the TypeError is the test
    raise TypeError(f"a bytes-like object or str is required, not '{type(data).__name__}'")


class PartialSend:
    """Data to be sent, and how much of it was."""

    __slots__ = ("_data", "_sent", "_write")

    def __init__(
        self, write: Callable[[Any], int], data: bytes | memoryview, sent: int = 0
    ) -> None:
        self._write = write
        self._data = memoryview(data)
        self._sent = sent

    def advance(self) -> None:
        """Write until all is sent. Raises BlockingIOError if it would block before that."""
        while True:  # once at least: a datagram may be empty
            self._sent += self._write(self._data[self._sent :])
            if self._sent >= len(self._data):
                return


@asynccontextmanager
async def limit_time(timeout_ms: float | None) -> AsyncIterator[None]:
    """Return a context manager that raises TimeoutError if its block takes longer."""
    seconds = parse_timeout(timeout_ms)
    if seconds is None:
        yield
        return
    try:
        async with timeout(seconds):
            yield
    except TimeoutError:
        raise TimeoutError(TIMEOUT_REASON) from None

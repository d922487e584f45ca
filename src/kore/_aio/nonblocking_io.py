"""Waiting until something can be done with a descriptor, and doing it at once then."""

from asyncio import AbstractEventLoop, Future, TimerHandle, get_running_loop, timeout
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from math import isnan
from typing import Any, Final, TypeVar

from kore._aio.edge_poller import EdgePoller, edges_of
from kore._aio.sleep import GATE, has_result
from kore._numbers import as_float
from kore.errors import KoreError, SocketError

A = TypeVar("A")
T = TypeVar("T")

# After so many operations that did not wait, others have their turn.
TURN: Final = 32
# So often an attempt is left to the loop after one was in vain.
FUTILE: Final = 32
# Milliseconds: three thousand years. Event loops disagree about what is beyond.
TIMEOUT_MAX: Final = 10**14
LATE: Final = "timeout before operation completed"


class ClosedError(SocketError):
    """Somebody has closed it while an operation waited."""


class IoDirection:
    """Reading or writing of one descriptor: one operation at a time.

    What would block is done whenever the event loop says that it need not, there and then. A task
    that is cancelled between that and its next step leaves what it read to the next operation.
    """

    __slots__ = ("__weakref__", "_alarm", "_argument", "_attempt", "_count", "_edges", "_fd",
                 "_futile", "_kept", "_loop", "_result", "_taken_over", "_what", "_writing")

    def __init__(self, fd: int, what: str, *, writing: bool) -> None:
        self._fd = fd
        self._what = what
        self._writing = writing
        # Where the descriptor is registered.
        self._loop: AbstractEventLoop | None = None
        # Who says that the loop may have given up, and whether they watch in its place by now.
        self._edges: EdgePoller | None = None
        self._taken_over = False
        # What the operation that waits is to get, and what is done for it.
        self._result: Future[Any] | None = None
        self._attempt: Callable[[Any], Any] = type
        self._argument: Any = None
        self._alarm: TimerHandle | None = None
        # The result of an operation that did not take it: at most one.
        self._kept: list[Any] = []
        self._count = 0
        self._futile = 0

    @property
    def waits(self) -> bool:
        """Whether an operation waits."""
        return self._result is not None and not self._result.done()

    async def perform(
        self,
        attempt: Callable[[A], T],
        argument: A,
        timeout_ms: float | None = None,
        *,
        promising: bool = True,
    ) -> T:
        """Return the result of an *attempt*, which raises BlockingIOError for "not yet".

        If it is not *promising* it is made when the loop says so, and not before. TimeoutError: it
        could not be done in time, and nothing was. SocketError: the system's reason against it.
        """
        self._count += 1
        if self._count > TURN:
            self._count = 0
            await GATE
        if self._result is not None and not self._result.done():
            self.check()
        if self._kept:
            kept: T = self._kept.pop()
            return kept
        # An edge is told once: before waiting for one, all has to be taken.
        if self._loop is None or self._taken_over or (promising and self._worthwhile()):
            try:
                return attempt(argument)
            except BlockingIOError:
                self._futile = FUTILE
            except OSError as error:
                raise refusal(error) from None
        result: Future[T] = self._begin(attempt, argument, timeout_ms)
        try:
            return await result
        except BaseException:
            self._given_up(result)
            raise
        finally:  # an error in it has a traceback, which leads to here
            del result

    def check(self) -> None:
        """Raise KoreError if an operation waits."""
        if self.waits:
            raise KoreError(f"only one {self._what} operation can be done per socket at a time")

    def keep(self, result: object) -> None:
        """Leave a result to the next operation, whatever it attempts."""
        self._kept.append(result)

    def take_kept(self) -> Any:
        """Return a result that no operation took, None if there is none."""
        return self._kept.pop() if self._kept else None

    def interrupt(self, error: BaseException) -> None:
        """End what waits with *error*; the next operation may wait again."""
        if self._result is not None and not self._result.done():
            self._result.set_exception(error)
            self._over()

    def hang_up(self) -> Any:
        """End what waits, and watch no more. Return a result that nobody took."""
        self._unwatch()
        self.interrupt(ClosedError("socket is closed"))
        return self.take_kept()

    def _begin(
        self, attempt: Callable[[Any], Any], argument: object, timeout_ms: float | None
    ) -> "Future[Any]":
        seconds = None if timeout_ms is None else seconds_of(timeout_ms)
        loop = self._loop
        # Reading stays registered from one operation to the next, which saves system calls.
        if loop is None or not loop.is_running():
            loop = get_running_loop()
            self._watch(loop)
        if self._alarm is not None:  # of one that was cancelled a moment ago
            self._over()
        if seconds is not None:
            self._alarm = loop.call_later(seconds, self._too_late)
        self._count = 0
        self._attempt = attempt
        self._argument = argument
        self._result = result = loop.create_future()
        return result

    def _given_up(self, result: "Future[Any]") -> None:
        if not self._writing and has_result(result):
            self.keep(result.result())
        if result is self._result:
            self._over()

    def _over(self) -> None:
        self._result = self._argument = None
        self._attempt = type  # it may be a method of who holds this object
        if self._writing:  # almost always possible: the loop would spin
            self._unwatch()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _worthwhile(self) -> bool:
        self._futile -= 1
        return self._futile < 0

    def _watch(self, loop: AbstractEventLoop) -> None:
        self._unwatch()
        self._loop = loop
        if self._writing:  # each time anew, so nobody has given up on it
            loop.add_writer(self._fd, self._on_event)
            return
        loop.add_reader(self._fd, self._on_event)
        self._edges = edges_of(loop)
        self._edges.watch(self._fd, self)

    def _unwatch(self) -> None:
        loop, self._loop = self._loop, None
        edges, self._edges = self._edges, None
        self._taken_over = False
        if edges is not None:
            edges.forget(self._fd)
        if loop is not None and not loop.is_closed():
            (loop.remove_writer if self._writing else loop.remove_reader)(self._fd)

    def on_edge(self) -> None:
        """Look what there is; the loop may say nothing more of it, or nothing else."""
        self._take_over()
        self._on_event()

    def _take_over(self) -> None:
        if self._loop is not None and self._edges is not None and not self._taken_over:
            self._taken_over = True
            self._loop.remove_reader(self._fd)
            self._edges.take_over(self._fd)

    def _on_event(self) -> None:
        result = self._result
        if result is None or result.done():
            self._unwatch()
        elif not self._settled(result):
            self._take_over()  # for an error, perhaps, that somebody else has been told

    def _settled(self, result: "Future[Any]") -> bool:
        try:
            result.set_result(self._attempt(self._argument))
        except BlockingIOError:
            return False
        except OSError as error:
            self._unwatch()
            result.set_exception(refusal(error))
        except BaseException as error:  # noqa: BLE001 - the task gets it
            result.set_exception(error)
        self._over()
        return True

    def _too_late(self) -> None:
        result = self._result
        # What came in the same moment is not too late.
        if result is not None and not result.done() and not self._settled(result):
            self.interrupt(TimeoutError(LATE))


def refusal(error: OSError) -> SocketError:
    """Return what an application is told of an error: the system's reason."""
    return SocketError(error.strerror or str(error), error.errno)


def seconds_of(timeout_ms: object) -> float | None:
    """Return a timeout in seconds; None for no limit: None, a negative one, one of millennia.

    Raises TypeError if it is no number, ValueError if it is NaN.
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
    return number / 1000 if 0 <= number <= TIMEOUT_MAX else None


def positive(maxlen: int) -> int:
    """Return how many bytes to read; none would look like the end."""
    if maxlen < 1:
        raise ValueError(f"maxlen must be 1 or more, not {maxlen}")
    return maxlen


def as_bytes(data: object) -> bytes | memoryview:
    """Return what is to be sent; str is sent as UTF-8."""
    if type(data) is bytes:
        return data
    if isinstance(data, str):
        return data.encode()
    with suppress(TypeError):
        return memoryview(data).cast("B")  # type: ignore[arg-type] # the TypeError is the test
    raise TypeError(f"a bytes-like object or str is required, not '{type(data).__name__}'")


class PartialSend:
    """What is to be sent, and how much of it went."""

    __slots__ = ("_data", "_sent", "_write")

    def __init__(
        self, write: Callable[[Any], int], data: bytes | memoryview, sent: int = 0
    ) -> None:
        self._write = write
        self._data = memoryview(data)
        self._sent = sent

    def go_on(self) -> None:
        """Write as much as is taken. BlockingIOError: that was not all."""
        while True:  # once at least: a datagram may be empty
            self._sent += self._write(self._data[self._sent :])
            if self._sent >= len(self._data):
                return


@asynccontextmanager
async def in_time(timeout_ms: float | None) -> AsyncIterator[None]:
    """Limit what is awaited in it. TimeoutError: it took longer."""
    seconds = seconds_of(timeout_ms)
    if seconds is None:
        yield
        return
    try:
        async with timeout(seconds):
            yield
    except TimeoutError:
        raise TimeoutError(LATE) from None

"""Waiting until something can be done with a descriptor, and doing it at once then."""

from asyncio import AbstractEventLoop, Future, get_running_loop
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from kore._aio.suspend import GATE
from kore.errors import KoreError, SocketError

T = TypeVar("T")

# Operations that need no waiting before others have their turn.
TURN: Final = 32
# So often an attempt is left to the loop after one was in vain.
FUTILE: Final = 32


class Direction:
    """Reading or writing of one descriptor: one operation at a time.

    What would block is done whenever the event loop says that it need not, there and then: a task
    that is cancelled afterwards leaves what it would have got to the next operation of that name.
    """

    __slots__ = ("_attempt", "_count", "_futile", "_kept", "_loop", "_name", "_result", "_what",
                 "_writing", "fd")

    def __init__(self, fd: int, what: str, *, writing: bool) -> None:
        self.fd = fd
        self._what = what
        self._writing = writing
        # Where the descriptor is registered.
        self._loop: AbstractEventLoop | None = None
        # What waits, if something does.
        self._name = ""
        self._attempt: Callable[[], Any] | None = None
        self._result: Future[Any] | None = None
        self._kept: tuple[str, Any] | None = None
        self._count = 0
        self._futile = 0

    @property
    def waits(self) -> bool:
        """Whether an operation waits."""
        return self._result is not None

    async def perform(
        self,
        name: str,
        attempt: Callable[[], T],
        timeout_ms: int | None = None,
        *,
        promising: bool = True,
    ) -> T:
        """Do *attempt*, which raises BlockingIOError for "not yet", and return its result.

        If it is not *promising* it is made when the loop says so, and not before. TimeoutError: it
        could not be done in time, and nothing was. SocketError: the system's reason against it.
        """
        self.check()
        if self._kept is not None and self._kept[0] == name:
            return self._taken()  # type: ignore[no-any-return] # what such an attempt returned
        if self._loop is None or (promising and self._worthwhile()):
            try:
                result = done(attempt)
            except BlockingIOError:
                self._futile = FUTILE
            else:
                self._count += 1
                if self._count % TURN == 0:
                    await GATE
                return result
        self._name = name
        self._attempt = attempt
        return await self._wait(timeout_ms)

    def check(self) -> None:
        """Raise KoreError if an operation waits."""
        if self._result is not None:
            raise KoreError(f"only one {self._what} operation can be done per socket at a time")

    def keep(self, name: str, result: object) -> None:
        """Leave a result to the next operation of that name."""
        self._kept = (name, result)

    def interrupt(self, error: BaseException) -> None:
        """End what waits with *error*; the next operation may wait again."""
        if self._result is not None and not self._result.done():
            self._result.set_exception(error)

    def hang_up(self, error: BaseException, **outcomes: object) -> None:
        """End what waits, with *error* or what is given for its name, and watch no more."""
        self._unwatch()
        if self._name in outcomes and self._result is not None and not self._result.done():
            self._result.set_result(outcomes[self._name])
        self.interrupt(error)

    async def _wait(self, timeout_ms: int | None) -> Any:
        loop = get_running_loop()
        self._result = result = loop.create_future()
        alarm = None
        if timeout_ms is not None and timeout_ms >= 0:
            alarm = loop.call_later(timeout_ms / 1000, self._too_late, result)
        # Reading stays registered between two operations: most of them need no system call for it.
        if self._loop is not loop:
            self._watch(loop)
        try:
            return await result
        except BaseException:
            if not self._writing and has_result(result):
                self.keep(self._name, result.result())
            raise
        finally:
            self._result = self._attempt = None
            if self._writing:  # almost always possible: the loop would spin
                self._unwatch()
            if alarm is not None:
                alarm.cancel()

    def _worthwhile(self) -> bool:
        self._futile -= 1
        return self._futile < 0

    def _taken(self) -> Any:
        (_, result), self._kept = self._kept or ("", None), None
        return result

    def _watch(self, loop: AbstractEventLoop) -> None:
        self._unwatch()
        (loop.add_writer if self._writing else loop.add_reader)(self.fd, self._on_event)
        self._loop = loop

    def _unwatch(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None and not loop.is_closed():
            (loop.remove_writer if self._writing else loop.remove_reader)(self.fd)

    def _on_event(self) -> None:
        result = self._result
        if result is None or self._attempt is None or result.done():
            self._unwatch()
            return
        try:
            result.set_result(done(self._attempt))
        except BlockingIOError:
            return
        except BaseException as error:  # noqa: BLE001 - the task gets it
            result.set_exception(error)

    def _too_late(self, result: "Future[Any]") -> None:
        if result is self._result and not result.done():
            self._on_event()  # what came in the same moment is not too late
            self.interrupt(TimeoutError("timeout before operation completed"))


def done(attempt: Callable[[], T]) -> T:
    """Do *attempt*; SocketError with the system's reason when that is impossible."""
    try:
        return attempt()
    except BlockingIOError:
        raise
    except OSError as error:
        raise SocketError(error.strerror or str(error), error.errno) from None


def has_result(future: "Future[Any]") -> bool:
    """Return whether there is something to be had from *future*."""
    return future.done() and not future.cancelled() and future.exception() is None


def as_bytes(data: object) -> bytes | memoryview:
    """Return what is to be sent; str is sent as UTF-8."""
    if type(data) is bytes:
        return data
    if isinstance(data, str):
        return data.encode()
    with suppress(TypeError):
        return memoryview(data).cast("B")  # type: ignore[arg-type] # the TypeError is the test
    raise TypeError(f"a bytes-like object or str is required, not '{type(data).__name__}'")

"""An answer that is read as it comes, no faster than it is wanted."""

from asyncio import CancelledError, Future, get_running_loop
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Self

from kore._httpclient.codings import BodyDecoder
from kore._httpclient.fields import Headers, received, status_of
from kore._httpclient.lazy import failed_again
from kore._httpclient.prepared import PreparedRequest
from kore.errors import ClientError, KoreError

if TYPE_CHECKING:
    from kore._httpclient.transfer import Transfer

# With so much waiting for its reader, nothing more is taken from the peer.
ENOUGH: Final = 256 * 1024
# libcurl's: what a callback says that takes nothing now, and how to go on afterwards.
PAUSE: Final = 0x10000001
GO_ON: Final = 0

CANCELLED: Final = (
    "this stream was ended when a read of it was cancelled, by a timeout perhaps: "
    "its body is not complete"
)
CLOSED: Final = "this stream was closed before the end of its body"
NOT_YET: Final = frozenset({301, 302, 303, 307, 308, 401, 407})


class OverlapError(KoreError):
    """Two read the same stream: the second one must not end it."""


class ResponseSink:
    """Where libcurl puts what comes. It does not know who reads, so that nobody keeps a reader."""

    def __init__(self, *, final: bool) -> None:
        self.lines: list[bytes] = []
        # Decodes the body, if libcurl does not.
        self.decoder: BodyDecoder | None = None
        self.chunks: list[bytes] = []
        self.size = 0
        self.paused = False
        # A head is here, or whatever comes behind it.
        self.headed = False
        self.waiter: Future[None] | None = None
        # Whether every head is one that will stay: nobody follows redirects or logs in.
        self._final = final
        self._status = 0

    def header(self, line: bytes) -> None:
        """Take a line of a head."""
        self.lines.append(line)
        if line.startswith(b"HTTP/"):
            self._status = status_of(line)
        elif not line.strip() and self._status >= 200:
            self.headed |= self._final or self._status not in NOT_YET
            self.wake()

    def write(self, data: bytes) -> int:
        """Take a piece of the body, or ask to be offered it again."""
        if self.size >= ENOUGH:
            self.paused = True
            return PAUSE
        taken = len(data)
        if self.decoder is not None:
            decoded = self.decoder.decode_piece(data)
            if decoded is None:
                return -1
            data = decoded
        self.headed = True
        if data:
            self.chunks.append(data)
            self.size += len(data)
        self.wake()
        return taken

    def wake(self, _: object = None) -> None:
        """Wake the reader."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class ResponseStream:
    """The body of an answer, piece by piece: `async for`; in an `async with` its head is there.

    Leaving the `async with`, or forgetting the object, ends the transfer. So does `aclose()`, by
    whatever task, an error, and cancelling a read, by a timeout for one: each read after that
    raises, because the body is not complete.
    """

    def __init__(
        self,
        plan: PreparedRequest,
        exchange: Callable[[PreparedRequest], "Transfer"],
        *,
        final: bool,
    ) -> None:
        self._plan = plan
        self._make = exchange
        self._sink = ResponseSink(final=final)
        self._exchange: Transfer | None = None
        self._future: Future[Any] | None = None
        self._over = False
        # Whether all of the body has been read.
        self._complete = False
        # How it failed. Not the error itself, whose traceback leads to here.
        self._failed: tuple[str, int] | None = None

    @property
    def status(self) -> int:
        """The status, 0 as long as there is none."""
        if not self._sink.headed:
            return 0
        first = next((each for each in reversed(self._sink.lines) if each[:5] == b"HTTP/"), b"")
        return status_of(first)

    @property
    def headers(self) -> Headers:
        """The header fields, none as long as they have not come."""
        return received(self._sink.lines) if self._sink.headed else Headers()

    async def __aenter__(self) -> Self:
        try:
            await self._until(lambda: self._sink.headed)
            if not self._sink.headed:
                self._check()
        except BaseException as error:
            self._fail(error)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        sink = self._sink
        try:
            await self._until(lambda: sink.chunks)
            if not sink.chunks:
                self._check()
        except OverlapError:
            raise
        except BaseException as error:
            self._fail(error)
            raise
        if not sink.chunks:
            self._complete = True
            self.close()
            raise StopAsyncIteration
        data = b"".join(sink.chunks)
        sink.chunks.clear()
        sink.size = 0
        if sink.paused and self._exchange is not None:
            sink.paused = False
            self._exchange.go_on(GO_ON)
        return data

    def close(self) -> None:
        """End the transfer. Reads after it raise, unless all of the body has been read."""
        self._over = True
        if not self._complete:
            self._failed = self._failed or (CLOSED, 0)
            self._sink.chunks.clear()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.end()
            self._sink.wake()

    async def aclose(self) -> None:
        """Do the same as `close()`."""
        self.close()

    def __del__(self) -> None:
        if self._exchange is not None:
            self._exchange.drop()

    async def _until(self, there: Callable[[], object]) -> None:
        """Wait until something has come, or nothing will any more."""
        if self._future is None and not self._over:
            self._begin()
        while not there() and self._runs():
            if self._sink.waiter is not None and not self._sink.waiter.done():
                raise OverlapError("somebody else reads this stream")
            self._sink.waiter = get_running_loop().create_future()
            try:
                await self._sink.waiter
            finally:  # once cancelled it holds a traceback, which leads to here
                self._sink.waiter = None

    def _runs(self) -> bool:
        return self._future is not None and not self._future.done() and not self._over

    def _begin(self) -> None:
        self._exchange = exchange = self._make(self._plan)
        self._future = exchange.begin(self._sink)
        self._future.add_done_callback(self._sink.wake)

    def _fail(self, error: BaseException) -> None:
        """End the transfer, and have each further read fail: what was cut has no end."""
        if self._failed is None:
            if isinstance(error, ClientError):
                self._failed = str(error), error.code
            elif isinstance(error, CancelledError):
                self._failed = CANCELLED, 0
            else:
                self._failed = f"this stream was ended by {type(error).__name__}", 0
        self.close()

    def _check(self) -> None:
        """Raise what went wrong, once all that came has been read."""
        if self._failed is not None:
            raise failed_again(*self._failed)
        if self._exchange is not None and self._future is not None and self._future.done():
            self._exchange.check(self._future.result())
            self._sink.headed = True

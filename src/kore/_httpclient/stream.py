"""Streamed responses: the body as an async iterator, received no faster than it is read."""

from asyncio import CancelledError, Future, get_running_loop
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Self

from kore._httpclient.body_receiver import ResponseSink
from kore._httpclient.fields import Headers, parse_headers, parse_status
from kore._httpclient.lazy import make_failure
from kore._httpclient.prepared import PreparedRequest
from kore.errors import ClientError, KoreError

if TYPE_CHECKING:
    from kore._httpclient.transfer import Transfer

# libcurl's CURLPAUSE_CONT.
PAUSE_CONT: Final = 0

CANCELLED: Final = (
    "this stream was ended when a read of it was cancelled, by a timeout perhaps: "
    "its body is not complete"
)
CLOSED: Final = "this stream was closed before the end of its body"


class OverlapError(KoreError):
    """A second task reads the same stream. Unlike other errors, this does not end it."""


class ResponseStream:
    """The body of a response, an async iterator over bytes; a context manager that awaits the head.

    The transfer ends when the context is left, the object is freed, `aclose()` is called by any
    task, or a read fails or is cancelled, by a timeout for example. A read after that raises an
    error, because the body is not complete.
    """

    def __init__(
        self,
        request: PreparedRequest,
        create_transfer: Callable[[PreparedRequest], "Transfer"],
        *,
        is_final: bool,
    ) -> None:
        self._request = request
        self._create_transfer = create_transfer
        self._sink = ResponseSink(is_final=is_final)
        self._transfer: Transfer | None = None
        self._outcome: Future[Any] | None = None
        self._is_closed = False
        # The body has been read to its end.
        self._is_complete = False
        # Message and code of the error. Not the error itself, whose traceback refers to this.
        self._failure: tuple[str, int] | None = None

    @property
    def status(self) -> int:
        """The status; 0 until the head has been received."""
        if not self._sink.has_head:
            return 0
        heads = (line for line in reversed(self._sink.lines) if line[:5] == b"HTTP/")
        return parse_status(next(heads, b""))

    @property
    def headers(self) -> Headers:
        """The header fields; none until the head has been received."""
        return parse_headers(self._sink.lines) if self._sink.has_head else Headers()

    async def __aenter__(self) -> Self:
        try:
            await self._wait_until(lambda: self._sink.has_head)
            if not self._sink.has_head:
                self._check_outcome()
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
            await self._wait_until(lambda: sink.chunks)
            if not sink.chunks:
                self._check_outcome()
        except OverlapError:
            raise
        except BaseException as error:
            self._fail(error)
            raise
        if not sink.chunks:
            self._is_complete = True
            self.close()
            raise StopAsyncIteration
        data = b"".join(sink.chunks)
        sink.chunks.clear()
        sink.size = 0
        if sink.is_paused and self._transfer is not None:
            sink.is_paused = False
            self._transfer.resume(PAUSE_CONT)
        return data

    def close(self) -> None:
        """End the transfer. A read after it raises an error unless the body was read to its end."""
        self._is_closed = True
        if not self._is_complete:
            self._failure = self._failure or (CLOSED, 0)
            self._sink.chunks.clear()
        transfer, self._transfer = self._transfer, None
        if transfer is not None:
            transfer.end()
            self._sink.wake()

    async def aclose(self) -> None:
        """Do the same as `close()`."""
        self.close()

    def __del__(self) -> None:
        if self._transfer is not None:
            self._transfer.end_soon()

    async def _wait_until(self, has_come: Callable[[], object]) -> None:
        """Start the transfer, and wait until *has_come* returns true or the transfer has ended.

        Raises OverlapError if another task waits.
        """
        if self._outcome is None and not self._is_closed:
            self._start()
        while not has_come() and self._is_running():
            if self._sink.waiter is not None and not self._sink.waiter.done():
                raise OverlapError("another task reads this stream")
            self._sink.waiter = get_running_loop().create_future()
            try:
                await self._sink.waiter
            finally:  # a cancelled future holds a traceback, which refers to this object
                self._sink.waiter = None

    def _is_running(self) -> bool:
        return self._outcome is not None and not self._outcome.done() and not self._is_closed

    def _start(self) -> None:
        self._transfer = transfer = self._create_transfer(self._request)
        self._outcome = transfer.start(self._sink)
        self._outcome.add_done_callback(self._sink.wake)

    def _fail(self, error: BaseException) -> None:
        """End the transfer and record why: each further read fails for the same reason."""
        if self._failure is None:
            if isinstance(error, ClientError):
                self._failure = str(error), error.code
            elif isinstance(error, CancelledError):
                self._failure = CANCELLED, 0
            else:
                self._failure = f"this stream was ended by {type(error).__name__}", 0
        self.close()

    def _check_outcome(self) -> None:
        """Raise KoreError, or ClientError with libcurl's code, if the transfer has failed."""
        if self._failure is not None:
            raise make_failure(*self._failure)
        if self._transfer is not None and self._outcome is not None and self._outcome.done():
            self._transfer.check(self._outcome.result())
            self._sink.has_head = True

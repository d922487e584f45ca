"""Request bodies that are not stored: streams for handlers, and pieces for `on_body_chunk`."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NoReturn, Self

from kore._maybe_async import is_awaitable

log = logging.getLogger("kore")

# Bytes buffered for a handler before reading from the client pauses, and the memory of a piece
# beside its bytes: clients choose the sizes, and could send pieces of one byte.
BUFFER_SIZE: Final = 1 << 18
PIECE_OVERHEAD: Final = 64


class UnstoredBody:
    """Base of bodies that are not stored; random access raises RuntimeError."""

    # Bytes of a piece, at least: each is passed on as it arrives.
    min_chunk = 1

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def __len__(self) -> int:
        self._refuse()

    def read(self, _place: int, _length: int) -> bytes:
        """Raise RuntimeError."""
        self._refuse()

    def path(self) -> str:
        """Raise RuntimeError."""
        self._refuse()

    def digest(self) -> bytes:
        """Raise RuntimeError."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise RuntimeError(f"http_body_read() failed: {self._reason}")


class BodyStream(UnstoredBody):
    """The buffer between a client and the handler that reads its body; an async iterator.

    *take_more* is called when there is room again, *want* when the handler waits for the client.
    *future* returns a new future of the event loop.
    """

    def __init__(
        self,
        future: Callable[[], Any],
        take_more: Callable[[], object],
        want: Callable[[], object],
    ) -> None:
        super().__init__("this route has stream=True, read `async for piece in req.chunks()`")
        self._future = future
        self._take_more = take_more
        self._want = want
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._full = False
        self._ended = False
        self._stopped = False
        self._waiter: Any = None

    # From the client

    def feed(self, piece: bytes) -> bool:
        """Buffer a piece. Returns False if the buffer is full; *take_more* is called later."""
        self._pieces.append(piece)
        self._size += len(piece) + PIECE_OVERHEAD
        self._full = self._size >= BUFFER_SIZE
        self._wake()
        return not self._full

    def end(self) -> None:
        """Mark the body as complete."""
        self._ended = True
        self._wake()

    def stop(self) -> None:
        """Mark the body as broken off: the rest will not arrive."""
        self._stopped = True
        self._wake()

    def close(self) -> None:
        """Release the buffer and the callbacks, at the end of the request."""
        self.stop()
        self._pieces.clear()
        self._take_more = self._want = _do_nothing

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # To the handler

    def chunks(self) -> Self:
        """Return the iterator over the rest of the body."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._ended:
                raise StopAsyncIteration
            if self._stopped:
                raise RuntimeError("the request is over: the rest of its body will never come")
            await self._wait()
        piece = self._pieces.popleft()
        self._size -= len(piece) + PIECE_OVERHEAD
        if self._full and self._size <= BUFFER_SIZE // 2:
            self._full = False
            self._take_more()
        return piece

    async def _wait(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("chunks() is already being waited for")
        self._waiter = self._future()
        try:
            self._want()
            await self._waiter
        finally:
            self._waiter = None


class ChunkHookBody(UnstoredBody):
    """A body that is passed to the `on_body_chunk` of its route.

    *wait* runs an awaitable in a task of the request and passes its result to a function. *resume*
    is called when the next piece may come.
    """

    def __init__(
        self,
        request: Any,
        hook: Callable[..., Any],
        wait: Callable[[Any, Callable[[Any], object]], object],
        resume: Callable[[], object],
    ) -> None:
        super().__init__("this route has on_body_chunk, which was given the body")
        self._request = request
        self._hook = hook
        self._wait = wait
        self._resume = resume

    def feed(self, piece: bytes) -> bool:
        """Pass a piece to the hook. Returns False if it must be awaited, or ended the request."""
        result = self._hook(self._request, piece)
        if is_awaitable(result):
            self._wait(result, self._finish)
            return False
        return self._is_accepted(result)

    def _finish(self, result: object) -> None:
        if self._is_accepted(result):
            self._resume()

    def _is_accepted(self, result: object) -> bool:
        request = self._request
        if request is None:
            return False
        if request.answered:
            request.note_handler_done()
            self.close()  # keeps no reference to the request, which would delay its end
            return False
        # As in Kore; its C API has RESULT_OK, 1, for True.
        if isinstance(result, int) and result == 1:
            return True
        log.error(
            "on_body_chunk of route '%s' returned %r, not True: the request is refused",
            request.get_route_label(),
            result,
        )
        request.fail()
        return False

    def end(self) -> None:
        """Do nothing: the handler runs next."""

    def stop(self) -> None:
        """Do nothing: the task that awaits the hook has been cancelled."""

    def close(self) -> None:
        """Release the request, which refers to this object."""
        self._request = None
        self._wait = self._resume = _do_nothing


def _do_nothing(*_: object) -> None:
    """Replace a callback at the end of a request."""

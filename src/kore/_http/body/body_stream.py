"""Bodies that are not kept: read by the handler as they come, or given to a hook piece by piece."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NoReturn, Self

from kore._maybe_async import is_awaitable

log = logging.getLogger("kore")

# What may wait for a handler before its client has to wait, too. A piece of one byte costs memory
# for more than that, and clients choose the sizes.
BUFFER_SIZE: Final = 1 << 18
PIECE_OVERHEAD: Final = 64


class UnstoredBody:
    """What is left of such a body when it is asked for as a whole: an error that says why."""

    # Each piece is handed over as it comes.
    least = 1

    def __init__(self, why: str) -> None:
        self._why = why

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
        raise RuntimeError(f"http_body_read() failed: {self._why}")


class BodyStream(UnstoredBody):
    """A body between a client and the handler that reads it. Also the handler's iterator.

    *take_more* is called when there is room again, *want* when the handler waits for the client,
    *future* makes what it waits for.
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
        """Take a piece. False: no more until there is room."""
        self._pieces.append(piece)
        self._size += len(piece) + PIECE_OVERHEAD
        self._full = self._size >= BUFFER_SIZE
        self._wake()
        return not self._full

    def end(self) -> None:
        """Take note that the body is complete."""
        self._ended = True
        self._wake()

    def stop(self) -> None:
        """Take note that the rest will never come."""
        self._stopped = True
        self._wake()

    def close(self) -> None:
        """Let go of everything: the request is over, and its handler, too."""
        self.stop()
        self._pieces.clear()
        self._take_more = self._want = _do_nothing

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # To the handler

    def chunks(self) -> Self:
        """Return what iterates over the rest."""
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
    """A body that goes to a hook of its route.

    *wait* has something awaited on behalf of the request, and hands on what comes of it; *go_on* is
    called when more of the body is welcome.
    """

    def __init__(
        self,
        request: Any,
        hook: Callable[..., Any],
        wait: Callable[[Any, Callable[[Any], object]], object],
        go_on: Callable[[], object],
    ) -> None:
        super().__init__("this route has on_body_chunk, which was given the body")
        self._request = request
        self._hook = hook
        self._wait = wait
        self._go_on = go_on

    def feed(self, piece: bytes) -> bool:
        """Hand a piece on. False: the hook has to be awaited, or the request has ended."""
        verdict = self._hook(self._request, piece)
        if is_awaitable(verdict):
            self._wait(verdict, self._finish)
            return False
        return self._accepted(verdict)

    def _finish(self, verdict: object) -> None:
        if self._accepted(verdict):
            self._go_on()

    def _accepted(self, verdict: object) -> bool:
        request = self._request
        if request is None:
            return False
        if request.answered:
            request.expect_end()
            self.close()  # and keep no reference to it: see Intake.check_end()
            return False
        # Kore's rule. RESULT_OK is what its C API says for the same.
        if isinstance(verdict, int) and verdict == 1:
            return True
        log.error(
            "on_body_chunk of route '%s' returned %r, not True: the request is refused",
            request.where(),
            verdict,
        )
        request.fail()
        return False

    def end(self) -> None:
        """Do nothing: the handler is what follows the last piece."""

    def stop(self) -> None:
        """Do nothing: whoever waits has been cancelled."""

    def close(self) -> None:
        """Let go of the request, which keeps this."""
        self._request = None
        self._wait = self._go_on = _do_nothing


def _do_nothing(*_: object) -> None:
    """Be what is called when it does not matter any more."""

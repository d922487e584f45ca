"""Send an async iterator as a response body, no faster than the client reads."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Generator
from types import coroutine
from typing import Final, Protocol

# Items of one stream before other tasks have their turn: an iterator may never wait.
ITEMS_PER_TURN: Final = 64


@coroutine
def yield_once() -> Generator[None, None, None]:
    """Yield once to the event loop."""
    yield


class StreamedRequest(Protocol):
    """A request, as stream_body() uses it."""

    def open_body(self, status: int) -> None:
        """Send the head of the response."""

    @property
    def is_served(self) -> bool:
        """Whether a client still waits for the response."""

    def write_body(self, item: object) -> bool:
        """Queue a piece. Returns False if the client reads too slowly, or has left."""

    def end_body(self) -> None:
        """Complete the body."""

    def fail(self) -> None:
        """Respond 500, or abort a response that has begun."""

    def drained(self) -> Awaitable[None]:
        """Return an awaitable that is done when the client has read enough."""


class ResponseBody:
    """An async iterable with a flag that its iteration has begun."""

    def __init__(self, items: AsyncIterable[object]) -> None:
        self.items = items
        self.begun = False

    def __aiter__(self) -> AsyncIterator[object]:
        self.begun = True
        return aiter(self.items)


def _check_piece(item: object) -> None:
    """Raise TypeError or UnicodeError if *item* cannot be sent."""
    if isinstance(item, str):
        item.encode()
        return
    try:
        # The call finds out whether it is a buffer: before 3.12 there is no type to test for, and
        # to mypy an object is none.
        memoryview(item).release()  # type: ignore[arg-type]
    except TypeError:
        kind = type(item).__name__
        raise TypeError(f"a piece of a body must be bytes or str, not {kind}") from None


async def stream_body(request: StreamedRequest, status: int, items: AsyncIterable[object]) -> None:
    """Respond to *request* with the pieces of *items*, no faster than the client reads.

    The head is sent with the first item, so an iterator that fails before it makes a 500. A later
    failure aborts the response. All errors are raised.
    """
    count = 0
    iterator = None
    try:
        iterator = aiter(items)
        async for item in iterator:
            if count == 0:
                _check_piece(item)
                request.open_body(status)
            count += 1
            if not request.write_body(item):
                if not request.is_served:
                    return
                await request.drained()
            elif count % ITEMS_PER_TURN == 0:
                await yield_once()
        if count == 0:
            request.open_body(status)
        request.end_body()
    except BaseException:
        request.fail()
        raise
    finally:
        # Now, not when the garbage collector runs: the iterator may hold resources.
        if close := getattr(iterator, "aclose", None):
            await close()

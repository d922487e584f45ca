"""Send an async iterator as a response body, no faster than the client reads."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Generator
from types import coroutine
from typing import Final, Protocol

# Items of one stream before others have their turn: an iterator that never waits would not give
# them any.
ITEMS_PER_TURN: Final = 64


@coroutine
def yield_once() -> Generator[None, None, None]:
    """Yield once: to whatever runs the coroutine that awaits it."""
    yield


class StreamedRequest(Protocol):
    """What a stream needs of a request."""

    def open_body(self, status: int) -> None:
        """Write the head."""

    @property
    def is_served(self) -> bool:
        """Whether a client still waits for the answer."""

    def write_body(self, item: object) -> bool:
        """Queue a piece; False when the client has not read what came before, or has left."""

    def end_body(self) -> None:
        """Complete the body."""

    def fail(self) -> None:
        """Answer 500, or break off what has begun."""

    def drained(self) -> Awaitable[None]:
        """Return what is done when the client has caught up."""


class ResponseBody:
    """An async iterable that knows whether its iteration has begun."""

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
        # Whether it is a buffer is what the call finds out: there is no type to test before 3.12.
        memoryview(item).release()  # type: ignore[arg-type]
    except TypeError:
        kind = type(item).__name__
        raise TypeError(f"a piece of a body must be bytes or str, not {kind}") from None


async def stream_body(request: StreamedRequest, status: int, items: AsyncIterable[object]) -> None:
    """Answer *request* with *items*.

    The head waits for the first item, so that an iterator which fails at once, or gives no text,
    still gets an honest 500; a later failure breaks the answer off, and is the caller's to report.
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
        # Not left to the garbage collector: a cancelled stream must let go of what it holds now.
        if close := getattr(iterator, "aclose", None):
            await close()

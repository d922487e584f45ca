"""Send an async iterator as a response body, no faster than the client reads."""

from collections.abc import AsyncIterator, Awaitable
from typing import Protocol


class Request(Protocol):
    """What a stream needs of a request."""

    def open_body(self, status: int) -> None:
        """Write the head."""

    def write_body(self, item: object) -> bool:
        """Queue a piece; False when the client has not read what came before."""

    def end_body(self) -> None:
        """Complete the body."""

    def fail(self) -> None:
        """Answer 500, or break off what has begun."""

    def drained(self) -> Awaitable[None]:
        """Return what is done when the client has caught up."""


async def stream(request: Request, status: int, items: AsyncIterator[object]) -> None:
    """Answer *request* with *items*.

    The head waits for the first item, so that an iterator which fails at once still gets an
    honest 500; a later failure breaks the answer off, and is the caller's to report.
    """
    opened = False
    try:
        async for item in items:
            if not opened:
                request.open_body(status)
                opened = True
            if not request.write_body(item):
                await request.drained()
        if not opened:
            request.open_body(status)
        request.end_body()
    except BaseException:
        request.fail()
        raise
    finally:
        # Not left to the garbage collector: a cancelled stream must let go of what it holds now.
        if close := getattr(items, "aclose", None):
            await close()

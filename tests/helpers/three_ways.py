"""Feed a parser the same bytes three ways: whole, byte by byte, and with a tail.

A parser of a stream may not care how the stream was cut, nor what follows.
"""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
TAIL = b"GET /tail HTTP/1.1\r\nHost: tail\r\n\r\n"


def outcome(parse: Callable[[bytes], T | None], data: bytes) -> T | str | None:
    """Return what *parse* makes of *data*: a value, None for "need more", or its error's text."""
    try:
        return parse(data)
    except ValueError as error:
        return f"{type(error).__name__}: {error}"


def three_ways(parse: Callable[[bytes], T | None], data: bytes) -> T | str | None:
    """Return what *parse* makes of *data*, the same in all three ways.

    Byte by byte means: every shorter beginning needs more, or already has the final error.
    """
    whole = outcome(parse, data)
    for length in range(len(data)):
        early = outcome(parse, data[:length])
        if early is not None:
            assert early == whole, f"after {length} of {len(data)} bytes: {early!r}, not {whole!r}"
            break
    if whole is not None:
        assert outcome(parse, data + TAIL) == whole
    return whole

"""Feed a parser the same bytes three ways: whole, byte by byte, and with a tail.

A parser of a stream may not care how the stream was cut, nor what follows.
"""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
TAIL = b"GET /tail HTTP/1.1\r\nHost: tail\r\n\r\n"


def outcome(
    parse: Callable[[bytes], T | None], data: bytes, refusal: type[Exception]
) -> T | str | None:
    """Return what *parse* makes of *data*: a value, None for "need more", or its refusal's text."""
    try:
        return parse(data)
    except refusal as error:
        return f"{type(error).__name__}: {error}"


def three_ways(
    parse: Callable[[bytes], T | None], data: bytes, refusal: type[Exception] = ValueError
) -> T | str | None:
    """Return what *parse* makes of *data*, the same in all three ways.

    Byte by byte means: every shorter beginning needs more, or is already refused for the same.
    """
    whole = outcome(parse, data, refusal)
    for length in range(len(data)):
        early = outcome(parse, data[:length], refusal)
        if early is not None:
            assert early == whole, f"after {length} of {len(data)} bytes: {early!r}, not {whole!r}"
            break
    if whole is not None:
        assert outcome(parse, data + TAIL, refusal) == whole
    return whole

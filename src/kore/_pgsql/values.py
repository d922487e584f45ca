"""Values of an application become parameters of a query. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kore.errors import DatabaseError

PARAMETERS_MAX: Final = 65535  # 16 bits in a Bind message
BINARY: Final = 1
TEXT: Final = 0

# What libpq takes: None is NULL; formats where one of them is binary.
Values = tuple[list[bytes | None], list[int] | None]
NONE: Final[Values] = ([], None)


def text(value: str) -> bytes:
    """Encode text; libpq would end it at a NUL without a word."""
    encoded = value.encode()
    if b"\0" in encoded:
        raise ValueError("has a NUL, which no text of PostgreSQL can have")
    return encoded


# The server makes of text whatever type the parameter has.
ENCODERS: Final[Mapping[type, Callable[[Any], bytes | None]]] = {
    str: text,
    bytes: bytes,
    bytearray: bytes,
    memoryview: bytes,
    int: lambda value: b"%d" % value,
    float: lambda value: repr(float(value)).encode(),
    bool: lambda value: b"t" if value else b"f",
    type(None): lambda _: None,
}
BYTES: Final = (bytes, bytearray, memoryview)


def parameters(params: object) -> Values:
    """Return a list of parameters as libpq takes it."""
    if params is None:
        return NONE
    if not isinstance(params, (list, tuple)):
        raise DatabaseError("pgsql: params keyword must be a list")
    if len(params) > PARAMETERS_MAX:
        raise DatabaseError("pgsql: list length too large")
    plain: list[bytes | None] = []
    try:
        for value in params:
            kind = type(value)
            if kind is int:
                plain.append(b"%d" % value)
            elif kind is str and value.isascii() and "\0" not in value:
                plain.append(value.encode())
            else:
                return unlike(params)
    except ValueError:  # an int of thousands of digits
        return unlike(params)
    return plain, None


def unlike(params: Sequence[object]) -> Values:
    """Return parameters of all kinds."""
    try:
        values = [ENCODERS[type(value)](value) for value in params]
    except (KeyError, ValueError):
        values = [item(index, value) for index, value in enumerate(params)]
    return values, formats(params)


def formats(params: Sequence[object]) -> list[int] | None:
    """Return the formats of parameters: bytes are binary, all else is text. None: all are text."""
    for value in params:
        if isinstance(value, BYTES):
            return [BINARY if isinstance(each, BYTES) else TEXT for each in params]
    return None


def item(index: int, value: object) -> bytes | None:
    """Return one parameter, or say which one it is that cannot be one."""
    for kind in type(value).__mro__:
        if kind in ENCODERS:
            try:
                return ENCODERS[kind](value)
            except ValueError as error:
                raise DatabaseError(f"pgsql: item {index} {flaw(error)}") from None
    raise DatabaseError(
        f"pgsql: item {index} is not a string or bytes, int, float, bool or None, "
        f"but {type(value).__name__}"
    )


def statement(query: object) -> bytes:
    """Return the text of a query as libpq takes it."""
    if not isinstance(query, str):
        raise TypeError(f"query must be str, not {type(query).__name__}")
    try:
        return text(query)
    except ValueError as error:
        raise DatabaseError(f"pgsql: the query {flaw(error)}") from None


def flaw(error: ValueError) -> str:
    """Return what is wrong with a text."""
    return "cannot be encoded in UTF-8" if isinstance(error, UnicodeError) else str(error)

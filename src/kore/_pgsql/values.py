"""Encoding of an application's values as the parameters of a query. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kore.errors import DatabaseError

PARAMETERS_MAX: Final = 65535  # 16 bits in a Bind message
FORMAT_BINARY: Final = 1
FORMAT_TEXT: Final = 0

# Values, None for NULL, and their formats as libpq takes them; formats None: all are text.
EncodedParams = tuple[list[bytes | None], list[int] | None]
NO_PARAMS: Final[EncodedParams] = ([], None)


def _encode_text(value: str) -> bytes:
    """Encode text. Raises ValueError for a NUL, at which libpq would silently end the text."""
    encoded = value.encode()
    if b"\0" in encoded:
        raise ValueError("has a NUL, which no text of PostgreSQL can have")
    return encoded


# The server converts text to the type of the parameter.
ENCODERS: Final[Mapping[type, Callable[[Any], bytes | None]]] = {
    str: _encode_text,
    bytes: bytes,
    bytearray: bytes,
    memoryview: bytes,
    int: lambda value: b"%d" % value,
    float: lambda value: repr(float(value)).encode(),
    bool: lambda value: b"t" if value else b"f",
    type(None): lambda _: None,
}
BYTES_TYPES: Final = (bytes, bytearray, memoryview)


def encode_params(params: object) -> EncodedParams:
    """Return a list of parameters as libpq takes it. Raises DatabaseError if one is invalid."""
    if params is None:
        return NO_PARAMS
    if not isinstance(params, (list, tuple)):
        raise DatabaseError("pgsql: params keyword must be a list")
    if len(params) > PARAMETERS_MAX:
        raise DatabaseError("pgsql: list length too large")
    # The common types first; one value of another type sends all to the general way.
    values: list[bytes | None] = []
    try:
        for value in params:
            kind = type(value)
            if kind is int:
                values.append(b"%d" % value)
            elif kind is str and value.isascii() and "\0" not in value:
                values.append(value.encode())
            else:
                return _encode_mixed(params)
    except ValueError:  # an int of thousands of digits
        return _encode_mixed(params)
    return values, None


def _encode_mixed(params: Sequence[object]) -> EncodedParams:
    """Return parameters of any types. Raises DatabaseError if one is invalid."""
    try:
        values = [ENCODERS[type(value)](value) for value in params]
    except (KeyError, ValueError):
        values = [_encode_item(index, value) for index, value in enumerate(params)]
    return values, _choose_formats(params)


def _choose_formats(params: Sequence[object]) -> list[int] | None:
    """Return the format of each parameter: binary for bytes, else text; None: all are text."""
    for value in params:
        if isinstance(value, BYTES_TYPES):
            return [
                FORMAT_BINARY if isinstance(each, BYTES_TYPES) else FORMAT_TEXT for each in params
            ]
    return None


def _encode_item(index: int, value: object) -> bytes | None:
    """Return one parameter. Raises DatabaseError that names its index if it is invalid."""
    for kind in type(value).__mro__:
        if kind in ENCODERS:
            try:
                return ENCODERS[kind](value)
            except ValueError as error:
                raise DatabaseError(f"pgsql: item {index} {_describe_flaw(error)}") from None
    raise DatabaseError(
        f"pgsql: item {index} is not a string or bytes, int, float, bool or None, "
        f"but {type(value).__name__}"
    )


def encode_query(query: object) -> bytes:
    """Return the text of a query as libpq takes it.

    Raises TypeError if it is not a str, DatabaseError if it has a NUL or is not valid Unicode.
    """
    if not isinstance(query, str):
        raise TypeError(f"query must be str, not {type(query).__name__}")
    try:
        return _encode_text(query)
    except ValueError as error:
        raise DatabaseError(f"pgsql: the query {_describe_flaw(error)}") from None


def _describe_flaw(error: ValueError) -> str:
    """Return why text could not be encoded, as the end of a sentence."""
    return "cannot be encoded in UTF-8" if isinstance(error, UnicodeError) else str(error)

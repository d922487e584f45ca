"""Header fields: formatted as lines for libcurl, and parsed from the lines it delivers."""

import re
from collections.abc import Iterable
from typing import Final

from kore._values.grammar import is_token
from kore.errors import ClientTypeError

# Not allowed in a value (RFC 9110 section 5.5).
CONTROLS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Headers(dict[str, str]):
    """The fields of a response: the last value by lower-case name, and `all(name)`."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = list(pairs)
        super().__init__(self.pairs)

    def all(self, name: str) -> list[str]:
        """Return all values of a field, in order."""
        name = name.lower()
        return [value for key, value in self.pairs if key == name]


def build_lines(given: object) -> dict[str, bytes]:
    """Return the lines of a `headers=` keyword by lower-case name.

    An empty value removes a field that would be sent otherwise, as in C Kore. Raises
    ClientTypeError if *given* is not a dict of str, ValueError for an invalid field or one that
    frames the message.
    """
    if not isinstance(given, dict):
        raise ClientTypeError("headers keyword must be a dict")
    return {
        name.lower(): _format_line(name, value) for name, value in map(_check_field, given.items())
    }


def _check_field(pair: tuple[object, object]) -> tuple[str, str]:
    """Return name and value. Raises ClientTypeError or ValueError if they are no valid field."""
    name, value = pair
    if not isinstance(name, str) or not isinstance(value, str):
        raise ClientTypeError(f"headers must be str: {name!r}: {value!r}")
    if not is_token(name):
        raise ValueError(f"{name!r} is not the name of a header field")
    if CONTROLS.search(value):
        raise ValueError(f"header field {name!r}: control characters are not allowed")
    if name.lower() == "transfer-encoding":
        raise ValueError("transfer-encoding cannot be set: the client frames the body")
    return name, value


def _format_line(name: str, value: str) -> bytes:
    """Return a field as a line for libcurl, which sends no field for one without a value."""
    return f"{name}: {value}".encode() if value.strip() else f"{name}:".encode()


def parse_headers(lines: Iterable[bytes]) -> Headers:
    """Return the fields of the last head in *lines*.

    Earlier heads are of interim responses and redirects. Lines after the last head are trailers,
    which must not be merged with the header fields (RFC 9110 section 6.5.1).
    """
    pairs: list[tuple[str, str]] = []
    is_head = False
    for each in lines:
        if each.startswith(b"HTTP/"):
            is_head = True
            pairs = []
        elif not each.strip():
            is_head = False
        elif is_head:
            name, _, value = each.decode("latin-1").partition(":")
            pairs.append((name.strip().lower(), value.strip()))
    return Headers(pairs)


def is_head_complete(lines: list[bytes]) -> bool:
    """Return whether the last head in *lines* has its end, or there is none, as in HTTP/0.9."""
    if not lines or not lines[-1].strip():
        return True
    for each in reversed(lines):
        if each.startswith(b"HTTP/"):
            return False
        if not each.strip():
            return True
    return True


def parse_status(line: bytes) -> int:
    """Return the status of a status line, 0 if it has none."""
    word = line.split(maxsplit=2)[1:2]
    return int(word[0]) if word and word[0].isdigit() else 0

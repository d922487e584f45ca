"""Header fields: of a request to what libcurl takes, of a response from what it gives."""

import re
from collections.abc import Iterable
from typing import Final

from kore.errors import ClientTypeError

# RFC 9110 section 5.6.2.
TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 9110 section 5.5: what may be no part of a value.
CONTROLS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Headers(dict[str, str]):
    """The fields of a response: the last value by lower-case name, and `all(name)`."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = list(pairs)
        super().__init__(self.pairs)

    def all(self, name: str) -> list[str]:
        """Return all values of a field in the order in which they came."""
        name = name.lower()
        return [value for key, value in self.pairs if key == name]


def requested(given: object) -> dict[str, bytes]:
    """Return the lines of a `headers=` keyword by lower-case name.

    An empty value takes away a field that would be sent otherwise, as in C Kore. ClientTypeError:
    it is no dict of str. ValueError: it is no field, or one that frames the message.
    """
    if not isinstance(given, dict):
        raise ClientTypeError("headers keyword must be a dict")
    return {name.lower(): line(name, value) for name, value in map(checked, given.items())}


def checked(pair: tuple[object, object]) -> tuple[str, str]:
    """Return a name and a value if they are a field."""
    name, value = pair
    if not isinstance(name, str) or not isinstance(value, str):
        raise ClientTypeError(f"headers must be str: {name!r}: {value!r}")
    if not TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a header field")
    if CONTROLS.search(value):
        raise ValueError(f"header field {name!r}: control characters are not allowed")
    if name.lower() == "transfer-encoding":
        raise ValueError("transfer-encoding cannot be set: the client frames the body")
    return name, value


def line(name: str, value: str) -> bytes:
    """Return a field as libcurl takes it; without a value, that is to leave it out."""
    return f"{name}: {value}".encode() if value.strip() else f"{name}:".encode()


def received(lines: Iterable[bytes]) -> Headers:
    """Return the fields of the last head in *lines*.

    Those before it are interim answers and redirects. What comes behind it are trailers, which
    must not pass for fields of the head: RFC 9110 section 6.5.1.
    """
    pairs: list[tuple[str, str]] = []
    inside = False
    for each in lines:
        if each.startswith(b"HTTP/"):
            inside = True
            pairs = []
        elif not each.strip():
            inside = False
        elif inside:
            name, _, value = each.decode("latin-1").partition(":")
            pairs.append((name.strip().lower(), value.strip()))
    return Headers(pairs)


def whole(lines: list[bytes]) -> bool:
    """Return whether the last head in *lines* has its end, or there is none, as before HTTP/1.0."""
    if not lines or not lines[-1].strip():
        return True
    for each in reversed(lines):
        if each.startswith(b"HTTP/"):
            return False
        if not each.strip():
            return True
    return True


def status_of(line: bytes) -> int:
    """Return the status of the first line of a head, 0 if it is none."""
    word = line.split(maxsplit=2)[1:2]
    return int(word[0]) if word and word[0].isdigit() else 0

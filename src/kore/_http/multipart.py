"""Multipart forms, RFC 7578, by the push parser of the library of that name."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from multipart import (
    MultipartError,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from kore.errors import RefusedError

BOUNDARY_MAX: Final = 70  # RFC 2046 5.1.1
# RFC 8187, which RFC 7578 forbids here and some clients send all the same.
EXTENDED_NAME: Final = re.compile(r";\s*filename\*\s*=\s*(utf-8|iso-8859-1)'[^']*'([^\s;]*)", re.I)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a form is looked at; its size is limited as that of any body."""

    parts: int
    header: int


@dataclass(frozen=True, slots=True)
class Part:
    """A field of a form, or a file when it has a *filename*."""

    name: str
    filename: str | None
    content_type: str
    data: bytes


def read(body: bytes, content_type: str, limits: Limits) -> list[Part]:
    """Return the parts of a form; RefusedError for one that is none, or over a limit."""
    try:
        return list(parts(body, boundary(content_type), limits))
    except ParserLimitReached as error:
        raise RefusedError(413, f"multipart form: {error}") from None
    except MultipartError as error:
        raise RefusedError(400, f"multipart form: {error}") from None


def boundary(content_type: str) -> bytes:
    """Return the boundary a content type announces."""
    text = parse_options_header(content_type)[1].get("boundary", "")
    if not 0 < len(text) <= BOUNDARY_MAX:
        raise RefusedError(400, f"multipart form: a boundary has 1 to {BOUNDARY_MAX} bytes")
    return bytes(text.encode("latin-1"))


def parts(body: bytes, boundary: bytes, limits: Limits) -> Iterator[Part]:
    """Yield the parts between the boundaries."""
    # Latin-1 because it cannot fail; `utf8` makes text of it.
    with PushMultipartParser(
        boundary,
        max_header_size=limits.header,
        max_segment_count=limits.parts,
        header_charset="latin-1",
    ) as parser:
        segment: Any = None
        pieces: list[bytes] = []
        for event in parser.parse(body):
            if event is None:
                yield part(segment, b"".join(pieces))
                pieces = []
            elif isinstance(event, bytes):
                pieces.append(event)
            else:
                segment = event


def part(segment: Any, data: bytes) -> Part:
    """Return a part with its names as text."""
    filename = segment.filename
    if filename is None:
        extended = EXTENDED_NAME.search(segment.header("Content-Disposition", ""))
        if extended is not None:
            filename = unquote_to_bytes(extended[2]).decode(extended[1], "replace")
    else:
        filename = utf8(filename)
    return Part(utf8(segment.name), filename, segment.content_type or "", data)


def utf8(text: str) -> str:
    """Return what was meant by text that was read as Latin-1."""
    return text.encode("latin-1", "replace").decode("utf-8", "replace")

"""Multipart forms, RFC 7578, parsed in slices by the push parser of the library multipart.

Files are not copied: a FormPart has the offset and the length of the file in the body.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from multipart import (
    MultipartError,
    ParserLimitReached,
    PushMultipartParser,
    content_disposition_unquote,
)

from kore._http.body.body_storage import BodyStorage
from kore._http.field_parameters import parse_parameters, unquote_value
from kore.errors import RefusedError

BOUNDARY_MAX: Final = 70  # RFC 2046 5.1.1
FIELDS_MAX: Final = 1 << 24  # bytes of all fields, which are kept in memory
# Bytes parsed at a time, and bytes between two pauses: about a millisecond.
SLICE_SIZE: Final = 1 << 16
PAUSE_INTERVAL: Final = 1 << 20
# Bytes: most heads of parts are shorter.
USUAL_HEAD_SIZE: Final = 512
# RFC 8187, which RFC 7578 forbids here and some clients send all the same.
EXTENDED_NAME: Final = re.compile(r"(utf-8|iso-8859-1)'[^']*'(\S*)", re.I)


@dataclass(frozen=True, slots=True)
class FormLimits:
    """Limits of a form: the number of parts, and the bytes of a field line of one."""

    parts: int
    header: int


@dataclass(frozen=True, slots=True)
class FormPart:
    """A field of a form with its *data*, or a file when it has a *filename*.

    *start* and *length* say where in the body it is.
    """

    name: str
    filename: str | None
    content_type: str
    start: int
    length: int
    data: bytes = b""


def read(
    body: BodyStorage, content_type: str, limits: FormLimits, fields: Collection[str]
) -> Iterator[FormPart | None]:
    """Yield the parts of a form, those named in *fields* with their data, and None for a pause.

    Raises RefusedError if a form is malformed or exceeds a limit.
    """
    try:
        yield from FormReader(body, _parse_boundary(content_type), limits, fields).parts()
    except ParserLimitReached as error:
        raise RefusedError(413, f"multipart form: {error}") from None
    except MultipartError as error:
        raise RefusedError(400, f"multipart form: {error}") from None


def _parse_boundary(content_type: str) -> bytes:
    """Return the boundary parameter of a content type."""
    text = unquote_value(parse_parameters(content_type).get("boundary", ""))
    if not 0 < len(text) <= BOUNDARY_MAX:
        raise RefusedError(400, f"multipart form: a boundary has 1 to {BOUNDARY_MAX} bytes")
    return bytes(text.encode("latin-1"))


class FormReader:
    """Reads one form."""

    def __init__(
        self, body: BodyStorage, boundary: bytes, limits: FormLimits, fields: Collection[str]
    ) -> None:
        self._body = body
        self._delimiter = b"\r\n--" + boundary
        self._limits = limits
        self._fields = fields
        # Latin-1 because it cannot fail; `_decode_utf8` converts the text.
        self._parser = PushMultipartParser(
            boundary,
            max_header_size=limits.header,
            max_segment_count=limits.parts,
            header_charset="latin-1",
        )
        # Offsets of the head of the next part, and of the content of this one.
        self._head = 0
        self._start = 0
        self._length = 0
        # The current part, if any, and its head.
        self._segment: Any = None
        self._name = ""
        self._filename: str | None = None
        self._data_pieces: list[bytes] | None = None
        self._field_bytes_left = FIELDS_MAX

    def parts(self) -> Iterator[FormPart | None]:
        """Yield the parts between the boundaries."""
        self._find_first()
        if self._is_complete():
            return  # a form without parts
        with self._parser:
            for place in range(0, len(self._body), SLICE_SIZE):
                if self._is_complete():
                    return  # the epilogue is ignored
                for event in self._parser.parse(self._body.read(place, SLICE_SIZE)):
                    if event is None:
                        yield self._end_part()
                    elif isinstance(event, bytes):
                        self._add_data(event)
                    else:
                        self._begin_part(event)
                if place % PAUSE_INTERVAL == PAUSE_INTERVAL - SLICE_SIZE:
                    yield None

    def _find_first(self) -> None:
        # The preamble is ignored, and must not be long.
        found = self._body.read(0, SLICE_SIZE).find(self._delimiter[2:])
        if found < 0:
            raise RefusedError(400, f"multipart form: no boundary in the first {SLICE_SIZE} bytes")
        if found and self._body.read(max(found - 2, 0), 2) != b"\r\n":
            raise RefusedError(400, "multipart form: the first boundary begins no line")
        self._head = found + len(self._delimiter)

    def _is_complete(self) -> bool:
        return self._segment is None and self._body.read(self._head - 2, 2) == b"--"

    def _begin_part(self, segment: Any) -> None:
        self._segment = segment
        self._start = self._find_end_of_head()
        self._length = 0
        said = parse_parameters(segment.header("Content-Disposition", ""))
        self._name = _read_value(said, "name") or ""
        self._filename = _file_name(said)
        field = self._filename is None and self._name in self._fields
        self._data_pieces = [] if field else None

    def _find_end_of_head(self) -> int:
        # The parser does not tell its offset, but the first empty line from here ends the head.
        size = USUAL_HEAD_SIZE
        while True:
            found = self._body.read(self._head, size).find(b"\r\n\r\n")
            if found >= 0:
                return self._head + found + 4
            size *= 8

    def _add_data(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._data_pieces is not None:
            self._field_bytes_left -= len(piece)
            if self._field_bytes_left < 0:
                raise RefusedError(413, f"multipart form: more than {FIELDS_MAX} bytes of fields")
            self._data_pieces.append(piece)

    def _end_part(self) -> FormPart:
        segment, self._segment = self._segment, None
        self._head = self._start + self._length + len(self._delimiter) + 2
        return FormPart(
            self._name,
            self._filename,
            segment.content_type or "",
            self._start,
            self._length,
            b"".join(self._data_pieces or ()),
        )


def _file_name(said: Mapping[str, str]) -> str | None:
    """Return the name of a file; None for a field."""
    name = _read_value(said, "filename")
    if name is not None:
        return name
    extended = EXTENDED_NAME.fullmatch(unquote_value(said.get("filename*", "")))
    if extended is None:
        return None
    return unquote_to_bytes(extended[2]).decode(extended[1], "replace")


def _read_value(said: Mapping[str, str], name: str) -> str | None:
    """Return the text of a parameter as browsers write it; None if it is missing."""
    value = said.get(name)
    if value is None:
        return None
    if value[:1] == '"' and (len(value) == 1 or value[-1] != '"'):
        value = value[1:]  # a quote that never ends
    return _decode_utf8(content_disposition_unquote(value, name == "filename"))


def _decode_utf8(text: str) -> str:
    """Return UTF-8 text that was decoded as Latin-1."""
    return text.encode("latin-1", "replace").decode("utf-8", "replace")

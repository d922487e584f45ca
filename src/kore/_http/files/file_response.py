"""Respond with an open file: header fields, preconditions, ranges."""

import os
from dataclasses import dataclass
from functools import lru_cache
from time import time
from typing import Any, Final, Protocol

from kore._http.files import conditions
from kore._http.files.ranges import FilePart, parse_range
from kore._values.dates import format_http_date
from kore._values.methods import HTTP_METHOD_GET

# Entries of the cache of header fields, about 1.5 KiB each.
HEADERS_CACHE_SIZE: Final = 512
NANOSECONDS: Final = 10**9
# Seconds after the start of the second in which a file changed until no other version can have the
# same date: a second, and a tick of the kernel's clock, at most 1/100.
SETTLED_SECONDS: Final = 1.02
# Fields that a 304 has, too: RFC 9110 section 15.4.5.
NOT_MODIFIED_FIELDS: Final = (b"etag", b"vary", b"cache-control")

Field = tuple[bytes, bytes]


class ResponseFile(Protocol):
    """An open file of the core."""

    @property
    def size(self) -> int:
        """The size in bytes when it was opened."""

    @property
    def mtime_ns(self) -> int:
        """The time of the last change, in nanoseconds."""

    @property
    def inode(self) -> int:
        """The inode number."""

    @property
    def is_regular(self) -> bool:
        """Whether it is a regular file."""

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""

    def get_range(self, start: int, size: int) -> Any:
        """Return a part of it, to be sent."""


# Compared by identity, which makes it a cheap key of the cache; filemaps keep the instances.
@dataclass(frozen=True, slots=True, eq=False)
class FileVariant:
    """The values of fields that depend on the filemap and on the request, not on the file."""

    type: str
    coding: str = ""
    varies: bool = False
    cache_control: str = ""


@dataclass(frozen=True, slots=True)
class FileHeaders:
    """The header fields of one version of a file."""

    etag: str
    modified: int
    # Pairs of a lower-case name and a value.
    fields: tuple[Field, ...]


def send_file(request: Any, file: ResponseFile, kind: FileVariant) -> None:
    """Respond with a file, with parts of it, or with 304."""
    found = _build_headers(file.size, file.mtime_ns, file.inode, kind)
    fields = found.fields
    settled = time() >= found.modified + SETTLED_SECONDS
    if not settled:
        # RFC 9110 section 8.8.2: it may change again in the same second, and get no other date. And
        # a date in the future must not be sent.
        fields = tuple(field for field in fields if field[0] != b"last-modified")
    if request.is_conditional:
        version = conditions.FileVersion(found.etag, found.modified, settled)
        _send_conditional(request, file, version, fields)
    else:
        request.respond_with_parts(200, fields, (file.get_range(0, file.size),))


# The fields of a version never change.
@lru_cache(HEADERS_CACHE_SIZE)
def _build_headers(size: int, mtime_ns: int, inode: int, kind: FileVariant) -> FileHeaders:
    """Return the header fields of a version of a file.

    The tag is strong: a change of the bytes changes the time, unless a program sets that back, and
    then usually the inode or the size differs.
    """
    etag = f'"{mtime_ns:x}-{size:x}-{inode:x}{"-" if kind.coding else ""}{kind.coding}"'
    modified = mtime_ns // NANOSECONDS
    fields = {
        "content-type": kind.type,
        "content-encoding": kind.coding,
        "last-modified": format_http_date(modified),
        "etag": etag,
        "accept-ranges": "bytes",
        "vary": "accept-encoding" if kind.varies else "",
        "cache-control": kind.cache_control,
        # Browsers must not guess another type, for example of uploaded files.
        "x-content-type-options": "nosniff",
    }
    pairs = tuple((name.encode(), value.encode()) for name, value in fields.items() if value)
    return FileHeaders(etag, modified, pairs)


def _send_conditional(
    request: Any, file: ResponseFile, version: conditions.FileVersion, fields: tuple[Field, ...]
) -> None:
    """Respond to a request with preconditions or ranges."""
    status = conditions.check_preconditions(request.header_values, version)
    if status == conditions.NOT_MODIFIED:
        kept = tuple(field for field in fields if field[0] in NOT_MODIFIED_FIELDS)
        request.respond_with_parts(status, kept, ())
    elif status == conditions.FAILED:
        request.refuse(status)
    else:
        _send_parts(request, file, fields, _select_parts(request, file, version))


def _select_parts(
    request: Any, file: ResponseFile, version: conditions.FileVersion
) -> list[FilePart] | None:
    """Return the ranges of a file that a request asks for; None for the whole file."""
    values = request.header_values("range")
    # RFC 9110 section 14.2: only for GET. Two fields contradict each other.
    if len(values) != 1 or request.method != HTTP_METHOD_GET:
        return None
    if not conditions.can_use_range(request.header_values, version):
        return None
    return parse_range(values[0], file.size)


def _send_parts(
    request: Any, file: ResponseFile, fields: tuple[Field, ...], parts: list[FilePart] | None
) -> None:
    """Respond with ranges of a file."""
    if parts is None:
        request.respond_with_parts(200, fields, (file.get_range(0, file.size),))
    elif not parts:
        request.refuse(416, size=file.size)
    elif len(parts) == 1:
        place = (b"content-range", _format_content_range(parts[0], file.size))
        request.respond_with_parts(206, (*fields, place), (file.get_range(*parts[0]),))
    else:
        _send_multipart(request, file, fields, parts)


def _send_multipart(
    request: Any, file: ResponseFile, fields: tuple[Field, ...], parts: list[FilePart]
) -> None:
    """Respond with several ranges, each with a head of its own: RFC 9110 section 14.6."""
    # Random, so that no file can contain it.
    boundary = os.urandom(16).hex().encode()
    own = dict(fields)[b"content-type"]
    pieces: list[Any] = []
    for part in parts:
        head = b"\r\n--%b\r\ncontent-type: %b\r\ncontent-range: %b\r\n\r\n" % (
            boundary, own, _format_content_range(part, file.size),
        )  # fmt: skip
        pieces += (head, file.get_range(*part))
    pieces.append(b"\r\n--%b--\r\n" % boundary)
    kind = (b"content-type", b"multipart/byteranges; boundary=%b" % boundary)
    others = (field for field in fields if field[0] != b"content-type")
    request.respond_with_parts(206, (kind, *others), tuple(pieces))


def _format_content_range(part: FilePart, size: int) -> bytes:
    """Return the value of a Content-Range field."""
    first, length = part
    return b"bytes %d-%d/%d" % (first, first + length - 1, size)

"""An open file becomes an answer: its fields, preconditions, ranges."""

import os
from dataclasses import dataclass
from functools import lru_cache
from time import time
from typing import Any, Final, Protocol

from kore._http.files import conditions
from kore._http.files.ranges import FilePart, parse_range
from kore._values.dates import format_http_date
from kore._values.methods import HTTP_METHOD_GET

# Files of which a worker remembers what it says about them, some 1.5 KiB each.
HEADERS_CACHE_SIZE: Final = 512
NANOSECONDS: Final = 10**9
# Seconds after the start of a file's second until no other version can get the same date: a second,
# and the step of the kernel's clock for files, at most 1/100.
SETTLED_SECONDS: Final = 1.02
# Of a file's fields, those that an answer without the file has, too: RFC 9110 section 15.4.5.
NOT_MODIFIED_FIELDS: Final = (b"etag", b"vary", b"cache-control")

Field = tuple[bytes, bytes]


class ResponseFile(Protocol):
    """An open file, as the core has it."""

    @property
    def size(self) -> int:
        """Bytes it had when it was opened."""

    @property
    def mtime_ns(self) -> int:
        """When it was changed, in nanoseconds."""

    @property
    def inode(self) -> int:
        """Its number in its file system."""

    @property
    def is_regular(self) -> bool:
        """Whether it is a file that has bytes."""

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""

    def get_range(self, start: int, size: int) -> Any:
        """Return a part of it, to be sent."""


# Known by identity, which is cheaper to look up: whoever needs one keeps it.
@dataclass(frozen=True, slots=True, eq=False)
class FileVariant:
    """What is said of a file beside what it is: the fields that depend on more than its bytes."""

    type: str
    coding: str = ""
    varies: bool = False
    cache_control: str = ""


@dataclass(frozen=True, slots=True)
class FileHeaders:
    """What is said of one version of a file."""

    etag: str
    modified: int
    # Pairs of a lower-case name and a value.
    fields: tuple[Field, ...]


def send_file(request: Any, file: ResponseFile, kind: FileVariant) -> None:
    """Answer with a file, a part of it, or that the client has it."""
    found = _build_headers(file.size, file.mtime_ns, file.inode, kind)
    fields = found.fields
    settled = time() >= found.modified + SETTLED_SECONDS
    if not settled:
        # RFC 9110 section 8.8.2: in its second it may change once more, without another date; and
        # it cannot have been changed later than now.
        fields = tuple(field for field in fields if field[0] != b"last-modified")
    if request.is_conditional:
        version = conditions.FileVersion(found.etag, found.modified, settled)
        _send_conditional(request, file, version, fields)
    else:
        request.answer_pieces(200, fields, (file.get_range(0, file.size),))


# What is true of a version of a file is true for ever.
@lru_cache(HEADERS_CACHE_SIZE)
def _build_headers(size: int, mtime_ns: int, inode: int, kind: FileVariant) -> FileHeaders:
    """Return what to say of a file.

    The tag is strong: whoever changes the bytes changes the time, and whoever sets the time back
    has made another file or another size.
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
        # The type is what it says, whoever put the file there.
        "x-content-type-options": "nosniff",
    }
    pairs = tuple((name.encode(), value.encode()) for name, value in fields.items() if value)
    return FileHeaders(etag, modified, pairs)


def _send_conditional(
    request: Any, file: ResponseFile, version: conditions.FileVersion, fields: tuple[Field, ...]
) -> None:
    """Answer a request that has preconditions or asks for parts."""
    verdict = conditions.check_preconditions(request.header_values, version)
    if verdict == conditions.NOT_MODIFIED:
        kept = tuple(field for field in fields if field[0] in NOT_MODIFIED_FIELDS)
        request.answer_pieces(verdict, kept, ())
    elif verdict == conditions.FAILED:
        request.refuse(verdict)
    else:
        _send_parts(request, file, fields, _select_parts(request, file, version))


def _select_parts(
    request: Any, file: ResponseFile, version: conditions.FileVersion
) -> list[FilePart] | None:
    """Return the parts of a file that a request asks for; None: all of it."""
    values = request.header_values("range")
    # RFC 9110 section 14.2: of GET alone. Two fields say two things.
    if len(values) != 1 or request.method != HTTP_METHOD_GET:
        return None
    if not conditions.can_use_range(request.header_values, version):
        return None
    return parse_range(values[0], file.size)


def _send_parts(
    request: Any, file: ResponseFile, fields: tuple[Field, ...], parts: list[FilePart] | None
) -> None:
    """Answer with parts of a file."""
    if parts is None:
        request.answer_pieces(200, fields, (file.get_range(0, file.size),))
    elif not parts:
        request.refuse(416, size=file.size)
    elif len(parts) == 1:
        place = (b"content-range", _format_content_range(parts[0], file.size))
        request.answer_pieces(206, (*fields, place), (file.get_range(*parts[0]),))
    else:
        _send_multipart(request, file, fields, parts)


def _send_multipart(
    request: Any, file: ResponseFile, fields: tuple[Field, ...], parts: list[FilePart]
) -> None:
    """Answer with several parts, each behind a head of its own: RFC 9110 section 14.6."""
    # Nobody can have put it into a file.
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
    request.answer_pieces(206, (kind, *others), tuple(pieces))


def _format_content_range(part: FilePart, size: int) -> bytes:
    """Return the value of the field that says which part it is."""
    first, length = part
    return b"bytes %d-%d/%d" % (first, first + length - 1, size)

"""The core's parsers and writers for tests; see testing.pyx."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from kore._core.accesslog import AccessLog

class ParsedHead(NamedTuple):
    """What a request head says."""

    used: int
    method: bytes
    target: bytes
    path: bytes
    query: bytes | None
    host: bytes
    minor: int
    fields: list[tuple[bytes, bytes]]
    length: int | None
    chunked: bool
    close: bool

class HeadReader:
    """Parses a request head that is fed in pieces."""

    quote: bytes
    def __init__(
        self,
        *,
        head_max: int = 16384,
        line_max: int = 8000,
        fields_max: int = 100,
        any_method: bool = False,
    ) -> None: ...
    def reset(self) -> None: ...
    def feed(self, data: bytes) -> ParsedHead | None: ...

def parse(
    data: bytes,
    *,
    head_max: int = 16384,
    line_max: int = 8000,
    fields_max: int = 100,
    any_method: bool = False,
) -> ParsedHead | None: ...

class ChunkReader:
    """Decodes a chunked body that is fed in pieces."""

    done: bool
    def feed(self, data: bytes) -> tuple[bytes, int]: ...

def read_body(
    pieces: Iterable[bytes], length: int | None = None, *, size_max: int = ...
) -> tuple[bytes, bytes] | None: ...
def read_frame_head(
    data: bytes, *, compression: bool = False
) -> tuple[int, int, bool, bool, bytes, int] | int | None: ...
def mask_payload(data: bytes, mask: bytes, offset: int = 0) -> bytes: ...
def encode_frame(op: int, data: bytes | memoryview, *, compressed: bool = False) -> bytes: ...
def advance_utf8(data: bytes, state: int = 0) -> int | None: ...
def read_close_code(payload: bytes) -> int: ...

class MessageReader:
    """Assembles messages from frames that are fed in pieces."""

    rest: bytes
    def __init__(
        self,
        *,
        frame_max: int = 1048576,
        message_max: int = 1048576,
        inflate: Callable[[bytes, int], bytes] | None = None,
    ) -> None: ...
    def feed(self, data: bytes) -> list[tuple[int, str | bytes] | int]: ...

def write_head(
    status: int,
    fields: Iterable[tuple[str, str]] | None = None,
    *,
    second: int = 0,
    keep: bool = True,
    length: int | None = None,
    chunked: bool = False,
    server: bytes = b"kore",
    keepalive: int = 20,
    hsts: bytes | None = None,
) -> bytes: ...
def write_log_line(
    access_log: AccessLog, raw: bytes, values: Mapping[str, object] = ..., *, address: bytes = ...
) -> None: ...
def format_number(number: int) -> bytes: ...
def format_date(second: int) -> bytes: ...
def slot_size() -> int: ...
def slot_fields() -> dict[str, tuple[int, int]]: ...

"""Request heads; see parser.pyx."""

from typing import NamedTuple

from kore._core.refusals import ParseError as ParseError

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
    """Feed bytes until a head is complete."""

    def __init__(
        self, *, head_max: int = 16384, line_max: int = 8000, fields_max: int = 100
    ) -> None: ...
    def reset(self) -> None: ...
    def feed(self, data: bytes) -> ParsedHead | None: ...

def parse(
    data: bytes, *, head_max: int = 16384, line_max: int = 8000, fields_max: int = 100
) -> ParsedHead | None: ...

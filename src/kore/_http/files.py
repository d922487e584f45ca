"""An uploaded file, as a handler sees it."""

import re
from typing import Final

READ_MAX: Final = 1024  # bytes of one read(), as in Kore
CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")


class HttpFile:
    """A file of a multipart form. `kore.http_file` in Kore's words."""

    __slots__ = ("_place", "body", "content_type", "filename", "name", "raw_filename")

    def __init__(self, name: str, filename: str, content_type: str, body: bytes) -> None:
        self.name = name
        # What the client wrote; it may hold folders, or anything else.
        self.raw_filename = filename
        self.filename = base_name(filename)
        self.content_type = content_type
        self.body = body
        self._place = 0

    def __len__(self) -> int:
        return len(self.body)

    def __bool__(self) -> bool:
        return True  # an empty file is a file

    def __repr__(self) -> str:
        return f"<kore.http_file {self.name!r} {self.filename!r} {len(self)} bytes>"

    def read(self, length: int) -> tuple[int, bytes]:
        """Return the next piece as (how many bytes, bytes); (0, b"") at the end."""
        if length < 0:
            raise ValueError(f"cannot read {length} bytes")
        if length > READ_MAX:
            raise RuntimeError(f"len > sizeof(buf): read at most {READ_MAX} bytes at a time")
        piece = self.body[self._place : self._place + length]
        self._place += len(piece)
        return len(piece), piece


def base_name(filename: str) -> str:
    """Return what a file may safely be called: the last part of the path that a client sent."""
    name = CONTROLS.sub("", re.split(r"[/\\]", filename)[-1])
    return "" if name in {".", ".."} else name

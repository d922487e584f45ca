"""Request bodies on their way in; see body.pyx."""

from collections.abc import Iterable

def read_body(
    pieces: Iterable[bytes], length: int | None = None, *, most: int = ...
) -> tuple[bytes, bytes] | None: ...

"""The interface of stored request bodies, and bodies in memory.

Bodies in files are in `spool.py`. Forms, uploaded files and `req.body` use only this interface.
"""

import os
from hashlib import sha256
from typing import Protocol


class BodyStorage(Protocol):
    """A complete body, in memory or in a file."""

    def __len__(self) -> int: ...

    def read(self, place: int, length: int) -> bytes:
        """Return *length* bytes from offset *place* on, fewer at the end."""

    def digest(self) -> bytes:
        """Return the SHA-256 of the body."""

    def copy(self, target: int, place: int, length: int) -> None:
        """Write *length* bytes from offset *place* on to the descriptor *target*."""


class MemoryBody:
    """A body in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def read(self, place: int, length: int) -> bytes:
        """Return *length* bytes from offset *place* on, fewer at the end."""
        return self._data[place : place + length]

    def digest(self) -> bytes:
        """Return the SHA-256 of the body."""
        return sha256(self._data).digest()

    def copy(self, target: int, place: int, length: int) -> None:
        """Write *length* bytes from offset *place* on to the descriptor *target*."""
        left = memoryview(self._data)[place : place + length]
        while left:
            left = left[os.write(target, left) :]


def get_body_storage(body: bytes | BodyStorage | None) -> BodyStorage:
    """Return the body of a request as a BodyStorage; one of 0 bytes for None."""
    if body is None:
        return MemoryBody(b"")
    return MemoryBody(body) if isinstance(body, bytes) else body

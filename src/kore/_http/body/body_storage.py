"""What a body is read from, wherever it is: its length, and any part of it."""

import os
from hashlib import sha256
from typing import Protocol


class BodyStorage(Protocol):
    """A whole body."""

    def __len__(self) -> int: ...

    def read(self, place: int, length: int) -> bytes:
        """Return so many bytes from *place* on, fewer at the end."""

    def digest(self) -> bytes:
        """Return the SHA-256."""

    def copy(self, target: int, place: int, length: int) -> None:
        """Write a part to the descriptor *target*."""


class MemoryBody:
    """A body in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def read(self, place: int, length: int) -> bytes:
        """Return so many bytes from *place* on, fewer at the end."""
        return self._data[place : place + length]

    def digest(self) -> bytes:
        """Return the SHA-256."""
        return sha256(self._data).digest()

    def copy(self, target: int, place: int, length: int) -> None:
        """Write a part to the descriptor *target*."""
        left = memoryview(self._data)[place : place + length]
        while left:
            left = left[os.write(target, left) :]


def get_body_storage(body: bytes | BodyStorage | None) -> BodyStorage:
    """Return what a request has for a body as a source: nothing is one of no bytes."""
    if body is None:
        return MemoryBody(b"")
    return MemoryBody(body) if isinstance(body, bytes) else body

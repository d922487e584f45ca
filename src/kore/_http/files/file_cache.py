"""A cache of open files for the next second: opening a file costs most of a response."""

from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

# Files of one generation. There are two, so twice as many descriptors are open.
OPEN_MAX: Final = 64


class FileOpener(Protocol):
    """An open file, as the cache uses it."""

    @property
    def is_regular(self) -> bool:
        """Whether it is a regular file."""

    def refresh(self) -> bool:
        """Read size and time again; return whether the file still has a name."""


F = TypeVar("F", bound=FileOpener)


class OpenFileCache(Generic[F]):
    """Opens files, and keeps them open for two calls of turn().

    Each use refreshes size and time, so a changed, removed or replaced file is noticed at once. A
    file that was moved, or a path through another directory now, is noticed within two turns.
    """

    def __init__(self, open_: Callable[[int, str], F | None]) -> None:
        self._open = open_
        self._young: dict[tuple[int, str], F] = {}
        self._old: dict[tuple[int, str], F] = {}

    def open(self, directory: int, name: str) -> F | None:
        """Return the file of a name in a directory; None if there is none."""
        key = (directory, name)
        kept = self._young.get(key) or self._old.get(key)
        if kept is not None:
            if kept.refresh():
                return kept
            self._young.pop(key, None)
            self._old.pop(key, None)
        file = self._open(directory, name)
        if file is not None and file.is_regular and len(self._young) < OPEN_MAX:
            self._young[key] = file
        return file

    def turn(self) -> None:
        """Close the files that were opened before the previous call. Called twice a second."""
        self._old, self._young = self._young, {}

    def clear(self) -> None:
        """Close all files. To be called when a directory's descriptor number is reused."""
        self._old, self._young = {}, {}

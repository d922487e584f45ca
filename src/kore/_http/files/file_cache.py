"""Files stay open for a moment after they were asked for: opening is what costs most."""

from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

# Of one turn: twice as many descriptors may be open for it, beside those of what is being sent.
OPEN_MAX: Final = 64


class FileOpener(Protocol):
    """An open file, as far as keeping it goes."""

    @property
    def is_regular(self) -> bool:
        """Whether it is a file that has bytes."""

    def refresh(self) -> bool:
        """See how it is now; return whether it has a name still."""


F = TypeVar("F", bound=FileOpener)


class OpenFileCache(Generic[F]):
    """Opens files, and keeps them open until the turn after next.

    A file that is kept is looked at each time, so that a change of its bytes, its end or another
    file in its place are seen at once. A name that leads elsewhere without that (the file has
    moved and lives on, or a directory on the way is another) is noticed within two turns.
    """

    def __init__(self, open_: Callable[[int, str], F | None]) -> None:
        self._open = open_
        self._young: dict[tuple[int, str], F] = {}
        self._old: dict[tuple[int, str], F] = {}

    def open(self, directory: int, name: str) -> F | None:
        """Return what is called *name* in a directory, None when there is nothing."""
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
        """Let go of what has been kept since the turn before the last. Call it twice a second."""
        self._old, self._young = self._young, {}

    def clear(self) -> None:
        """Let go of everything: a descriptor of a directory means another one now."""
        self._old, self._young = {}, {}

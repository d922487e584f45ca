"""Give memory of a burst back to the system, when the worker has become quiet."""

import ctypes
from collections.abc import Callable
from typing import Any, Final

# Events of one sweep, twice a second, below which a pause of some milliseconds harms nobody.
QUIET: Final = 500
# Free memory that is worth the work.
WORTH: Final = 16 << 20
# Sweeps after an event in which to look: what it was about may end later.
LOOKS: Final = 20


class MallInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


class Trimmer:
    """Looks now and then whether there is memory to give back."""

    def __init__(self) -> None:
        library: Any = ctypes.CDLL(None)
        # glibc has both since 2.33; other libraries give memory back by themselves.
        self.trim: Callable[[int], int] | None = getattr(library, "malloc_trim", None)
        self.info: Any = getattr(library, "mallinfo2", None)
        if self.info is not None:
            self.info.restype = MallInfo
        self.looks = 0
        # Memory that was free at the latest trim, or less since then: it is counted on as free.
        self.least = self.free()

    def free(self) -> int:
        """Return how many bytes are free and kept, 0 where nothing says so."""
        return 0 if self.info is None or self.trim is None else int(self.info().fordblks)

    def turn(self, events: int) -> bool:
        """Return whether to give memory back: there were so many *events* since the last time."""
        self.looks = LOOKS if events else self.looks - 1
        if events >= QUIET or self.looks <= 0:
            return False
        free = self.free()
        self.least = min(self.least, free)
        return free >= self.least + WORTH

    def give_back(self) -> None:
        """Give the system what is free."""
        if self.trim is not None:
            self.trim(0)
        self.least = self.free()

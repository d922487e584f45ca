"""Return free memory to the system when a worker is quiet after a burst."""

import ctypes
from typing import Any, Final

from kore._process.heap import trim_heap

# Events between two sweeps below which a pause of some milliseconds does no harm.
QUIET_EVENTS_MAX: Final = 500
# Bytes of free memory that are worth a trim.
TRIM_SIZE_MIN: Final = 16 << 20
# Sweeps after an event in which to check: what it started may end later.
CHECKS_AFTER_EVENT: Final = 20


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
    """Decides when to trim the heap."""

    def __init__(self) -> None:
        # glibc has it since 2.33; other libraries return memory by themselves.
        self.mallinfo: Any = getattr(ctypes.CDLL(None), "mallinfo2", None)
        if self.mallinfo is not None:
            self.mallinfo.restype = MallInfo
        self.checks_left = 0
        # The lowest free size since the latest trim: what the heap keeps free anyway.
        self.free_size_min = self.get_free_size()

    def get_free_size(self) -> int:
        """Return how many bytes of the heap are free, 0 where the library cannot tell."""
        if self.mallinfo is None:
            return 0
        return int(self.mallinfo().fordblks)

    def should_trim(self, events: int) -> bool:
        """Return whether to trim now, with so many *events* since the last call."""
        self.checks_left = CHECKS_AFTER_EVENT if events else self.checks_left - 1
        if events >= QUIET_EVENTS_MAX or self.checks_left <= 0:
            return False
        free_size = self.get_free_size()
        self.free_size_min = min(self.free_size_min, free_size)
        return free_size >= self.free_size_min + TRIM_SIZE_MIN

    def trim_heap(self) -> None:
        """Return free memory to the system."""
        trim_heap()
        self.free_size_min = self.get_free_size()

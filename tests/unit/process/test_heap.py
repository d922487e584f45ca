"""Free memory below memory in use goes back to the system only when it is asked for."""

import os
from pathlib import Path

from kore._process.heap import trim_heap

SIZE = 100_000  # below what malloc maps by itself
COUNT = 300


def count_resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_free_memory_below_memory_in_use_is_returned() -> None:
    blocks = [b"x" * SIZE for _ in range(COUNT)]
    last = bytearray(SIZE)  # above them: the heap cannot simply shrink
    blocks.clear()
    before = count_resident_bytes()
    trim_heap()

    assert count_resident_bytes() < before - SIZE * COUNT // 2
    assert len(last) == SIZE

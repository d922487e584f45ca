"""A garbage collector that is made to run at one allocation after another.

An object in a ring of its own is finalized by the collector, which runs inside of whatever
allocation crosses its threshold. Each trial lets it run one allocation later than the one before.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MOST = 400  # allocations of the longest exchange


class Trap:
    """An object that only the collector can finalize, and what happens then."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act
        self.ring = self

    def __del__(self) -> None:
        gc.set_threshold(0)
        self.act()


def spring(act: Callable[[], object], allocations: int) -> None:
    """Have *act* run by a finalizer after so many *allocations*."""
    gc.disable()
    gc.collect()
    Trap(act)
    gc.set_threshold(allocations)
    gc.enable()


@contextmanager
def collecting() -> Iterator[None]:
    """Restore the collector's settings in the end. What exists before is not looked at again."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.enable()

"""CPUs of what a pinned worker starts: all that the server may use, not its own only."""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# The CPUs of a worker before it was pinned, by its event loop.
SERVER_CPUS: Final[WeakKeyDictionary["AbstractEventLoop", frozenset[int]]] = WeakKeyDictionary()


def record_cpus(loop: "AbstractEventLoop", cpus: frozenset[int]) -> None:
    """Have processes that are started in this loop run on *cpus*."""
    SERVER_CPUS[loop] = cpus


@contextlib.contextmanager
def unpinned(loop: "AbstractEventLoop") -> Iterator[None]:
    """Return a context manager in which this thread starts processes that are not pinned."""
    own, cpus = os.sched_getaffinity(0), SERVER_CPUS.get(loop)
    if cpus is None or cpus == own:
        yield
        return
    run_on(cpus)
    try:
        yield
    finally:
        run_on(own)


def run_on(cpus: "frozenset[int] | set[int]") -> None:
    """Let this thread, and what it starts, run on *cpus* if the system allows it."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, cpus)

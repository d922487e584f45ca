"""CPU affinity of child processes: all CPUs of the server, not the one a worker is pinned to."""

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
    """Set the CPUs of processes that are started in *loop*."""
    SERVER_CPUS[loop] = cpus


@contextlib.contextmanager
def use_server_cpus(loop: "AbstractEventLoop") -> Iterator[None]:
    """Return a context manager in which this thread starts processes that are not pinned."""
    own, cpus = os.sched_getaffinity(0), SERVER_CPUS.get(loop)
    if cpus is None or cpus == own:
        yield
        return
    set_affinity(cpus)
    try:
        yield
    finally:
        set_affinity(own)


def set_affinity(cpus: "frozenset[int] | set[int]") -> None:
    """Let this thread, and what it starts, run on *cpus* if the system allows it."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, cpus)

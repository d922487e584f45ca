"""One shared page set, a slot per worker: its state, the routes it is in, counters.

Workers write, each its own slot; the parent reads. Nothing in it is a pointer or a length, so
nothing a worker writes there can harm the parent.
"""

import fcntl
import mmap
import os
import struct
from dataclasses import dataclass
from typing import Final

SLOT_SIZE: Final = 256
LABEL_SIZE: Final = 64
# Label of the route that runs, label of the latest that waits, number of waiting requests,
# state, requests served, open connections.
LAYOUT: Final = struct.Struct("=64s64sIB3xQI")
# Where a worker writes its state.
STATE_AT: Final = 132
STARTING, READY, DRAINING = 0, 1, 2
STATES: Final = ("starting", "ready", "draining")
# A worker that could shrink the file would end the parent with a bus error at its next look.
SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


@dataclass(frozen=True, slots=True)
class Reading:
    """What a slot said at one moment."""

    running: str
    suspended: str
    waiting: int
    state: str
    requests: int
    connections: int

    def whereabouts(self) -> str:
        """Say in which route the worker is, as the end of a sentence."""
        if self.running and self.state == STATES[STARTING]:
            return f"while in {self.running}"
        if self.running:
            return f"while in route '{self.running}'"
        if self.waiting:
            return f"with {self.waiting} requests waiting, latest in '{self.suspended}'"
        return "in no route"


class Scoreboard:
    """The pages, as the parent holds them."""

    def __init__(self, slots: int) -> None:
        self.fd = os.memfd_create("kore-scoreboard", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, slots * SLOT_SIZE)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, SEALS)
        self.pages = mmap.mmap(self.fd, slots * SLOT_SIZE)

    def read(self, number: int) -> Reading:
        """Return what the slot of a worker says."""
        return read(self.pages[(number - 1) * SLOT_SIZE : number * SLOT_SIZE])

    def clear(self, number: int) -> None:
        """Make the slot ready for the next worker of this number."""
        self.pages[(number - 1) * SLOT_SIZE : number * SLOT_SIZE] = bytes(SLOT_SIZE)

    def close(self) -> None:
        """Give the pages up."""
        self.pages.close()
        os.close(self.fd)


def attach(fd: int, number: int) -> memoryview:
    """Return the slot of a worker, in the worker. Takes *fd* over."""
    # The mapping keeps a descriptor of its own.
    with os.fdopen(fd, "rb", closefd=True) as file:
        pages = mmap.mmap(file.fileno(), 0)
    return memoryview(pages)[(number - 1) * SLOT_SIZE : number * SLOT_SIZE]


def enter(slot: memoryview, stage: str) -> None:
    """Publish what a worker does before it serves; an empty text: nothing in particular."""
    data = stage.encode()[: LABEL_SIZE - 1] + b"\0"
    slot[: len(data)] = data


def read(slot: bytes) -> Reading:
    """Decode a slot; any bytes will do, and half-written ones may be seen."""
    running, suspended, waiting, state, requests, connections = LAYOUT.unpack_from(slot)
    return Reading(
        running=text(running),
        suspended=text(suspended),
        waiting=waiting,
        state=STATES[state] if state < len(STATES) else "unknown",
        requests=requests,
        connections=connections,
    )


def text(label: bytes) -> str:
    """Return a label up to its first NUL."""
    return label.partition(b"\0")[0].decode("utf-8", "replace")

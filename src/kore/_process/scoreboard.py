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
# state, requests served, open connections; heartbeat, whether the event loop may be blocked.
LAYOUT: Final = struct.Struct("=64s64sIB3xQI12xIB")
# Where a worker writes its state.
STATE_AT: Final = 132
# Its heartbeat, and whether the application has said that it blocks the event loop.
BEAT: Final = struct.Struct("=I")
BEAT_AT: Final = 160
BLOCKING_AT: Final = 164
# Behind all slots: the stacks of each worker's threads, as faulthandler writes them.
STACKS_SIZE: Final = 1 << 14
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
    beat: int = 0
    blocking: bool = False

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
        self.slots = slots
        size = slots * (SLOT_SIZE + STACKS_SIZE)
        self.has_stacks = True
        try:
            os.ftruncate(self.fd, size)
        except OSError:  # the limit of a file's size (RLIMIT_FSIZE) counts here, too
            # One byte more than slots: so a worker knows that there is nothing behind them.
            size = slots * SLOT_SIZE + 1
            self.has_stacks = False
            os.ftruncate(self.fd, size)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, SEALS)
        self.pages = mmap.mmap(self.fd, size)

    def read(self, number: int) -> Reading:
        """Return what the slot of a worker says."""
        return read(self.pages[(number - 1) * SLOT_SIZE : number * SLOT_SIZE])

    def clear(self, number: int) -> None:
        """Make the slot ready for the next worker of this number."""
        self.pages[(number - 1) * SLOT_SIZE : number * SLOT_SIZE] = bytes(SLOT_SIZE)

    def clear_stacks(self, number: int) -> None:
        """Make room for the stacks of a worker."""
        if not self.has_stacks:
            return
        start = stacks_at(self.slots, number)
        self.pages[start : start + STACKS_SIZE] = bytes(STACKS_SIZE)

    def stacks(self, number: int) -> str:
        """Return the stacks that a worker has written, or nothing."""
        if not self.has_stacks:
            return ""
        start = stacks_at(self.slots, number)
        written = self.pages[start : start + STACKS_SIZE].strip(b"\0")
        return written.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Give the pages up."""
        self.pages.close()
        os.close(self.fd)


def stacks_at(slots: int, number: int) -> int:
    """Return where the stacks of a worker begin."""
    return slots * SLOT_SIZE + (number - 1) * STACKS_SIZE


def open_stacks(fd: int, number: int) -> tuple[int, int]:
    """Return a descriptor to write stacks to, with an offset of its own, and that offset."""
    slots, rest = divmod(os.fstat(fd).st_size, SLOT_SIZE + STACKS_SIZE)
    if rest:
        return -1, 0
    offset = stacks_at(slots, number)
    try:
        stacks = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # no /proc here
        return -1, offset
    os.lseek(stacks, offset, os.SEEK_SET)
    return stacks, offset


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
    running, suspended, waiting, state, requests, connections, beat, blocking = (
        LAYOUT.unpack_from(slot)
    )
    return Reading(
        running=text(running),
        suspended=text(suspended),
        waiting=waiting,
        state=STATES[state] if state < len(STATES) else "unknown",
        requests=requests,
        connections=connections,
        beat=beat,
        blocking=bool(blocking),
    )


def text(label: bytes) -> str:
    """Return a label up to its first NUL."""
    return label.partition(b"\0")[0].decode("utf-8", "replace")

"""Shared memory with a slot for each worker: its state, the routes it is in, counters.

A worker writes its own slot. The parent reads all of them, for status reports, and to find out
what a worker was doing when it died. A slot has a page of its own, and a worker maps no other
page. There are neither pointers nor lengths in it, so nothing that a worker writes can harm the
parent. Behind the slots each worker has room for the stacks of its threads.
"""

import contextlib
import fcntl
import mmap
import os
import struct
from dataclasses import dataclass
from typing import Final

# The fields of a slot and their types, aligned as in C: the same as `Slot` of
# _core/scoreboard_slot.pxd, to which the core writes. The parent does not import the core, so a
# test compares the two.
FIELDS: Final = {
    "running": "64s",  # label of the route that runs
    "waiting": "64s",  # label of the latest route whose handler waits
    "pending": "I",  # requests whose handlers wait
    "state": "B",  # STARTING, READY or DRAINING
    "served": "Q",  # requests served
    "connections": "I",  # open connections
    "heartbeat": "I",  # incremented by the event loop
    "blocking": "B",  # the application has announced that it blocks the event loop
}
LAYOUT: Final = struct.Struct("@" + "".join(FIELDS.values()))


def offset_of(field: str) -> int:
    """Return where a field begins in a slot."""
    before = "".join(list(FIELDS.values())[: list(FIELDS).index(field)])
    return struct.calcsize(f"@{before}{FIELDS[field]}") - struct.calcsize(FIELDS[field])


SLOT_SIZE: Final = 256
LABEL_SIZE: Final = struct.calcsize(FIELDS["running"])
# What a worker writes in Python.
STATE_AT: Final = offset_of("state")
BEAT: Final = struct.Struct("@" + FIELDS["heartbeat"])
BEAT_AT: Final = offset_of("heartbeat")
BLOCKING_AT: Final = offset_of("blocking")
# Bytes for the stacks of a worker's threads, as faulthandler writes them.
STACKS_SIZE: Final = 1 << 14
# Distance of two slots: what can be mapped alone.
PAGE_SIZE: Final = mmap.ALLOCATIONGRANULARITY
STARTING, READY, DRAINING = 0, 1, 2
STATES: Final = ("starting", "ready", "draining")
# Reading a page that a worker has cut off the file would kill the parent with SIGBUS.
SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


@dataclass(frozen=True, slots=True)
class SlotSnapshot:
    """The content of a slot at one moment."""

    running: str
    suspended: str
    waiting: int
    state: str
    requests: int
    connections: int
    beat: int = 0
    blocking: bool = False

    def describe_activity(self) -> str:
        """Return which route the worker runs, as the end of a sentence."""
        if self.running and self.state == STATES[STARTING]:
            return f"while in {self.running}"
        if self.running:
            return f"while in route '{self.running}'"
        if self.waiting:
            return f"with {self.waiting} requests waiting, latest in '{self.suspended}'"
        return "in no route"


@dataclass(frozen=True, slots=True)
class BoardLayout:
    """How a scoreboard file is divided, which its size tells.

    The limit of a file's size (RLIMIT_FSIZE) may not allow for stacks, nor for pages: then the
    file has 1 or 2 bytes more than its slots need, as a mark of that.
    """

    slots: int
    # Distance of two slots: a page, or SLOT_SIZE if they share pages.
    stride: int
    stacks_size: int

    @property
    def size(self) -> int:
        """The size of the file."""
        mark = 0 if self.stacks_size else 1 if self.stride == PAGE_SIZE else 2
        return self.slots * (self.stride + self.stacks_size) + mark

    def slot_at(self, number: int) -> int:
        """Return where the slot of a worker begins."""
        return (number - 1) * self.stride

    def stacks_at(self, number: int) -> int:
        """Return where the stacks of a worker begin."""
        return self.slots * self.stride + (number - 1) * self.stacks_size


def possible_layouts(slots: int) -> tuple[BoardLayout, ...]:
    """Return the layouts for so many slots, the best one first."""
    return (
        BoardLayout(slots, PAGE_SIZE, STACKS_SIZE),
        BoardLayout(slots, PAGE_SIZE, 0),
        BoardLayout(slots, SLOT_SIZE, 0),
    )


def _resize_file(fd: int, slots: int) -> BoardLayout:
    """Give a new file the size of the best layout that is possible, and return that."""
    *preferred, compact = possible_layouts(slots)
    for layout in preferred:
        with contextlib.suppress(OSError):
            os.ftruncate(fd, layout.size)
            return layout
    os.ftruncate(fd, compact.size)
    return compact


def read_layout(fd: int) -> BoardLayout:
    """Return the layout of a scoreboard file."""
    size = os.fstat(fd).st_size
    one = possible_layouts(1)[size % SLOT_SIZE]
    return BoardLayout(size // (one.stride + one.stacks_size), one.stride, one.stacks_size)


class Scoreboard:
    """All slots, as the parent maps them."""

    def __init__(self, slots: int) -> None:
        self.fd = os.memfd_create("kore-scoreboard", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self.layout = _resize_file(self.fd, slots)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, SEALS)
        self.pages = mmap.mmap(self.fd, self.layout.size)

    def read(self, number: int) -> SlotSnapshot:
        """Return the content of a worker's slot."""
        start = self.layout.slot_at(number)
        return decode_slot(self.pages[start : start + SLOT_SIZE])

    def clear(self, number: int) -> None:
        """Zero the slot for the next worker of this number."""
        start = self.layout.slot_at(number)
        self.pages[start : start + SLOT_SIZE] = bytes(SLOT_SIZE)

    def clear_stacks(self, number: int) -> None:
        """Zero the stacks of a worker."""
        start, size = self.layout.stacks_at(number), self.layout.stacks_size
        self.pages[start : start + size] = bytes(size)

    def stacks(self, number: int) -> str:
        """Return the stacks that a worker has written, or an empty string."""
        start = self.layout.stacks_at(number)
        written = self.pages[start : start + self.layout.stacks_size].strip(b"\0")
        return written.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Unmap the pages and close the file."""
        self.pages.close()
        os.close(self.fd)


def open_stacks(fd: int, number: int) -> tuple[int, int]:
    """Return a descriptor to write a worker's stacks to, or -1, and their offset.

    It is a new open file, so that its file position is not shared with other workers.
    """
    layout = read_layout(fd)
    if not layout.stacks_size:
        return -1, 0
    offset = layout.stacks_at(number)
    try:
        stacks = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # /proc is not mounted
        return -1, offset
    os.lseek(stacks, offset, os.SEEK_SET)
    return stacks, offset


def map_slot(fd: int, number: int) -> memoryview:
    """Map the page of a worker's slot, in the worker; return the slot. Closes *fd*."""
    # The mapping keeps a duplicate of the descriptor.
    with os.fdopen(fd, "rb", closefd=True) as file:
        layout = read_layout(file.fileno())
        start = layout.slot_at(number)
        if layout.stride == PAGE_SIZE:
            page = mmap.mmap(file.fileno(), PAGE_SIZE, offset=start)
            return memoryview(page)[:SLOT_SIZE]
        return memoryview(mmap.mmap(file.fileno(), 0))[start : start + SLOT_SIZE]


def publish_stage(slot: memoryview, stage: str) -> None:
    """Publish what a worker does before it serves; an empty text for nothing in particular."""
    data = stage.encode()[: LABEL_SIZE - 1] + b"\0"
    slot[: len(data)] = data


def decode_slot(slot: bytes) -> SlotSnapshot:
    """Decode a slot. Accepts any bytes: the worker may be hostile, or writing just now."""
    running, suspended, waiting, state, requests, connections, beat, blocking = LAYOUT.unpack_from(
        slot
    )
    return SlotSnapshot(
        running=_decode_label(running),
        suspended=_decode_label(suspended),
        waiting=waiting,
        state=STATES[state] if state < len(STATES) else "unknown",
        requests=requests,
        connections=connections,
        beat=beat,
        blocking=bool(blocking),
    )


def _decode_label(label: bytes) -> str:
    """Return a label up to its first NUL."""
    return label.partition(b"\0")[0].decode("utf-8", "replace")

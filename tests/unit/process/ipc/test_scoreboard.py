import mmap
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._core.testing import slot_fields, slot_size
from kore._process.ipc import scoreboard
from kore._process.ipc.scoreboard import LAYOUT, SLOT_SIZE, STATE_AT, Scoreboard, SlotSnapshot
from kore._process.privsep import open_descriptors


@pytest.fixture
def board() -> Iterator[Scoreboard]:
    with_three = Scoreboard(3)
    yield with_three
    with_three.close()


def test_parent_reads_what_a_worker_writes(board: Scoreboard) -> None:
    slot = scoreboard.map_slot(os.dup(board.fd), 2)
    slot[0:5] = b"/slow"
    slot[64:69] = b"/wait"
    slot[128:132] = struct.pack("=I", 7)
    slot[STATE_AT] = scoreboard.READY
    slot[136:144] = struct.pack("=Q", 1 << 40)
    slot[144:148] = struct.pack("=I", 12)

    assert board.read(2) == SlotSnapshot("/slow", "/wait", 7, "ready", 1 << 40, 12)
    assert board.read(1) == board.read(3) == SlotSnapshot("", "", 0, "starting", 0, 0)


def test_layout_is_that_of_the_core() -> None:
    fields = {
        name: (scoreboard.offset_of(name), struct.calcsize(form))
        for name, form in scoreboard.FIELDS.items()
    }

    assert slot_fields() == fields
    assert LAYOUT.size <= slot_size() <= SLOT_SIZE


def test_worker_maps_its_own_page_only(board: Scoreboard) -> None:
    before = mapped_board_pages()
    slot = scoreboard.map_slot(os.dup(board.fd), 2)

    assert len(slot) == SLOT_SIZE
    assert mapped_board_pages() - before == {(board.layout.slot_at(2), mmap.PAGESIZE)}


def mapped_board_pages() -> set[tuple[int, int]]:
    """Return (offset in the file, size) of each mapping of a scoreboard in this process."""
    found = set()
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "/memfd:kore-scoreboard" in line:
            addresses, _, offset, *_ = line.split()
            start, end = (int(address, 16) for address in addresses.split("-"))
            found.add((int(offset, 16), end - start))
    return found


def test_layout_follows_from_the_size_of_the_file() -> None:
    for slots in (1, 2, 3, 16, 17, 64, 255, 256, 1000):
        for layout in scoreboard.possible_layouts(slots):
            fd = os.memfd_create("board")
            os.ftruncate(fd, layout.size)
            assert scoreboard.read_layout(fd) == layout
            os.close(fd)


def test_clear_zeroes_a_slot(board: Scoreboard) -> None:
    slot = scoreboard.map_slot(os.dup(board.fd), 1)
    slot[:] = b"x" * SLOT_SIZE
    board.clear(1)

    assert bytes(slot) == bytes(SLOT_SIZE)


@pytest.mark.parametrize(
    ("reading", "sentence"),
    [
        (SlotSnapshot("/slow", "/wait", 7, "ready", 0, 0), "while in route '/slow'"),
        (
            SlotSnapshot("", "/wait", 7, "ready", 0, 0),
            "with 7 requests waiting, latest in '/wait'",
        ),
        (SlotSnapshot("", "/wait", 0, "ready", 0, 0), "in no route"),
        (SlotSnapshot("workerstart", "", 0, "starting", 0, 0), "while in workerstart"),
        (SlotSnapshot("", "", 0, "starting", 0, 0), "in no route"),
    ],
)
def test_activity_names_the_relevant_route(reading: SlotSnapshot, sentence: str) -> None:
    assert reading.describe_activity() == sentence


def test_stage_before_serving_is_published(board: Scoreboard) -> None:
    slot = scoreboard.map_slot(os.dup(board.fd), 2)
    said = []
    for stage in ("workerstart", "x" * 100, ""):
        scoreboard.publish_stage(slot, stage)
        said.append(board.read(2).running)

    assert said == ["workerstart", "x" * 63, ""]


@given(st.binary(min_size=SLOT_SIZE, max_size=SLOT_SIZE))
def test_any_bytes_can_be_read(slot: bytes) -> None:
    assert scoreboard.decode_slot(slot).describe_activity()


def test_file_cannot_be_resized(board: Scoreboard) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(board.fd, 0)
    with pytest.raises(PermissionError):
        os.ftruncate(board.fd, 1 << 20)


def test_attached_slot_holds_one_descriptor(board: Scoreboard) -> None:
    before = open_descriptors()
    slot = scoreboard.map_slot(os.dup(board.fd), 1)

    assert isinstance(slot.obj, mmap.mmap)
    assert len(open_descriptors() - before) == 1


@pytest.mark.parametrize("slots", [1, 2])
def test_parent_reads_the_stacks_of_a_worker(slots: int) -> None:
    board = Scoreboard(slots)
    stacks, offset = scoreboard.open_stacks(board.fd, slots)
    os.write(stacks, b"in index\n")
    assert (board.stacks(slots), os.lseek(stacks, 0, os.SEEK_CUR)) == ("in index", offset + 9)
    board.clear_stacks(slots)
    assert board.stacks(slots) == ""
    os.close(stacks)
    board.close()


def test_file_size_limit_leaves_slots_only() -> None:
    code = (
        "import resource, signal; from kore._process.ipc import scoreboard as s; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); board = s.Scoreboard(2); "
        "board.clear_stacks(2); print(board.stacks(2) == '', s.open_stacks(board.fd, 2)); "
        "slot = s.map_slot(board.fd, 2); slot[s.STATE_AT] = s.READY; print(board.read(2).state)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "True (-1, 0)\nready\n"

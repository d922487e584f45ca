"""The heartbeat of a worker: its counter, blocks that may block, stack dumps."""

import faulthandler
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from kore._process.ipc.scoreboard import BEAT, BEAT_AT, BLOCKING_AT, SLOT_SIZE
from kore._process.privsep import STACK_DUMP_SIGNAL
from kore._process.worker.heartbeat import COUNTER_MODULUS, Heartbeat


@pytest.fixture
def slot() -> memoryview:
    return memoryview(bytearray(SLOT_SIZE))


def count(slot: memoryview) -> int:
    (beats,) = BEAT.unpack_from(slot, BEAT_AT)
    return int(beats)


def test_each_beat_counts(slot: memoryview) -> None:
    heartbeat = Heartbeat(slot, -1, 0)
    heartbeat.beat()
    heartbeat.beat()

    assert count(slot) == 2


def test_the_counter_begins_again_at_its_end(slot: memoryview) -> None:
    heartbeat = Heartbeat(slot, -1, 0)
    heartbeat._count = COUNTER_MODULUS - 1
    heartbeat.beat()

    assert count(slot) == 0


def test_a_block_that_may_block_is_on_the_scoreboard(slot: memoryview) -> None:
    heartbeat = Heartbeat(slot, -1, 0)
    with heartbeat.blocking():
        with heartbeat.blocking():
            assert slot[BLOCKING_AT] == 1
        # One within another: it is over with the outer one.
        assert slot[BLOCKING_AT] == 1
    assert slot[BLOCKING_AT] == 0
    assert count(slot) == 2
    assert abs(time.monotonic() - heartbeat.blocked_at) < 60


def test_a_block_ends_with_its_exception(slot: memoryview) -> None:
    heartbeat = Heartbeat(slot, -1, 0)
    with pytest.raises(ZeroDivisionError), heartbeat.blocking():
        _ = 1 / 0
    assert slot[BLOCKING_AT] == 0


def test_another_thread_does_not_block_the_loop(slot: memoryview) -> None:
    heartbeat, seen = Heartbeat(slot, -1, 0), []

    def block() -> None:
        with heartbeat.blocking():
            seen.append(slot[BLOCKING_AT])

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert (seen, count(slot)) == ([0], 0)


def test_a_stack_dump_is_written_where_the_last_one_was(slot: memoryview, tmp_path: Path) -> None:
    path = tmp_path / "stacks"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(fd, b"before")
    heartbeat = Heartbeat(slot, fd, 6)
    heartbeat.open()
    try:
        for _ in range(2):
            heartbeat.beat()
            signal.raise_signal(STACK_DUMP_SIGNAL)
    finally:
        faulthandler.unregister(STACK_DUMP_SIGNAL)
        os.close(fd)
    text = path.read_text()

    assert text.startswith("before")
    assert text.count("Current thread") == 1
    assert "test_a_stack_dump_is_written_where_the_last_one_was" in text

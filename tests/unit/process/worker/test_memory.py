"""The heap of a worker is trimmed after a burst."""

from pathlib import Path

from kore._process.worker.memory import CHECKS_AFTER_EVENT, QUIET_EVENTS_MAX, TRIM_SIZE_MIN, Trimmer

SIZE = 100_000  # below what malloc maps by itself


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_heap_is_trimmed_when_quiet_after_a_burst() -> None:
    trimmer = Trimmer()
    blocks = [b"x" * SIZE for _ in range(4 * TRIM_SIZE_MIN // SIZE)]
    last = bytearray(SIZE)  # above them: the heap cannot simply shrink
    in_use = trimmer.should_trim(1)
    with_them = resident()
    blocks.clear()
    answers = [trimmer.should_trim(QUIET_EVENTS_MAX), trimmer.should_trim(0)]
    trimmer.trim_heap()

    assert (in_use, answers) == (False, [False, True])
    assert resident() < with_them - TRIM_SIZE_MIN
    assert trimmer.should_trim(1) is False
    assert len(last) == SIZE


def test_idle_worker_does_not_check() -> None:
    trimmer = Trimmer()
    trimmer.should_trim(1)
    blocks = [b"x" * SIZE for _ in range(4 * TRIM_SIZE_MIN // SIZE)]
    last = bytearray(SIZE)
    for _ in range(CHECKS_AFTER_EVENT):
        trimmer.should_trim(0)
    blocks.clear()

    assert trimmer.should_trim(0) is False
    assert trimmer.should_trim(1) is True
    assert len(last) == SIZE

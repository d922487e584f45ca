"""Memory that is given back after a burst."""

from pathlib import Path

from kore._process.worker.memory import LOOKS, QUIET, WORTH, Trimmer

SIZE = 100_000  # below what malloc maps by itself


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_after_a_burst_memory_is_given_back_when_it_is_quiet() -> None:
    trimmer = Trimmer()
    blocks = [b"x" * SIZE for _ in range(4 * WORTH // SIZE)]
    last = bytearray(SIZE)  # above them: the heap cannot simply shrink
    in_use = trimmer.turn(1)
    with_them = resident()
    blocks.clear()
    answers = [trimmer.turn(QUIET), trimmer.turn(0)]
    trimmer.give_back()

    assert (in_use, answers) == (False, [False, True])
    assert resident() < with_them - WORTH
    assert trimmer.turn(1) is False
    assert len(last) == SIZE


def test_a_worker_that_does_nothing_does_not_look() -> None:
    trimmer = Trimmer()
    trimmer.turn(1)
    blocks = [b"x" * SIZE for _ in range(4 * WORTH // SIZE)]
    last = bytearray(SIZE)
    for _ in range(LOOKS):
        trimmer.turn(0)
    blocks.clear()

    assert trimmer.turn(0) is False
    assert trimmer.turn(1) is True
    assert len(last) == SIZE

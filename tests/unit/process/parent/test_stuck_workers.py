"""Workers whose event loop does not turn: what is logged about them, and when they are replaced."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kore._process.ipc import scoreboard
from kore._process.parent.stuck_workers import REPORT_AFTER, STACKS_TIMEOUT, StuckWorkers
from tests.helpers.fake_children import FakeFamily, fake_family

TIMEOUT = REPORT_AFTER + 3


class Watched:
    """A family whose only worker beats its heart when the test says so."""

    def __init__(self, family: FakeFamily, *, may_kill: bool = True, **settings: Any) -> None:
        self.family = family
        (self.worker,) = family.serve(workers=1, worker_stuck_timeout=TIMEOUT, **settings)
        self.child = self.worker.child
        parent = family.parent
        self.stuck = StuckWorkers(parent.loop, parent.children, may_kill=may_kill)
        self.stuck.check()

    def write(self, offset: int, data: bytes) -> None:
        """Write to the slot of the worker."""
        board = self.child.generation.scoreboard
        assert board is not None
        start = board.layout.slot_at(self.child.board_slot) + offset
        board.pages[start : start + len(data)] = data

    def beat(self, number: int) -> None:
        self.write(scoreboard.BEAT_AT, scoreboard.BEAT.pack(number))

    def check(self, times: int) -> None:
        """Check so many times, a second apart, and do what is due a moment after each."""
        for _ in range(times):
            self.stuck.check()
            self.family.elapse(STACKS_TIMEOUT)


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Iterator[Watched]:
    with fake_family(monkeypatch) as family:
        yield Watched(family, **options)


@pytest.fixture
def one(family: FakeFamily) -> Watched:
    return Watched(family)


def test_a_worker_that_stands_still_is_reported_once(
    one: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    one.check(REPORT_AFTER - 1)
    assert "is stuck" not in caplog.text

    one.check(2)

    assert caplog.text.count("is stuck in no route") == 1
    assert not one.child.kill_requested


def test_a_worker_that_goes_on_says_so(one: Watched, caplog: pytest.LogCaptureFixture) -> None:
    one.check(REPORT_AFTER)
    one.beat(7)
    one.check(1)

    assert f"worker 1 (pid {one.worker.pid}) goes on after {REPORT_AFTER} s" in caplog.messages


def test_a_worker_that_stands_still_for_too_long_is_killed(
    one: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    one.check(TIMEOUT)

    assert "(worker_stuck_timeout), killed" in caplog.text
    assert one.child.kill_requested


def test_a_worker_that_moves_again_before_its_stacks_are_read_is_let_live(
    one: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    one.check(TIMEOUT - 1)
    one.stuck.check()
    one.beat(7)
    one.family.elapse(STACKS_TIMEOUT)

    assert not one.child.kill_requested


def test_a_worker_that_moves_is_never_reported(
    one: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(2 * TIMEOUT):
        one.beat(number)
        one.check(1)

    assert "stuck" not in caplog.text


def test_an_announced_block_does_not_count(one: Watched, caplog: pytest.LogCaptureFixture) -> None:
    one.write(scoreboard.BLOCKING_AT, b"\1")
    one.check(2 * TIMEOUT)

    assert "stuck" not in caplog.text
    assert not one.child.kill_requested


def test_stacks_that_the_worker_writes_are_the_detail(
    one: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    one.check(REPORT_AFTER - 1)
    one.stuck.check()
    board = one.child.generation.scoreboard
    assert board is not None
    start = board.layout.stacks_at(one.child.board_slot)
    board.pages[start : start + 6] = b"File x"
    one.family.elapse(STACKS_TIMEOUT)

    (record,) = [r for r in caplog.records if "is stuck" in r.getMessage()]
    assert vars(record)["detail"] == "File x"


def test_under_kodev_no_worker_is_killed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with watched(monkeypatch, may_kill=False) as one:
        one.check(3 * TIMEOUT)

        assert "is stuck" in caplog.text
        assert not one.child.kill_requested


def test_a_worker_that_ends_has_other_limits(one: Watched) -> None:
    one.child.generation.retiring = True
    one.check(3 * TIMEOUT)

    assert not one.child.kill_requested


def test_a_worker_that_has_ended_is_forgotten(one: Watched) -> None:
    assert one.child in one.stuck.observations
    one.worker.exit()
    one.stuck.check()

    assert one.stuck.observations == {}


def test_checks_go_on(one: Watched) -> None:
    one.stuck.watch()
    one.family.elapse(1.0)

    assert one.stuck.observations[one.child].checks == 2

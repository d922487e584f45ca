from collections.abc import Callable, Iterator

import pytest

from kore._conf.settings import Settings
from kore._process.ipc import scoreboard
from kore._process.ipc.channel import Channel, open_pair
from kore._process.parent.eventloop import ParentLoop
from kore._process.parent.generation import Child, Generation
from kore._process.parent.launcher import StartWatchdog
from kore._process.parent_config import ParentConfig
from kore._process.roles import TEMPLATE, WORKER


class House:
    """Starts with a clock of their own, and what they have reported."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.loop = ParentLoop()
        self.said: list[str] = []
        self.starts = StartWatchdog(
            self.loop, lambda _, what: self.said.append(what), lambda: self.now
        )
        self.generation = Generation()
        self.generation.prepare(ParentConfig("kore", Settings(workers=2), ()), {})
        self.sockets = [*open_pair()]
        self.template = Child(TEMPLATE, 0, Channel(self.sockets[0]), self.generation, pid=7)
        self.generation.template = self.template
        self.worker = Child(WORKER, 2, Channel(self.sockets[1]), self.generation, pid=8)

    def after(self, seconds: float) -> list[str]:
        """Let time pass, and return what is reported by then."""
        self.now += seconds
        self.starts.check()
        return self.said

    def enter(self, stage: str) -> None:
        assert self.generation.scoreboard is not None
        board = self.generation.scoreboard
        slot = memoryview(board.pages)[board.layout.slot_at(2) :]
        scoreboard.publish_stage(slot, stage)
        slot.release()


@pytest.fixture
def house() -> Iterator[House]:
    ours = House()
    yield ours
    ours.generation.close()
    for sock in ours.sockets:
        sock.close()
    ours.loop.close()


def test_who_is_late_is_reported_once(house: House) -> None:
    house.starts.watch(house.template, 3)

    assert house.after(2.9) == []
    said = "template (pid 7) has been loading the application for 3 s (start_timeout)"
    assert house.after(0.1) == [said]
    assert house.after(100) == [said]


@pytest.mark.parametrize(
    ("stage", "what"),
    [("workerstart", "in workerstart"), ("onload", "in onload"), ("", "starting")],
)
def test_what_a_worker_is_doing_is_told(house: House, stage: str, what: str) -> None:
    house.starts.watch(house.worker, 1)
    house.enter(stage)

    assert house.after(1) == [f"worker 2 (pid 8) has been {what} for 1 s (start_timeout)"]


def test_a_worker_that_nobody_has_seen_is_its_templates_fault(house: House) -> None:
    house.worker.pid = 0
    house.starts.watch(house.worker, 1)

    assert house.after(1) == ["template (pid 7) has not forked worker 2 for 1 s (start_timeout)"]


def ready(house: House) -> None:
    house.worker.ready = True


def ended(house: House) -> None:
    house.worker.ended = True


def doomed(house: House) -> None:
    house.worker.kill_requested = True


def retired(house: House) -> None:
    house.generation.retiring = True


def given_more(house: House) -> None:
    house.worker.start_timeout = 1000


def given_all(house: House) -> None:
    house.worker.start_timeout = 0


@pytest.mark.parametrize("event", [ready, ended, doomed, retired, given_more, given_all])
def test_who_is_not_waited_for_is_never_late(house: House, event: Callable[[House], None]) -> None:
    house.starts.watch(house.worker, 2)
    house.after(1)
    event(house)

    assert house.after(500) == []


def test_a_limit_that_comes_later_counts_from_the_start(house: House) -> None:
    house.starts.watch(house.template, 0)
    house.after(100)
    house.template.start_timeout = 99

    assert len(house.after(0)) == 1


def test_several_are_watched_at_the_same_time(house: House) -> None:
    house.starts.watch(house.template, 2)
    house.now += 1
    house.starts.watch(house.worker, 2)

    assert len(house.after(1)) == 1
    assert len(house.after(1)) == 2


def test_who_is_given_up_with_another_is_not_reported_too(house: House) -> None:
    def give_up(_: Child, what: str) -> None:
        house.said.append(what)
        house.generation.retiring = True

    house.starts.on_timeout = give_up
    house.starts.watch(house.template, 2)
    house.starts.watch(house.worker, 2)

    assert len(house.after(2)) == 1


def test_it_looks_by_itself_and_only_as_long_as_there_is_somebody(house: House) -> None:
    house.starts.watch(house.worker, 1)
    house.now += 1
    while not house.said:
        house.loop.turn()

    assert house.loop._get_timeout() is None, "nothing is waited for"


@pytest.mark.parametrize(("setting", "seconds"), [(None, 60), (5, 5), (0, 0)])
def test_a_generation_knows_its_limit_as_soon_as_it_has_a_plan(
    setting: int | None, seconds: int
) -> None:
    generation = Generation()
    if setting is not None:
        generation.config = ParentConfig("kore", Settings(start_timeout=setting), ())

    assert generation.start_timeout == seconds

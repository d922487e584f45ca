"""Launcher: command lines, start-up deadlines, orders to fork, restarts with back-off."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kore._conf.settings import Settings
from kore._process.eventloop import CallbackLoop
from kore._process.ipc import scoreboard
from kore._process.ipc.channel import Channel, close_descriptors, open_pair
from kore._process.ipc.descriptors import CHANNEL, PARENT_DEATH, SCOREBOARD
from kore._process.ipc.messages import Fork, NotForked
from kore._process.parent.generation import Child, Generation
from kore._process.parent.launcher import LaunchOptions, StartWatchdog
from kore._process.parent.parent import Parent
from kore._process.parent_config import ParentConfig
from kore._process.roles import BACKGROUND, DEVELOPMENT, TEMPLATE, WORKER
from tests.helpers.fake_children import FakeFamily


class Starts:
    """A watchdog with a clock of its own, and what it has reported."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.loop = CallbackLoop()
        self.reports: list[str] = []
        self.watchdog = StartWatchdog(
            self.loop, lambda _, what: self.reports.append(what), lambda: self.now
        )
        self.generation = Generation()
        self.generation.prepare(ParentConfig("kore", Settings(workers=2), ()), {})
        self.sockets = [*open_pair()]
        self.template = Child(TEMPLATE, 0, Channel(self.sockets[0]), self.generation, pid=7)
        self.generation.template = self.template
        self.worker = Child(WORKER, 2, Channel(self.sockets[1]), self.generation, pid=8)

    def elapse(self, seconds: float) -> list[str]:
        """Let time pass, check, and return all reports."""
        self.now += seconds
        self.watchdog.check()
        return self.reports

    def publish_stage(self, stage: str) -> None:
        assert self.generation.scoreboard is not None
        board = self.generation.scoreboard
        slot = memoryview(board.pages)[board.layout.slot_at(2) :]
        scoreboard.publish_stage(slot, stage)
        slot.release()


@pytest.fixture
def starts() -> Iterator[Starts]:
    ours = Starts()
    yield ours
    ours.generation.close()
    for sock in ours.sockets:
        sock.close()
    ours.loop.close()


def test_late_child_is_reported_once(starts: Starts) -> None:
    starts.watchdog.watch(starts.template, 3)

    assert starts.elapse(2.9) == []
    report = "template (pid 7) has been loading the application for 3 s (start_timeout)"
    assert starts.elapse(0.1) == [report]
    assert starts.elapse(100) == [report]


@pytest.mark.parametrize(
    ("stage", "what"),
    [("workerstart", "in workerstart"), ("onload", "in onload"), ("", "starting")],
)
def test_report_names_the_stage_of_a_worker(starts: Starts, stage: str, what: str) -> None:
    starts.watchdog.watch(starts.worker, 1)
    starts.publish_stage(stage)

    assert starts.elapse(1) == [f"worker 2 (pid 8) has been {what} for 1 s (start_timeout)"]


def test_report_names_the_template_of_a_worker_without_pid(starts: Starts) -> None:
    starts.worker.pid = 0
    starts.watchdog.watch(starts.worker, 1)

    assert starts.elapse(1) == ["template (pid 7) has not forked worker 2 for 1 s (start_timeout)"]


def ready(starts: Starts) -> None:
    starts.worker.ready = True


def ended(starts: Starts) -> None:
    starts.worker.ended = True


def doomed(starts: Starts) -> None:
    starts.worker.kill_requested = True


def retired(starts: Starts) -> None:
    starts.generation.retiring = True


def given_more(starts: Starts) -> None:
    starts.worker.start_timeout = 1000


def given_all(starts: Starts) -> None:
    starts.worker.start_timeout = 0


@pytest.mark.parametrize("event", [ready, ended, doomed, retired, given_more, given_all])
def test_child_not_expected_to_start_is_never_late(
    starts: Starts, event: Callable[[Starts], None]
) -> None:
    starts.watchdog.watch(starts.worker, 2)
    starts.elapse(1)
    event(starts)

    assert starts.elapse(500) == []


def test_later_limit_counts_from_the_start(starts: Starts) -> None:
    starts.watchdog.watch(starts.template, 0)
    starts.elapse(100)
    starts.template.start_timeout = 99

    assert len(starts.elapse(0)) == 1


def test_several_children_are_watched(starts: Starts) -> None:
    starts.watchdog.watch(starts.template, 2)
    starts.now += 1
    starts.watchdog.watch(starts.worker, 2)

    assert len(starts.elapse(1)) == 1
    assert len(starts.elapse(1)) == 2


def test_child_ended_by_the_report_of_another_is_not_reported(starts: Starts) -> None:
    def give_up(_: Child, what: str) -> None:
        starts.reports.append(what)
        starts.generation.retiring = True

    starts.watchdog.on_timeout = give_up
    starts.watchdog.watch(starts.template, 2)
    starts.watchdog.watch(starts.worker, 2)

    assert len(starts.elapse(2)) == 1


def test_checks_are_scheduled_while_a_child_is_starting(starts: Starts) -> None:
    starts.watchdog.watch(starts.worker, 1)
    starts.now += 1
    while not starts.reports:
        starts.loop.turn()

    assert starts.loop._get_timeout() is None, "nothing is waited for"


@pytest.mark.parametrize(("setting", "seconds"), [(None, 60), (5, 5), (0, 0)])
def test_start_timeout_is_that_of_the_configuration(setting: int | None, seconds: int) -> None:
    generation = Generation()
    if setting is not None:
        generation.config = ParentConfig("kore", Settings(start_timeout=setting), ())

    assert generation.start_timeout == seconds


# Options


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        (LaunchOptions(), ""),
        (LaunchOptions(background=True), BACKGROUND),
        (LaunchOptions(development=True), DEVELOPMENT),
        (LaunchOptions(background=True, development=True), BACKGROUND),
    ],
)
def test_template_mode_follows_from_the_options(options: LaunchOptions, mode: str) -> None:
    assert options.template_mode == mode


def test_directories_are_those_of_application_and_configuration(tmp_path: Path) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    conf = tmp_path / "etc" / "kore.conf"

    assert LaunchOptions(app=str(package)).list_directories() == {package}
    assert LaunchOptions(app=str(package / "app.py")).list_directories() == {package}
    assert LaunchOptions(conf=str(conf)).list_directories() == {conf.parent}
    assert LaunchOptions(str(package), conf=str(conf)).list_directories() == {package, conf.parent}


# Orders


def test_worker_is_handed_named_descriptors(family: FakeFamily) -> None:
    template = family.load(workers=1)
    (order,) = template.receive(Fork)
    try:
        assert order.names == (CHANNEL, SCOREBOARD, PARENT_DEATH)
        assert set(order.handed) == set(WORKER.descriptors)
        assert all(map(os.fstat, order.descriptors))
    finally:
        close_descriptors(order.descriptors)


def test_successor_gets_another_slot_of_the_scoreboard(family: FakeFamily) -> None:
    worker, _ = family.serve()
    first = worker.child.board_slot
    worker.exit()
    (successor,) = family.fork()

    assert (first, successor.child.board_slot) == (3, 1)


def test_worker_is_not_ordered_while_the_template_loads(family: FakeFamily) -> None:
    worker, _ = family.serve()
    family.template.exit()
    worker.exit()
    family.elapse(0)
    loading = family.template

    assert loading.receive(Fork) == []
    family.configure()
    assert [order.number for order in loading.receive(Fork)] == [worker.number]


def test_worker_that_cannot_be_forked_is_ordered_again(
    family: FakeFamily, caplog: pytest.LogCaptureFixture
) -> None:
    worker, _ = family.serve()
    worker.exit()
    family.template.receive(Fork)
    family.template.send(NotForked(worker.number, "Cannot allocate memory"))
    assert "cannot be forked: Cannot allocate memory" in caplog.text
    family.elapse(0.2)

    assert [order.number for order in family.template.receive(Fork)] == [worker.number]


def test_worker_is_ordered_again_when_the_parent_lacks_descriptors(
    family: FakeFamily,
    parent: Parent,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise OSError(24, "Too many open files")

    worker, _ = family.serve()
    with monkeypatch.context() as patch:
        patch.setattr("kore._process.parent.launcher.open_pair", fail)
        worker.exit()
    assert "cannot start worker 1: Too many open files" in caplog.text
    assert family.template.receive(Fork) == []
    family.elapse(1)

    assert [order.number for order in family.template.receive(Fork)] == [1]
    assert not parent.shutdown.stopping


def test_start_fails_when_the_parent_lacks_descriptors(
    family: FakeFamily, parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError(24, "Too many open files")

    parent.load()
    monkeypatch.setattr("kore._process.parent.launcher.open_pair", fail)
    family.configure()

    assert parent.status == 1
    assert parent.pending is None


def test_policy_of_workers_does_not_apply_to_the_template(
    family: FakeFamily, parent: Parent
) -> None:
    family.serve(worker_death_policy="terminate")
    family.template.exit(code=1)
    family.elapse(0)

    assert not parent.shutdown.stopping
    assert len(family.templates) == 2


@pytest.mark.parametrize("code", [0, 1])
def test_worker_is_restarted_whatever_its_exit_status(
    family: FakeFamily, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    caplog.set_level(logging.INFO)
    worker, _ = family.serve()
    worker.exit(code=code)

    assert f"restarting worker {worker.number}" in caplog.messages
    assert len(family.template.receive(Fork)) == 1

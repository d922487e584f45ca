"""What the parent does when it reloads and when it stops."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kore._process.ipc.messages import (
    FatalError,
    Ready,
    Signal,
    Stop,
)
from kore._process.parent.daemon import DEVELOPMENT_STOP
from kore._process.parent.parent import Parent
from tests.helpers.fake_children import FakeFamily, fake_family, sent_stop

DRAIN = Stop(drain=True)


# Reload


def test_reload_replaces_the_workers_when_the_new_ones_are_ready(
    family: FakeFamily, parent: Parent
) -> None:
    old = family.serve()
    old_template = family.template
    parent.reload()
    family.configure()
    new = family.fork()
    assert not any(map(sent_stop, old))
    for worker in new:
        worker.send(Ready())

    assert all(stop.drain and stop.patient for worker in old for stop in worker.stops)
    assert parent.active is not None
    assert {child.pid for child in parent.active.workers} == {worker.pid for worker in new}
    assert not sent_stop(old_template)
    for worker in old:
        worker.exit()
    assert sent_stop(old_template)


def test_reload_that_fails_leaves_the_workers_alone(
    family: FakeFamily, parent: Parent, caplog: pytest.LogCaptureFixture
) -> None:
    old = family.serve()
    parent.reload()
    family.template.send(FatalError("syntax error"))

    assert "reload failed, the old code goes on serving: syntax error" in caplog.text
    assert not parent.shutdown.stopping
    assert not any(map(sent_stop, old))


def test_reload_during_a_reload_begins_anew(family: FakeFamily, parent: Parent) -> None:
    family.serve()
    parent.reload()
    first = family.template
    parent.reload()

    assert sent_stop(first)
    assert len(family.templates) == 3
    assert parent.is_loading()


def test_hang_up_while_loading_waits_for_quiet(family: FakeFamily, parent: Parent) -> None:
    family.serve()
    parent.hang_up()
    parent.hang_up()
    assert len(family.templates) == 2

    family.elapse(0.5)

    assert len(family.templates) == 3


def test_hang_up_of_a_closed_terminal_is_a_stop(family: FakeFamily, parent: Parent) -> None:
    family.serve()
    with Path(os.devnull).open() as closed:
        parent.terminal.descriptors = [closed.fileno()]
        parent.hang_up()

    assert parent.shutdown.stopping


def test_reload_is_ignored_while_stopping(family: FakeFamily, parent: Parent) -> None:
    family.serve()
    parent.stop()
    parent.reload()

    assert len(family.templates) == 1


# Stop


def test_stop_lets_workers_drain_and_then_ends_the_template(
    family: FakeFamily, parent: Parent
) -> None:
    workers = family.serve()
    parent.terminate()

    assert [worker.stops for worker in workers] == [[DRAIN], [DRAIN]]
    assert not sent_stop(family.template)
    for worker in workers:
        worker.exit()
    assert sent_stop(family.template)
    family.template.exit()
    assert parent.children.all == []


def test_second_stop_is_at_once(family: FakeFamily, parent: Parent) -> None:
    workers = family.serve()
    parent.terminate()
    parent.terminate()

    assert all(worker.stops[-1] == Stop(drain=False) for worker in workers)


def test_stop_of_a_start_ends_what_is_loading(family: FakeFamily, parent: Parent) -> None:
    parent.load()
    parent.stop()

    assert sent_stop(family.template)
    assert parent.pending is None


# Signals


@pytest.mark.parametrize(
    ("number", "happened"),
    [
        (signal.SIGTERM, lambda parent: parent.shutdown.stopping),
        (signal.SIGINT, lambda parent: parent.shutdown.stopping),
        (signal.SIGQUIT, lambda parent: parent.shutdown.immediate),
        (signal.SIGHUP, lambda parent: parent.is_loading()),
    ],
)
def test_signals_are_told_to_workers_and_acted_on(
    family: FakeFamily, parent: Parent, number: int, happened: Callable[[Parent], bool]
) -> None:
    worker, _ = family.serve()
    parent.list_signal_actions()[number]()

    assert worker.receive(Signal) == [Signal(number)]
    assert happened(parent)


def test_status_is_written_for_each_child(
    family: FakeFamily, parent: Parent, capfd: pytest.CaptureFixture[str]
) -> None:
    family.serve()
    parent.list_signal_actions()[signal.SIGUSR2]()

    lines = [line for line in capfd.readouterr().out.splitlines() if "log=[status:" in line]
    assert len(lines) == 4
    assert lines[0].endswith("log=[status: 3 children]")


@pytest.mark.parametrize(("background", "stops"), [(False, True), (True, False)])
def test_interrupt_is_ignored_in_the_background(
    monkeypatch: pytest.MonkeyPatch, *, background: bool, stops: bool
) -> None:
    with fake_family(monkeypatch, background=background) as family:
        family.parent.list_signal_actions()[signal.SIGINT]()

        assert family.parent.shutdown.stopping == stops


def test_development_has_a_signal_that_never_means_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with fake_family(monkeypatch, development=True) as family:
        family.serve()
        for _ in range(2):
            family.parent.list_signal_actions()[DEVELOPMENT_STOP]()

        assert family.parent.shutdown.stopping
        assert not family.parent.shutdown.immediate


# Its end


def test_run_ends_when_it_is_stopping_and_has_no_children(
    family: FakeFamily, parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    trapped: list[Any] = []
    parent.loop.trap_signals = trapped.append  # type: ignore[method-assign]
    monkeypatch.setattr("kore._process.privsep.adopt_orphans", lambda: None)
    family.spawn_error = OSError(12, "Cannot allocate memory")
    parent.finish, finish = (lambda: None), parent.finish  # type: ignore[method-assign]

    assert parent.run() == 1

    parent.finish = finish  # type: ignore[method-assign]
    assert set(trapped[0]) == set(parent.list_signal_actions())

"""The parent's decisions, with children that are objects of the test."""

import os
import signal
from pathlib import Path

import pytest

from kore._conf.settings import VERSION
from kore._process.ipc.messages import (
    ConfigLoaded,
    FatalError,
    Fork,
    Forked,
    Hello,
    LogLine,
    NotForked,
    Ready,
    Shutdown,
    StartTimeout,
    Stop,
)
from kore._process.parent.parent import Parent
from tests.helpers.fake_children import FakeFamily, fake_family, sent_stop

DRAIN = Stop(drain=True)


# Start


def test_start_spawns_a_template_with_the_application(family: FakeFamily, parent: Parent) -> None:
    parent.load()

    ((main, arguments),) = family.commands
    assert main == "kore._process.template.template:main"
    assert arguments[:3] == [str(os.getpid()), "kore._process.worker.worker:main", ""]
    assert arguments[-2:] == ["app.py", ""]
    assert parent.is_loading()


def test_start_asks_the_template_for_each_worker(family: FakeFamily) -> None:
    template = family.load(workers=3)

    assert [order.number for order in template.receive(Fork)] == [1, 2, 3]


def test_start_is_complete_when_all_workers_are_ready(
    family: FakeFamily, parent: Parent, caplog: pytest.LogCaptureFixture
) -> None:
    family.load()
    first, second = family.fork()
    first.send(Ready())
    assert parent.active is None
    second.send(Ready())

    assert parent.active is not None
    assert parent.pending is None
    assert parent.active.was_active
    assert "all worker processes started" in caplog.messages


def test_ready_before_forked_counts_as_well(family: FakeFamily, parent: Parent) -> None:
    template = family.load(workers=1)
    (order,) = template.receive(Fork)
    worker = family.child(order.descriptors[0], 1)
    for descriptor in order.descriptors[1:]:
        os.close(descriptor)
    worker.send(Ready())
    assert parent.active is None
    template.send(Forked(1, worker.pid))

    assert parent.active is not None


def test_template_of_another_version_ends_the_start(
    family: FakeFamily, parent: Parent, capfd: pytest.CaptureFixture[str]
) -> None:
    parent.load()
    family.template.send(Hello("0.0"))

    assert parent.status == 1
    assert parent.shutdown.stopping
    assert f"kore 0.0 is installed by now, and this server runs {VERSION}" in capfd.readouterr().err


def test_template_that_cannot_be_spawned_ends_the_start(
    family: FakeFamily, parent: Parent, capfd: pytest.CaptureFixture[str]
) -> None:
    family.spawn_error = OSError(12, "Cannot allocate memory")
    parent.load()

    assert parent.status == 1
    assert "Cannot allocate memory" in capfd.readouterr().err


def test_template_that_dies_ends_the_start(
    family: FakeFamily, parent: Parent, capfd: pytest.CaptureFixture[str]
) -> None:
    parent.load()
    family.template.exit(killed_by=signal.SIGSEGV)

    assert parent.status == 1
    assert "killed by SIGSEGV" in capfd.readouterr().err


def test_fatal_of_the_template_is_the_reason_of_a_failed_start(
    family: FakeFamily, parent: Parent, capfd: pytest.CaptureFixture[str]
) -> None:
    parent.load()
    family.template.send(FatalError("no route for /"))

    assert parent.status == 1
    assert "no route for /" in capfd.readouterr().err


def test_configuration_that_makes_no_sense_kills_the_template(
    family: FakeFamily, parent: Parent, caplog: pytest.LogCaptureFixture
) -> None:
    parent.load()
    family.template.send(Hello(VERSION), ConfigLoaded({"workers": 0}))

    assert family.template.child.kill_requested
    assert "broke the protocol: invalid configuration message" in caplog.text


def test_second_configuration_is_against_the_protocol(
    family: FakeFamily, caplog: pytest.LogCaptureFixture
) -> None:
    family.load()
    family.configure()

    assert "broke the protocol: second configuration message" in caplog.text


def test_second_ready_is_against_the_protocol(
    family: FakeFamily, caplog: pytest.LogCaptureFixture
) -> None:
    worker, _ = family.serve()
    worker.send(Ready())

    assert "broke the protocol: ready twice" in caplog.text


def test_worker_that_dies_before_it_serves_ends_the_start(
    family: FakeFamily, parent: Parent, capfd: pytest.CaptureFixture[str]
) -> None:
    family.load()
    worker, _ = family.fork()
    worker.exit(code=1)

    assert parent.status == 1
    assert "worker 1 failed to start: exited with status 1" in capfd.readouterr().err


def test_worker_that_cannot_be_forked_ends_the_start(
    family: FakeFamily, parent: Parent, capfd: pytest.CaptureFixture[str]
) -> None:
    template = family.load()
    template.send(NotForked(1, "Resource temporarily unavailable"))

    assert parent.status == 1
    assert "cannot be forked: Resource temporarily unavailable" in capfd.readouterr().err


def test_worker_that_was_not_ordered_is_against_the_protocol(
    family: FakeFamily, caplog: pytest.LogCaptureFixture
) -> None:
    template = family.load()
    template.send(NotForked(9, "unknown"))

    assert "broke the protocol" in caplog.text


def test_template_that_hangs_ends_the_start(family: FakeFamily, parent: Parent) -> None:
    parent.load()
    family.template.send(StartTimeout(7))
    assert family.template.child.start_timeout == 7

    parent.on_start_timeout(family.template.child, "it hangs")

    assert parent.status == 1
    assert family.template.child.kill_requested


def test_production_outside_of_the_background_begins_anew_there(
    family: FakeFamily, parent: Parent
) -> None:
    family.load(deployment="production")

    assert parent.wants_background
    assert parent.shutdown.stopping
    assert parent.status == 0


def test_production_without_a_switch_of_user_is_refused(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with fake_family(monkeypatch, background=False) as family:
        family.load(deployment="production")

        assert family.parent.status == 1
        assert "needs chroot and a switch of user" in capfd.readouterr().err


# Serving


def test_worker_that_dies_is_replaced(family: FakeFamily, caplog: pytest.LogCaptureFixture) -> None:
    worker, _ = family.serve()
    worker.exit(killed_by=signal.SIGKILL)

    (order,) = family.template.receive(Fork)
    assert order.number == 1
    assert f"worker 1 (pid {worker.pid}) killed by SIGKILL in no route" in caplog.messages
    assert "restarting worker 1" in caplog.messages


def test_worker_that_dies_again_and_again_is_replaced_later(family: FakeFamily) -> None:
    worker, _ = family.serve()
    worker.exit()
    (successor,) = family.fork()
    successor.exit()
    assert family.template.receive(Fork) == []

    family.elapse(0.1)

    assert [order.number for order in family.template.receive(Fork)] == [1]


def test_death_of_a_worker_stops_the_server_if_that_is_the_policy(
    family: FakeFamily, parent: Parent
) -> None:
    worker, other = family.serve(worker_death_policy="terminate")
    worker.exit()

    assert parent.shutdown.stopping
    assert parent.status == 1
    assert sent_stop(other)


def test_worker_waits_for_a_template_that_has_died(family: FakeFamily, parent: Parent) -> None:
    worker, other = family.serve()
    family.template.exit()
    worker.exit()
    assert len(family.templates) == 1

    family.elapse(0.2)
    family.configure()

    assert len(family.templates) == 2
    assert [order.number for order in family.template.receive(Fork)] == [1]
    assert not sent_stop(other)
    assert parent.active is not None
    assert len(parent.active.workers) == 2


def test_template_is_tried_at_once_when_no_worker_is_left(family: FakeFamily) -> None:
    (worker,) = family.serve(workers=1)
    family.template.exit()
    worker.exit()

    assert len(family.templates) == 2


def test_another_configuration_of_a_new_template_is_a_reload(
    family: FakeFamily, parent: Parent, caplog: pytest.LogCaptureFixture
) -> None:
    family.serve()
    family.template.exit()
    family.elapse(0.2)
    family.configure(workers=5)

    assert "the application on disk has another configuration by now" in caplog.messages
    assert parent.is_loading()
    assert len(family.templates) == 3


def test_fatal_of_a_worker_stops_the_server(family: FakeFamily, parent: Parent) -> None:
    worker, other = family.serve()
    worker.send(FatalError("the disk is full"))

    assert parent.status == 1
    assert sent_stop(other)


def test_shutdown_of_the_application_stops_the_server(
    family: FakeFamily, parent: Parent, caplog: pytest.LogCaptureFixture
) -> None:
    worker, other = family.serve()
    worker.send(Shutdown())

    assert "shutdown requested by worker 1, going down" in caplog.messages
    assert parent.status == 0
    assert sent_stop(other)


def test_lines_of_children_are_written_with_their_names(
    family: FakeFamily, capfd: pytest.CaptureFixture[str]
) -> None:
    _, worker = family.serve()
    worker.send(LogLine(6, "hello"))

    assert "proc=[wrk 2] log=[hello]" in capfd.readouterr().out


def test_error_of_a_worker_that_does_not_serve_yet_is_kept(
    family: FakeFamily, parent: Parent
) -> None:
    family.load()
    worker, _ = family.fork()
    worker.send(LogLine(3, "failed", "Traceback\n"))

    assert worker.child.exit_reason == "Traceback\nfailed"


def test_worker_that_hangs_at_its_start_is_ended(
    family: FakeFamily, parent: Parent, caplog: pytest.LogCaptureFixture
) -> None:
    worker, _ = family.serve()
    worker.exit()
    (successor,) = family.fork()
    parent.on_start_timeout(successor.child, "it hangs")

    assert "it hangs" in caplog.messages
    assert successor.child.kill_requested
    assert not parent.shutdown.stopping


def test_log_that_cannot_be_opened_by_a_reload_is_told(
    family: FakeFamily, parent: Parent, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    family.serve(workers=1)
    parent.reload()
    family.configure(workers=1, logfile=str(tmp_path / "none" / "log"))
    (worker,) = family.fork()
    worker.send(Ready())

    assert f"{tmp_path}/none/log" in caplog.text
    assert "going on with the old one" in caplog.text
    assert parent.pending is None


def test_worker_that_is_ready_after_its_end_was_noticed_changes_nothing(
    family: FakeFamily, parent: Parent
) -> None:
    family.load(workers=1)
    (worker,) = family.fork()
    child = worker.child
    worker.exit(code=1)
    parent._on_start_progress(child)

    assert parent.active is None

"""Singletons: a real process that is restarted with back-off, and its place in the life cycle."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kore._process.eventloop import CallbackLoop
from kore._process.ipc.messages import LogLine, Message, Ready, Stop
from kore._process.parent.children import Children, describe_exit
from kore._process.parent.generation import Child
from kore._process.parent.launcher import Launcher, LaunchOptions
from kore._process.parent.optional_tls import OptionalTls
from kore._process.parent.parent import Parent
from kore._process.parent.singletons import START_TIMEOUT, Singleton, Singletons
from kore._process.roles import Role, RoleKind
from tests.helpers.fake_children import FakeFamily, fake_family, sent_stop

KEEPER = Role(
    name="keeper",
    label="keeper",
    kind=RoleKind.SINGLETON,
    main="keeper:main",
    sends=frozenset({Ready, LogLine}),
)
MAIN = """
import os, select, socket, sys
from kore._process.ipc.channel import Channel
from kore._process.ipc.descriptors import CHANNEL, parse_arguments
from kore._process.ipc.messages import LogLine, Ready, Stop
from kore._process.roles import RoleKind

def main():
    handed, parent = sys.argv[1:]
    channel = Channel(socket.socket(fileno=parse_arguments(handed)[CHANNEL]))
    channel.send(LogLine(6, f"child of {parent}"))
    channel.send(Ready())
    while not channel.eof:
        select.select([channel], [], [])
        if any(isinstance(message, Stop) for message in channel.receive()):
            os._exit(7)
"""


class Keepers:
    """A loop, the children, and one singleton, without anything else of a parent."""

    def __init__(self) -> None:
        self.loop = CallbackLoop()
        self.children = Children(self.loop, self)
        self.messages: list[Message] = []
        self.exits: list[str] = []
        launcher = Launcher(
            LaunchOptions(), self.children, self.create_tls(), self.report, self.report
        )
        self.singletons = Singletons(launcher, [KEEPER])
        (self.singleton,) = self.singletons.all
        self.loop.trap_signals({signal.SIGCHLD: self.children.reap})

    def create_tls(self) -> OptionalTls:
        """Return the part of the parent for TLS, which singletons do not use."""
        return OptionalTls(self.children, Parent(LaunchOptions()))

    def report(self, *what: object) -> None:
        raise AssertionError(what)

    def on_message(self, child: Child, message: Message) -> None:
        self.messages.append(message)
        child.ready = child.ready or isinstance(message, Ready)

    def on_exit(self, child: Child, status: int) -> None:
        self.exits.append(describe_exit(status))
        self.singletons.handle_exit(child, describe_exit(status))

    def run_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline
            self.loop.after(0.01, lambda: None)
            self.loop.turn()

    def wait_ready(self) -> Child:
        self.run_until(lambda: self.singleton.child is not None and self.singleton.child.ready)
        assert self.singleton.child is not None
        return self.singleton.child

    def kill(self) -> None:
        """Kill the process, and handle its exit."""
        count = len(self.exits)
        os.kill(self.wait_ready().pid, signal.SIGKILL)
        self.run_until(lambda: len(self.exits) > count)


@pytest.fixture
def keepers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keepers]:
    (tmp_path / "keeper.py").write_text(MAIN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    before = signal.getsignal(signal.SIGCHLD)
    ours = Keepers()
    yield ours
    ours.singleton.retiring = True
    for child in list(ours.children.all):
        ours.children.kill(child)
    ours.run_until(lambda: not ours.children.all)
    ours.loop.close()
    signal.signal(signal.SIGCHLD, before)


def test_process_gets_its_channel_and_the_pid_of_the_parent(keepers: Keepers) -> None:
    keepers.singletons.start_all()
    keepers.wait_ready()

    assert keepers.messages == [LogLine(6, f"child of {os.getpid()}"), Ready()]


def test_process_is_restarted_with_a_backoff_of_its_own(keepers: Keepers) -> None:
    # The delay counts from the start, which takes longer than the first delay.
    keepers.singleton.backoff.clock = lambda: 0.0
    keepers.singletons.start_all()
    first = keepers.wait_ready().pid
    keepers.kill()
    second = keepers.wait_ready().pid
    keepers.kill()
    exited = time.monotonic()
    assert keepers.singleton.child is None

    keepers.run_until(lambda: keepers.singleton.child)

    assert time.monotonic() - exited >= 0.1
    assert len({first, second, keepers.wait_ready().pid}) == 3
    assert keepers.exits == ["killed by SIGKILL"] * 2


def test_stopped_process_is_not_restarted(keepers: Keepers) -> None:
    keepers.singletons.start_all()
    keepers.wait_ready()
    keepers.singletons.stop_all()
    keepers.run_until(lambda: not keepers.children.all)

    assert keepers.exits == ["exited with status 7"]
    assert keepers.singleton.child is None


# In the life cycle of the server


@pytest.fixture
def with_singleton(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFamily]:
    with fake_family(monkeypatch, singletons=(KEEPER,)) as made:
        yield made


def test_singleton_starts_when_the_first_configuration_is_accepted(
    with_singleton: FakeFamily,
) -> None:
    with_singleton.parent.load()
    assert with_singleton.singletons == []
    with_singleton.configure()

    assert len(with_singleton.singletons) == 1


def test_singleton_survives_a_reload(with_singleton: FakeFamily) -> None:
    with_singleton.serve()
    with_singleton.parent.reload()
    with_singleton.configure()

    (keeper,) = with_singleton.singletons
    assert not sent_stop(keeper)


def test_singleton_that_exits_is_restarted_and_workers_go_on(with_singleton: FakeFamily) -> None:
    workers = with_singleton.serve()
    with_singleton.singletons[0].exit(code=1)
    with_singleton.elapse(0)

    assert len(with_singleton.singletons) == 2
    assert not any(map(sent_stop, workers))


def test_singleton_is_restarted_when_it_cannot_be_spawned(with_singleton: FakeFamily) -> None:
    with_singleton.serve()
    with_singleton.spawn_error = OSError(12, "Cannot allocate memory")
    with_singleton.singletons[0].exit(code=1)
    with_singleton.elapse(0)
    with_singleton.spawn_error = None
    with_singleton.elapse(1)

    assert len(with_singleton.singletons) == 2


def test_singleton_is_stopped_after_the_last_generation(with_singleton: FakeFamily) -> None:
    workers = with_singleton.serve()
    with_singleton.parent.stop()
    (keeper,) = with_singleton.singletons
    for worker in workers:
        worker.exit()
    assert not sent_stop(keeper)
    with_singleton.template.exit()

    assert keeper.stops == [Stop(drain=True)]
    keeper.exit()
    with_singleton.elapse(100)
    assert len(with_singleton.singletons) == 1
    assert with_singleton.parent.children.all == []


def test_singleton_is_terminated_in_an_immediate_shutdown(with_singleton: FakeFamily) -> None:
    workers = with_singleton.serve()
    with_singleton.parent.stop_immediately()
    for process in (*workers, with_singleton.template):
        process.exit()

    assert with_singleton.singletons[0].stops == [Stop(drain=False)]


def test_failed_start_stops_the_singleton(with_singleton: FakeFamily) -> None:
    worker, other = with_singleton.load() and with_singleton.fork()
    worker.exit(code=1)
    other.exit()
    with_singleton.template.exit()

    assert sent_stop(with_singleton.singletons[0])


def test_singleton_that_does_not_become_ready_is_killed(
    with_singleton: FakeFamily, caplog: pytest.LogCaptureFixture
) -> None:
    with_singleton.serve()
    child = with_singleton.singletons[0].child
    watchdog = with_singleton.parent.launcher.watchdog
    watchdog.clock = lambda: child.start_time + START_TIMEOUT
    watchdog.check()

    assert f"{child} has been starting for {START_TIMEOUT} s (start_timeout)" in caplog.text
    assert child.kill_requested


def test_status_report_contains_the_singleton(with_singleton: FakeFamily) -> None:
    with_singleton.serve()
    child = with_singleton.singletons[0].child
    assert isinstance(child.owner, Singleton)

    assert child.owner.describe_child(child) == "starting"
    with_singleton.singletons[0].send(Ready())
    assert child.owner.describe_child(child) == "ready"
    assert str(child) == f"keeper (pid {child.pid})"
    assert child.log_name == "[keeper]"


def test_exits_of_a_singleton_do_not_stop_the_server(
    with_singleton: FakeFamily, caplog: pytest.LogCaptureFixture
) -> None:
    parent: Parent = with_singleton.parent
    with_singleton.serve(worker_death_policy="terminate")
    with_singleton.singletons[0].exit(killed_by=9)

    assert not parent.shutdown.stopping
    assert "killed by SIGKILL" in caplog.text

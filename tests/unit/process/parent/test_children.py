import logging
import os
import random
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kore._process import privsep
from kore._process.eventloop import CallbackLoop
from kore._process.ipc import messages
from kore._process.ipc.channel import Channel, open_pair
from kore._process.ipc.messages import Forked, LogLine, Message, ProtocolError, Ready, Stop
from kore._process.parent import children as module
from kore._process.parent.children import VIOLATIONS_MAX, Children, describe_exit
from kore._process.parent.generation import Child, Generation
from kore._process.roles import WORKER

ChildMain = Callable[[Channel], None]


class EventRecorder:
    """Records what happens to children."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.statuses: list[int] = []
        self.exited: list[Child] = []

    def on_message(self, child: Child, message: Message) -> None:
        assert child not in self.exited, "no message follows the exit"
        self.messages.append(message)

    def on_exit(self, child: Child, status: int) -> None:
        self.exited.append(child)
        self.statuses.append(status)


class Harness:
    """Starts children whose main is two lines."""

    def __init__(self) -> None:
        self.loop = CallbackLoop()
        self.events = EventRecorder()
        self.children = Children(self.loop, self.events)
        self.others: list[socket.socket] = []
        self.loop.trap_signals({signal.SIGCHLD: self.children.reap})

    def expect(self, number: int = 1) -> Child:
        """Return a child that is on its way."""
        ours, theirs = open_pair()
        self.others.append(theirs)
        child = Child(WORKER, number, Channel(ours), Generation())
        self.children.add(child)
        return child

    def start(self, main: ChildMain) -> Child:
        child = self.expect()
        ours, theirs = child.channel, self.others.pop()
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            ours.close()
            try:
                main(Channel(theirs))
            finally:
                os._exit(0)
        theirs.close()
        self.children.set_pid(child, pid)
        return child

    def run(self) -> None:
        """Until every child has ended."""
        while self.children.all:
            self.loop.turn()


@pytest.fixture
def grace(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """Return the seconds from "at once" to force: enough anywhere, unless a test says less."""
    seconds = float(getattr(request, "param", 100))
    monkeypatch.setattr(module, "GRACE_SECONDS", seconds)
    return seconds


without_grace = pytest.mark.parametrize("grace", [0.1], indirect=True)


@pytest.fixture
def harness(grace: float) -> Iterator[Harness]:
    before = signal.getsignal(signal.SIGCHLD)
    harness = Harness()
    yield harness
    for child in list(harness.children.all):
        harness.children.kill(child)
        if child.pid:
            os.waitpid(child.pid, 0)
        harness.children.forget_unstarted(child)
    for other in harness.others:
        other.close()
    harness.loop.close()
    signal.signal(signal.SIGCHLD, before)


def wait_for_stop(channel: Channel) -> bool:
    while True:
        select.select([channel], [], [])
        for message in channel.receive():
            if isinstance(message, Stop):
                return message.drain


def test_last_messages_are_received_before_the_exit_is_handled(harness: Harness) -> None:
    def main(channel: Channel) -> None:
        for number in range(150):
            channel.send(LogLine(6, str(number)))
        os._exit(3)

    harness.start(main)
    harness.run()

    assert harness.events.messages == [LogLine(6, str(number)) for number in range(150)]
    assert [describe_exit(status) for status in harness.events.statuses] == ["exited with status 3"]


def test_stop_tells_a_child_to_drain(harness: Harness) -> None:
    child = harness.start(lambda channel: os._exit(7 if wait_for_stop(channel) else 8))
    harness.children.stop(child, 100)
    harness.run()

    assert [describe_exit(status) for status in harness.events.statuses] == ["exited with status 7"]


def test_stop_without_a_timeout_terminates(harness: Harness) -> None:
    child = harness.start(lambda channel: os._exit(7 if wait_for_stop(channel) else 8))
    harness.children.stop(child, 0)
    harness.run()

    assert [describe_exit(status) for status in harness.events.statuses] == ["exited with status 8"]


@without_grace
def test_child_that_ignores_stop_is_killed(harness: Harness) -> None:
    child = harness.start(lambda _: time.sleep(60))
    harness.children.stop(child, 0.01)
    harness.run()

    assert [describe_exit(status) for status in harness.events.statuses] == ["killed by SIGKILL"]


@without_grace
@pytest.mark.parametrize("ready", [False, True])
def test_child_that_becomes_ready_after_stop_may_finish(harness: Harness, *, ready: bool) -> None:
    """What it says of that may have been on its way when it was asked to end."""
    child = harness.start(lambda channel: (time.sleep(0.5), os._exit(7)))
    harness.children.stop(child, 60)
    child.ready = ready
    harness.run()

    ends = ["exited with status 7" if ready else "killed by SIGKILL"]
    assert [describe_exit(status) for status in harness.events.statuses] == ends


@without_grace
def test_child_that_closes_its_channel_is_killed(harness: Harness) -> None:
    def main(channel: Channel) -> None:
        channel.close()
        time.sleep(60)

    harness.start(main)
    harness.run()

    assert [describe_exit(status) for status in harness.events.statuses] == ["killed by SIGKILL"]


def test_message_that_the_role_may_not_send_is_a_violation(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    def main(channel: Channel) -> None:
        channel.send(Forked(1, 1))
        channel.send(Stop(drain=False))
        channel.send(Ready())

    with caplog.at_level(logging.ERROR, "kore"):
        child = harness.start(main)
        harness.run()

    assert harness.events.messages == [Ready()]
    assert child.violation_count == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"worker 1 (pid {child.pid}) broke the protocol: a worker may not send Forked"
    ]


def test_child_with_too_many_violations_is_killed(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    def main(channel: Channel) -> None:
        for _ in range(VIOLATIONS_MAX):
            channel.socket.send(b"nonsense")
        time.sleep(60)

    harness.start(main)
    harness.run()

    assert [describe_exit(status) for status in harness.events.statuses] == ["killed by SIGKILL"]
    assert len(caplog.records) == 2


def test_pid_that_is_no_child_is_refused(harness: Harness) -> None:
    child = harness.expect()
    for pid in (1, os.getpid(), os.getppid(), 2**31 - 1):
        with pytest.raises(ProtocolError, match="not a child"):
            harness.children.set_pid(child, pid)
    with pytest.raises(ProtocolError):
        harness.children.set_pid(child, 0)


def test_pid_of_another_child_is_refused(harness: Harness) -> None:
    first = harness.start(lambda _: time.sleep(60))
    second = harness.expect(2)
    with pytest.raises(ProtocolError, match="already belongs"):
        harness.children.set_pid(second, first.pid)


def test_exit_before_the_pid_is_known_is_handled(harness: Harness) -> None:
    child = harness.expect()
    pid = os.fork()
    if pid == 0:
        os._exit(5)
    while pid not in harness.children.early_exits:
        harness.loop.turn()

    harness.children.set_pid(child, pid)

    assert [describe_exit(status) for status in harness.events.statuses] == ["exited with status 5"]
    assert not harness.children.early_exits


def test_kill_waits_for_the_pid(harness: Harness) -> None:
    child = harness.expect()
    harness.children.kill(child)
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    harness.children.set_pid(child, pid)
    harness.run()

    assert [describe_exit(status) for status in harness.events.statuses] == ["killed by SIGKILL"]


def test_orphans_of_a_child_are_reaped(harness: Harness) -> None:
    ours, theirs = os.pipe()

    def main(_: Channel) -> None:
        pid = os.fork()
        if pid == 0:
            time.sleep(0.1)
            os._exit(0)
        os.write(theirs, str(pid).encode())

    privsep.adopt_orphans()
    try:
        harness.start(main)
        harness.run()
        orphan = int(os.read(ours, 20))
        while Path(f"/proc/{orphan}").exists():
            harness.loop.turn()
    finally:
        privsep.call_prctl(privsep.PR_SET_CHILD_SUBREAPER, 0)
    os.close(ours)
    os.close(theirs)

    assert len(harness.events.statuses) == 1


def test_log_messages_beyond_the_limit_of_a_turn_are_dropped_and_counted(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "DROP_REPORT_INTERVAL", 0.01)
    monkeypatch.setattr(module.log, "propagate", True)
    child = harness.expect()
    theirs = Channel(harness.others.pop())
    sent = 0
    while theirs.send(LogLine(6, "\0" * 20_000)) and not theirs.wants_write:
        sent += 1
    child.channel.saw_backlog()
    with caplog.at_level("WARNING", "kore"):
        harness.children.receive(child)
        taken = len(harness.events.messages)
        while not caplog.messages:
            harness.loop.turn()

    assert 20_000 * 4 * (taken - 1) <= module.LOG_BYTES_PER_TURN < sent * 20_000 * 4
    assert f"{child}: {sent - taken} log messages dropped" in caplog.messages[0]
    harness.children.forget_unstarted(child)
    theirs.close()


def test_single_large_log_message_is_accepted(harness: Harness) -> None:
    child = harness.expect()
    theirs = Channel(harness.others.pop())
    theirs.send(LogLine(3, "text", "\n" * 60_000))

    harness.children.receive(child)

    assert len(harness.events.messages) == 1
    harness.children.forget_unstarted(child)
    theirs.close()


def test_burst_of_log_messages_is_accepted(harness: Harness) -> None:
    child = harness.expect()
    theirs = Channel(harness.others.pop())
    for number in range(60):
        theirs.send(LogLine(3, f"message {number}", "Traceback (most recent call last)\n" * 20))
    child.channel.saw_backlog()

    harness.children.receive(child)

    assert len(harness.events.messages) == 60
    assert child.dropped_log_count == 0
    harness.children.forget_unstarted(child)
    theirs.close()


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_of_a_child_do_not_harm_the_parent(harness: Harness, seed: int) -> None:
    """Whatever arrives, other children are heard, and the offender does not stay."""

    def hostile(channel: Channel) -> None:
        rng = random.Random(seed)
        channel.socket.setblocking(True)
        for _ in range(3000):
            channel.socket.send(junk(rng))

    def decent(channel: Channel) -> None:
        for number in range(20):
            channel.send(LogLine(6, f"decent {number}"))
            time.sleep(0.005)
        wait_for_stop(channel)

    harness.start(hostile)
    harness.start(decent)
    while len(harness.children.all) > 1:
        harness.loop.turn()
    survivor = harness.children.all[0]
    while harness.events.messages.count(LogLine(6, "decent 19")) < 1:
        harness.loop.turn()
    harness.events.statuses.clear()
    harness.children.stop(survivor, 100)
    harness.run()

    assert [describe_exit(status) for status in harness.events.statuses] == ["exited with status 0"]
    heard = [
        m for m in harness.events.messages if str(m).startswith("LogLine(priority=6, text='decent")
    ]
    assert len(heard) == 20


def junk(rng: random.Random) -> bytes:
    size = rng.choice([1, 3, 15, 16, 17, 40, 5000, messages.SIZE_MAX + 1000])
    data = bytearray(rng.randbytes(size))
    if rng.random() < 0.7 and size >= messages.HEADER.size:
        length = size - messages.HEADER.size if rng.random() < 0.7 else rng.getrandbits(32)
        messages.HEADER.pack_into(data, 0, 1, rng.randrange(12), 0, 0, length)
    return bytes(data)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "exited with status 0"),
        (3 << 8, "exited with status 3"),
        (9, "killed by SIGKILL"),
        (11 | 128, "killed by SIGSEGV"),
        (40, "killed by signal 40"),
    ],
)
def test_exit_is_described_by_status_or_signal(status: int, words: str) -> None:
    assert describe_exit(status) == words

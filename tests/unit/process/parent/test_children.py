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
from kore._process.ipc import messages
from kore._process.ipc.channel import Channel, open_pair
from kore._process.ipc.messages import Forked, LogLine, Message, ProtocolError, Ready, Stop
from kore._process.parent import children as module
from kore._process.parent.children import VIOLATIONS_MAX, Children, describe_exit
from kore._process.parent.eventloop import ParentLoop
from kore._process.parent.generation import Child, Generation
from kore._process.roles import WORKER

ChildMain = Callable[[Channel], None]


class Family:
    """A parent that only listens."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.deaths: list[int] = []
        self.dead: list[Child] = []

    def on_message(self, child: Child, message: Message) -> None:
        assert child not in self.dead, "a child speaks no more after its end"
        self.messages.append(message)

    def on_exit(self, child: Child, status: int) -> None:
        self.dead.append(child)
        self.deaths.append(status)


class Nursery:
    """Starts children whose main is two lines."""

    def __init__(self) -> None:
        self.loop = ParentLoop()
        self.family = Family()
        self.children = Children(self.loop, self.family)
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
def nursery(grace: float) -> Iterator[Nursery]:
    before = signal.getsignal(signal.SIGCHLD)
    nursery = Nursery()
    yield nursery
    for child in list(nursery.children.all):
        nursery.children.kill(child)
        if child.pid:
            os.waitpid(child.pid, 0)
        nursery.children.forget_unstarted(child)
    for other in nursery.others:
        other.close()
    nursery.loop.close()
    signal.signal(signal.SIGCHLD, before)


def wait_for_stop(channel: Channel) -> bool:
    while True:
        select.select([channel], [], [])
        for message in channel.receive():
            if isinstance(message, Stop):
                return message.drain


def test_last_words_are_heard_before_the_end(nursery: Nursery) -> None:
    def main(channel: Channel) -> None:
        for number in range(150):
            channel.send(LogLine(6, str(number)))
        os._exit(3)

    nursery.start(main)
    nursery.run()

    assert nursery.family.messages == [LogLine(6, str(number)) for number in range(150)]
    assert [describe_exit(status) for status in nursery.family.deaths] == ["exited with status 3"]


def test_a_child_is_asked_to_end(nursery: Nursery) -> None:
    child = nursery.start(lambda channel: os._exit(7 if wait_for_stop(channel) else 8))
    nursery.children.stop(child, 100)
    nursery.run()

    assert [describe_exit(status) for status in nursery.family.deaths] == ["exited with status 7"]


def test_without_time_to_finish_it_is_asked_to_end_at_once(nursery: Nursery) -> None:
    child = nursery.start(lambda channel: os._exit(7 if wait_for_stop(channel) else 8))
    nursery.children.stop(child, 0)
    nursery.run()

    assert [describe_exit(status) for status in nursery.family.deaths] == ["exited with status 8"]


@without_grace
def test_a_child_that_does_not_listen_is_killed_in_the_end(nursery: Nursery) -> None:
    child = nursery.start(lambda _: time.sleep(60))
    nursery.children.stop(child, 0.01)
    nursery.run()

    assert [describe_exit(status) for status in nursery.family.deaths] == ["killed by SIGKILL"]


@without_grace
@pytest.mark.parametrize("ready", [False, True])
def test_a_child_that_was_about_to_be_ready_may_finish(nursery: Nursery, *, ready: bool) -> None:
    """What it says of that may have been on its way when it was asked to end."""
    child = nursery.start(lambda channel: (time.sleep(0.5), os._exit(7)))
    nursery.children.stop(child, 60)
    child.ready = ready
    nursery.run()

    ends = ["exited with status 7" if ready else "killed by SIGKILL"]
    assert [describe_exit(status) for status in nursery.family.deaths] == ends


@without_grace
def test_a_child_that_closes_its_channel_is_killed(nursery: Nursery) -> None:
    def main(channel: Channel) -> None:
        channel.close()
        time.sleep(60)

    nursery.start(main)
    nursery.run()

    assert [describe_exit(status) for status in nursery.family.deaths] == ["killed by SIGKILL"]


def test_what_a_role_may_not_say_is_not_heard(
    nursery: Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    def main(channel: Channel) -> None:
        channel.send(Forked(1, 1))
        channel.send(Stop(drain=False))
        channel.send(Ready())

    with caplog.at_level(logging.ERROR, "kore"):
        child = nursery.start(main)
        nursery.run()

    assert nursery.family.messages == [Ready()]
    assert child.violation_count == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"worker 1 (pid {child.pid}) broke the protocol: a worker may not send Forked"
    ]


def test_a_child_that_goes_on_breaking_the_protocol_is_killed(
    nursery: Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    def main(channel: Channel) -> None:
        for _ in range(VIOLATIONS_MAX):
            channel.socket.send(b"nonsense")
        time.sleep(60)

    nursery.start(main)
    nursery.run()

    assert [describe_exit(status) for status in nursery.family.deaths] == ["killed by SIGKILL"]
    assert len(caplog.records) == 2


def test_what_a_child_may_never_ask_for_is_refused(nursery: Nursery) -> None:
    child = nursery.expect()
    for pid in (1, os.getpid(), os.getppid(), 2**31 - 1):
        with pytest.raises(ProtocolError, match="not a child"):
            nursery.children.set_pid(child, pid)
    with pytest.raises(ProtocolError):
        nursery.children.set_pid(child, 0)


def test_a_pid_is_one_childs_only(nursery: Nursery) -> None:
    first = nursery.start(lambda _: time.sleep(60))
    second = nursery.expect(2)
    with pytest.raises(ProtocolError, match="already belongs"):
        nursery.children.set_pid(second, first.pid)


def test_an_end_may_be_known_before_the_pid(nursery: Nursery) -> None:
    child = nursery.expect()
    pid = os.fork()
    if pid == 0:
        os._exit(5)
    while pid not in nursery.children.early_exits:
        nursery.loop.turn()

    nursery.children.set_pid(child, pid)

    assert [describe_exit(status) for status in nursery.family.deaths] == ["exited with status 5"]
    assert not nursery.children.early_exits


def test_a_child_that_is_to_end_ends_as_soon_as_its_pid_is_known(nursery: Nursery) -> None:
    child = nursery.expect()
    nursery.children.kill(child)
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    nursery.children.set_pid(child, pid)
    nursery.run()

    assert [describe_exit(status) for status in nursery.family.deaths] == ["killed by SIGKILL"]


def test_what_a_child_leaves_behind_is_reaped(nursery: Nursery) -> None:
    ours, theirs = os.pipe()

    def main(_: Channel) -> None:
        pid = os.fork()
        if pid == 0:
            time.sleep(0.1)
            os._exit(0)
        os.write(theirs, str(pid).encode())

    privsep.adopt_orphans()
    try:
        nursery.start(main)
        nursery.run()
        orphan = int(os.read(ours, 20))
        while Path(f"/proc/{orphan}").exists():
            nursery.loop.turn()
    finally:
        privsep.call_prctl(privsep.PR_SET_CHILD_SUBREAPER, 0)
    os.close(ours)
    os.close(theirs)

    assert len(nursery.family.deaths) == 1


def test_what_a_child_logs_beyond_its_turn_is_left_out_and_counted(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "DROP_REPORT_INTERVAL", 0.01)
    monkeypatch.setattr(module.log, "propagate", True)
    child = nursery.expect()
    theirs = Channel(nursery.others.pop())
    sent = 0
    while theirs.send(LogLine(6, "\0" * 20_000)) and not theirs.wants_write:
        sent += 1
    child.channel.saw_backlog()
    with caplog.at_level("WARNING", "kore"):
        nursery.children.receive(child)
        taken = len(nursery.family.messages)
        while not caplog.messages:
            nursery.loop.turn()

    assert 20_000 * 4 * (taken - 1) <= module.LOG_BYTES_PER_TURN < sent * 20_000 * 4
    assert f"{child}: {sent - taken} log messages dropped" in caplog.messages[0]
    nursery.children.forget_unstarted(child)
    theirs.close()


def test_one_large_log_message_is_always_taken(nursery: Nursery) -> None:
    child = nursery.expect()
    theirs = Channel(nursery.others.pop())
    theirs.send(LogLine(3, "text", "\n" * 60_000))

    nursery.children.receive(child)

    assert len(nursery.family.messages) == 1
    nursery.children.forget_unstarted(child)
    theirs.close()


def test_an_ordinary_burst_of_log_messages_is_taken_as_a_whole(nursery: Nursery) -> None:
    child = nursery.expect()
    theirs = Channel(nursery.others.pop())
    for number in range(60):
        theirs.send(LogLine(3, f"message {number}", "Traceback (most recent call last)\n" * 20))
    child.channel.saw_backlog()

    nursery.children.receive(child)

    assert len(nursery.family.messages) == 60
    assert child.dropped_log_count == 0
    nursery.children.forget_unstarted(child)
    theirs.close()


@pytest.mark.parametrize("seed", range(8))
def test_no_bytes_of_a_child_harm_the_parent(nursery: Nursery, seed: int) -> None:
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

    nursery.start(hostile)
    nursery.start(decent)
    while len(nursery.children.all) > 1:
        nursery.loop.turn()
    survivor = nursery.children.all[0]
    while nursery.family.messages.count(LogLine(6, "decent 19")) < 1:
        nursery.loop.turn()
    nursery.family.deaths.clear()
    nursery.children.stop(survivor, 100)
    nursery.run()

    assert [describe_exit(status) for status in nursery.family.deaths] == ["exited with status 0"]
    heard = [
        m for m in nursery.family.messages if str(m).startswith("LogLine(priority=6, text='decent")
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
def test_how_a_process_ended(status: int, words: str) -> None:
    assert describe_exit(status) == words

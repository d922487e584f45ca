"""The message router: receivers, quotas, and notices of exits in order."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from kore._conf.settings import Settings
from kore._process.eventloop import CallbackLoop
from kore._process.ipc.channel import Channel, open_pair
from kore._process.ipc.fragments import wire_cost
from kore._process.ipc.messages import (
    ACK,
    ACK_REQUEST,
    ALL_WORKERS,
    ECHO,
    SIZE_MAX,
    Message,
    MessageKind,
    ProtocolError,
    RoutedMessage,
    WorkerExited,
)
from kore._process.ipc.send_queue import ENTRY_OVERHEAD, SendQueue
from kore._process.parent.children import Children
from kore._process.parent.generation import Child, Generation, WorkerSlot
from kore._process.parent.message_router import MessageRouter, get_hard_quota, get_quota
from kore._process.parent_config import ParentConfig
from kore._process.roles import TEMPLATE, WORKER

SETTINGS = Settings(workers=3, worker_message_max=100_000, worker_message_window=100_000)
LARGE = bytes(SIZE_MAX - 100)


class NoEvents:
    """A parent that expects no message."""

    def on_message(self, child: Child, message: Message) -> None:
        raise AssertionError(f"{message} of {child} is not for the parent")

    def on_exit(self, child: Child, status: int) -> None:
        pass


class Workers:
    """Three workers of one generation, and their ends of the channels."""

    def __init__(self, stack: ExitStack) -> None:
        self.loop = CallbackLoop()
        stack.callback(self.loop.close)
        self.stack = stack
        self.children = Children(self.loop, NoEvents())
        self.post: MessageRouter = self.children.router
        self.generation = Generation(config=ParentConfig("kore", SETTINGS, ()))
        self.generation.slots = {number: WorkerSlot(number) for number in (1, 2, 3)}
        self.ends: dict[int, Channel] = {}
        for number in (1, 2, 3):
            self.start(number)

    def start(self, number: int) -> None:
        ours, theirs = map(Channel, open_pair())
        child = Child(WORKER, number, ours, self.generation)
        self.generation.slots[number].child = child
        self.ends[number] = theirs
        self.stack.callback(ours.close)
        self.stack.callback(theirs.close)
        self.children.add(child)

    def child(self, number: int) -> Child:
        child = self.generation.slots[number].child
        assert child is not None
        return child

    def end(self, number: int) -> None:
        """Let a worker end; nobody takes its seat yet."""
        self.children.forget_unstarted(self.child(number))
        self.generation.slots[number].child = None

    def send(self, sender: int, address: int, content: bytes = b"x", flags: int = 1) -> None:
        self.post.route(self.child(sender), RoutedMessage(address, flags, content))

    def received(self, number: int) -> list[Message]:
        """Return all that a worker gets."""
        found: list[Message] = []
        while (batch := self.ends[number].receive()) or self.child(number).channel.wants_write:
            found += batch
            self.child(number).channel.flush()
        return found


@pytest.fixture
def workers() -> Iterator[Workers]:
    with ExitStack() as stack:
        yield Workers(stack)


def test_message_arrives_with_the_number_of_its_sender(workers: Workers) -> None:
    workers.send(3, 2, b"content", MessageKind.BROADCAST)

    assert workers.received(2) == [RoutedMessage(3, MessageKind.BROADCAST, b"content")]
    assert workers.received(1) == workers.received(3) == []


@pytest.mark.parametrize(("flags", "receivers"), [(1, {2, 3}), (1 | ECHO, {1, 2, 3})])
def test_message_to_all_reaches_all(workers: Workers, flags: int, receivers: set[int]) -> None:
    workers.send(1, ALL_WORKERS, b"content", flags)

    assert {
        n for n in (1, 2, 3) if workers.received(n) == [RoutedMessage(1, flags, b"content")]
    } == receivers


@pytest.mark.parametrize(
    ("address", "flags", "why"),
    [
        (4, MessageKind.OBJECT, "unknown worker 4"),
        (2**32 - 1, MessageKind.OBJECT, "unknown worker"),
        (2, 0, "flags 0x0"),
        (2, 3, "flags 0x3"),
        (2, MessageKind.OBJECT | 0x800, "flags 0x801"),
        (ALL_WORKERS, MessageKind.OBJECT | ACK_REQUEST, "several receivers"),
        (ALL_WORKERS, MessageKind.OBJECT | ACK, "several receivers"),
        (2, MessageKind.OBJECT | ACK | ECHO, "several receivers"),
    ],
)
def test_invalid_message_is_refused(workers: Workers, address: int, flags: int, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        workers.send(1, address, b"x", flags)

    assert not any(workers.received(number) for number in (1, 2, 3))


def test_template_may_not_send_routed_messages(workers: Workers) -> None:
    template = Child(TEMPLATE, 0, workers.child(1).channel, workers.generation)
    with pytest.raises(ProtocolError, match="flags"):
        workers.post.route(template, RoutedMessage(2, MessageKind.OBJECT, b""))


def test_quota_of_one_sender_does_not_limit_others(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    queue, fits = workers.child(2).channel.send_queue, 0
    while queue.bytes_by_sender[1] + len(LARGE) <= get_hard_quota(SETTINGS):
        workers.send(1, 2, LARGE)
        fits += 1
    workers.send(1, 2, LARGE)
    assert queue.bytes_by_sender[1] <= get_hard_quota(SETTINGS)
    workers.send(3, 2, b"mine")
    # To all others it goes.
    workers.send(1, ALL_WORKERS, LARGE)

    assert workers.received(3) == [RoutedMessage(1, 1, LARGE)]
    received = workers.received(2)
    assert received[-1] == RoutedMessage(3, 1, b"mine")
    assert len(received) == fits + 1
    workers.send(1, 2, b"again")
    assert workers.received(2) == [RoutedMessage(1, 1, b"again")]
    assert caplog.text.count("worker 1: queue to worker 2 is full, messages dropped") == 1


def test_quota_covers_the_windows_of_a_sender() -> None:
    window = max(SETTINGS.worker_message_window, wire_cost(SETTINGS.worker_message_max))

    assert get_hard_quota(SETTINGS) >= 3 * len(MessageKind) * window
    # What the parent counts is never more than what the sender counts.
    assert wire_cost(0) > ENTRY_OVERHEAD + 16 + 16


def test_exit_notice_follows_earlier_messages(workers: Workers) -> None:
    for number in range(6):
        workers.send(1, 2, bytes([number]) * 100_000)
    workers.end(1)
    workers.start(1)
    workers.send(1, 2, b"new")
    *before, gone, new = workers.received(2)

    assert [message.content[0] for message in before if isinstance(message, RoutedMessage)] == [
        *range(6)
    ]
    assert (gone, new) == (WorkerExited(1), RoutedMessage(1, 1, b"new"))
    assert workers.received(1) == []


def test_message_to_an_absent_worker_is_answered_by_a_notice(workers: Workers) -> None:
    workers.end(2)
    assert workers.received(1) == [WorkerExited(2)]
    workers.send(1, 2)
    assert workers.received(1) == [WorkerExited(2)]
    workers.send(1, ALL_WORKERS)
    assert workers.received(1) == [WorkerExited(2, absent=True)]
    assert workers.received(3) == [WorkerExited(2), RoutedMessage(1, 1, b"x")]
    workers.send(1, 2, b"", 1 | ACK)

    assert workers.received(1) == []


def test_queued_notice_is_not_repeated(workers: Workers) -> None:
    workers.end(3)
    while not workers.child(1).channel.wants_write:
        workers.send(2, 1, LARGE)
    for _ in range(100):
        workers.send(1, 3)
        workers.send(1, ALL_WORKERS, b"x")

    notes = [message for message in workers.received(1) if isinstance(message, WorkerExited)]
    assert notes == [WorkerExited(3), WorkerExited(3), WorkerExited(3, absent=True)]


def test_messages_of_many_exited_senders_do_not_accumulate(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    queue = workers.child(2).channel.send_queue
    for _ in range(10):
        while queue.bytes_by_sender[1] < 2 * get_quota(SETTINGS):
            workers.send(1, 2, LARGE)
        workers.end(1)
        workers.start(1)
        assert queue.bytes_by_sender[1] == 0
    assert "worker 1: its queue to worker 2 is too long" in caplog.text

    # And who comes after them is not refused what is its own.
    workers.send(1, 2, b"at last")
    assert workers.received(2)[-1] == RoutedMessage(1, 1, b"at last")


def test_send_queue_counts_bytes_by_sender() -> None:
    queue = SendQueue()
    for owner in (1, 2, 1):
        queue.append(owner, bytes([owner]))
    assert queue.bytes_by_sender[1] == 2 * (1 + ENTRY_OVERHEAD)
    queue.discard_sender(1)

    assert (queue.first, len(queue), queue.bytes_by_sender[1]) == (b"\2", 1, 0)
    queue.remove_first()
    assert not queue
    assert queue.bytes_by_sender[2] == 0

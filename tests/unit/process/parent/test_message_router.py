"""The parent's part: parcels go where they may, in bounds, and ends are told in order."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from kore._conf.settings import Settings
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
from kore._process.parent.eventloop import ParentLoop
from kore._process.parent.generation import Child, Generation, WorkerSlot
from kore._process.parent.message_router import MessageRouter, get_hard_quota, get_quota
from kore._process.parent_config import ParentConfig
from kore._process.roles import TEMPLATE, WORKER

SETTINGS = Settings(workers=3, worker_message_max=100_000, worker_message_window=100_000)
LARGE = bytes(SIZE_MAX - 100)


class Family:
    """A parent that only listens."""

    def on_message(self, child: Child, message: Message) -> None:
        raise AssertionError(f"{message} of {child} is not for the parent")

    def on_exit(self, child: Child, status: int) -> None:
        pass


class Office:
    """Three workers of one generation, and their ends of the channels."""

    def __init__(self, stack: ExitStack) -> None:
        self.loop = ParentLoop()
        stack.callback(self.loop.close)
        self.stack = stack
        self.children = Children(self.loop, Family())
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

    def carry(self, sender: int, address: int, content: bytes = b"x", flags: int = 1) -> None:
        self.post.route(self.child(sender), RoutedMessage(address, flags, content))

    def heard(self, number: int) -> list[Message]:
        """Return all that a worker gets."""
        found: list[Message] = []
        while (batch := self.ends[number].receive()) or self.child(number).channel.wants_write:
            found += batch
            self.child(number).channel.flush()
        return found


@pytest.fixture
def office() -> Iterator[Office]:
    with ExitStack() as stack:
        yield Office(stack)


def test_a_parcel_arrives_with_its_senders_number(office: Office) -> None:
    office.carry(3, 2, b"content", MessageKind.BROADCAST)

    assert office.heard(2) == [RoutedMessage(3, MessageKind.BROADCAST, b"content")]
    assert office.heard(1) == office.heard(3) == []


@pytest.mark.parametrize(("flags", "receivers"), [(1, {2, 3}), (1 | ECHO, {1, 2, 3})])
def test_a_parcel_for_all_reaches_all(office: Office, flags: int, receivers: set[int]) -> None:
    office.carry(1, ALL_WORKERS, b"content", flags)

    assert {
        n for n in (1, 2, 3) if office.heard(n) == [RoutedMessage(1, flags, b"content")]
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
def test_a_parcel_against_the_rules_is_refused(
    office: Office, address: int, flags: int, why: str
) -> None:
    with pytest.raises(ProtocolError, match=why):
        office.carry(1, address, b"x", flags)

    assert not any(office.heard(number) for number in (1, 2, 3))


def test_a_role_that_sends_no_parcels_sends_none(office: Office) -> None:
    template = Child(TEMPLATE, 0, office.child(1).channel, office.generation)
    with pytest.raises(ProtocolError, match="flags"):
        office.post.route(template, RoutedMessage(2, MessageKind.OBJECT, b""))


def test_the_queue_of_one_sender_is_bounded_and_others_have_theirs(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    mail, fits = office.child(2).channel.send_queue, 0
    while mail.bytes_by_sender[1] + len(LARGE) <= get_hard_quota(SETTINGS):
        office.carry(1, 2, LARGE)
        fits += 1
    office.carry(1, 2, LARGE)
    assert mail.bytes_by_sender[1] <= get_hard_quota(SETTINGS)
    office.carry(3, 2, b"mine")
    # To all others it goes.
    office.carry(1, ALL_WORKERS, LARGE)

    assert office.heard(3) == [RoutedMessage(1, 1, LARGE)]
    heard = office.heard(2)
    assert heard[-1] == RoutedMessage(3, 1, b"mine")
    assert len(heard) == fits + 1
    office.carry(1, 2, b"again")
    assert office.heard(2) == [RoutedMessage(1, 1, b"again")]
    assert caplog.text.count("worker 1: queue to worker 2 is full, messages dropped") == 1


def test_who_keeps_to_its_windows_is_never_refused() -> None:
    window = max(SETTINGS.worker_message_window, wire_cost(SETTINGS.worker_message_max))

    assert get_hard_quota(SETTINGS) >= 3 * len(MessageKind) * window
    # What the parent counts is never more than what the sender counts.
    assert wire_cost(0) > ENTRY_OVERHEAD + 16 + 16


def test_an_end_is_told_after_what_was_sent_before_it(office: Office) -> None:
    for number in range(6):
        office.carry(1, 2, bytes([number]) * 100_000)
    office.end(1)
    office.start(1)
    office.carry(1, 2, b"new")
    *before, gone, new = office.heard(2)

    assert [parcel.content[0] for parcel in before if isinstance(parcel, RoutedMessage)] == [
        *range(6)
    ]
    assert (gone, new) == (WorkerExited(1), RoutedMessage(1, 1, b"new"))
    assert office.heard(1) == []


def test_what_is_sent_to_nobody_comes_back_as_a_note(office: Office) -> None:
    office.end(2)
    assert office.heard(1) == [WorkerExited(2)]
    office.carry(1, 2)
    assert office.heard(1) == [WorkerExited(2)]
    office.carry(1, ALL_WORKERS)
    assert office.heard(1) == [WorkerExited(2, absent=True)]
    assert office.heard(3) == [WorkerExited(2), RoutedMessage(1, 1, b"x")]
    office.carry(1, 2, b"", 1 | ACK)

    assert office.heard(1) == []


def test_one_note_that_waits_is_enough(office: Office) -> None:
    office.end(3)
    while not office.child(1).channel.wants_write:
        office.carry(2, 1, LARGE)
    for _ in range(100):
        office.carry(1, 3)
        office.carry(1, ALL_WORKERS, b"x")

    notes = [message for message in office.heard(1) if isinstance(message, WorkerExited)]
    assert notes == [WorkerExited(3), WorkerExited(3), WorkerExited(3, absent=True)]


def test_what_many_dead_senders_left_does_not_add_up(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    mail = office.child(2).channel.send_queue
    for _ in range(10):
        while mail.bytes_by_sender[1] < 2 * get_quota(SETTINGS):
            office.carry(1, 2, LARGE)
        office.end(1)
        office.start(1)
        assert mail.bytes_by_sender[1] == 0
    assert "worker 1: its queue to worker 2 is too long" in caplog.text

    # And who comes after them is not refused what is its own.
    office.carry(1, 2, b"at last")
    assert office.heard(2)[-1] == RoutedMessage(1, 1, b"at last")


def test_mail_knows_whose_it_is() -> None:
    mail = SendQueue()
    for owner in (1, 2, 1):
        mail.append(owner, bytes([owner]))
    assert mail.bytes_by_sender[1] == 2 * (1 + ENTRY_OVERHEAD)
    mail.discard_sender(1)

    assert (mail.first, len(mail), mail.bytes_by_sender[1]) == (b"\2", 1, 0)
    mail.remove_first()
    assert not mail
    assert mail.bytes_by_sender[2] == 0

import array
import os
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from kore._process.ipc import channel, messages
from kore._process.ipc.channel import QUEUE_MAX, Channel, open_pair
from kore._process.ipc.datagrams import encode
from kore._process.ipc.messages import Fork, LogLine, Ready, RoutedMessage, Stop
from kore._process.privsep import open_descriptors

LONG = LogLine(6, "x" * 100_000)


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    ours, theirs = map(Channel, open_pair())
    yield ours, theirs
    ours.close()
    theirs.close()


def everything(end: Channel) -> list[messages.Message]:
    found = []
    while batch := end.receive():
        found += batch
    return found


def clog(end: Channel) -> None:
    while not end.wants_write:
        assert end.send(LONG)


def test_messages_arrive_whole_and_in_order(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    for number in range(5):
        assert ours.send(LogLine(6, f"line {number}"))

    assert theirs.receive() == [LogLine(6, f"line {number}") for number in range(5)]
    assert not theirs.eof


def test_empty_channel_is_not_at_its_end(ends: tuple[Channel, Channel]) -> None:
    assert ends[0].receive() == []
    assert not ends[0].eof


def test_largest_message_fits(ends: tuple[Channel, Channel]) -> None:
    largest = LogLine(6, "x" * (messages.SIZE_MAX - messages.HEADER.size - 1))

    assert ends[0].send(largest)
    assert ends[1].receive() == [largest]


def test_sender_never_blocks_on_a_receiver_that_does_not_read(
    ends: tuple[Channel, Channel],
) -> None:
    ours, theirs = ends
    clog(ours)
    sent = sum(ours.send(LogLine(6, str(number))) for number in range(2 * QUEUE_MAX))

    assert sent < QUEUE_MAX
    assert ours.dropped_count == 2 * QUEUE_MAX - sent
    assert ours.send(Ready()), "what must not be lost is kept"

    received = []
    while ours.wants_write:
        received += theirs.receive()
        ours.flush()
    received += everything(theirs)

    assert Ready() in received
    lost = 2 * QUEUE_MAX - sent
    assert received[-1] == LogLine(4, f"{lost} log messages dropped: sent too fast")
    assert ours.dropped_count == 0


def test_flood_is_received_in_batches(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    for _ in range(channel.BATCH_SIZE + 10):
        ours.send(Ready())

    assert len(theirs.receive()) == channel.BATCH_SIZE
    assert len(theirs.receive()) == 10


def test_messages_before_the_end_are_received(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    # Unread: the kernel then reports a reset first, which must not hide the rest.
    theirs.send(Stop(drain=True))
    ours.send(LogLine(3, "last words"))
    ours.close()

    assert everything(theirs) == [LogLine(3, "last words")]
    assert theirs.eof


def test_failed_send_does_not_hide_received_messages(
    ends: tuple[Channel, Channel],
) -> None:
    ours, theirs = ends
    ours.send(LogLine(3, "last words"))
    ours.close()

    assert not theirs.send(Ready())
    assert not theirs.eof
    assert everything(theirs) == [LogLine(3, "last words")]
    assert theirs.eof
    assert not theirs.wants_write


@pytest.mark.parametrize("bad", [b"x", b"\1\5\0\0" + bytes(11), b"\1" + bytes(40)])
def test_malformed_datagram_is_an_error_and_the_next_one_is_read(
    ends: tuple[Channel, Channel], bad: bytes
) -> None:
    ours, theirs = ends
    ours.socket.send(bad)
    ours.send(Ready())

    assert theirs.receive() == [Ready()]
    assert len(theirs.errors) == 1
    assert theirs.receive() == []
    assert theirs.errors == []


def test_datagram_beyond_the_limit_is_an_error(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    ours.socket.send(encode(LONG) + bytes(messages.SIZE_MAX))

    assert theirs.receive() == []
    assert theirs.errors == ["datagram too large, or with unexpected descriptors"]


def test_empty_datagram_counts_as_the_end(ends: tuple[Channel, Channel]) -> None:
    ends[0].socket.send(b"")

    assert ends[1].receive() == []
    assert ends[1].eof


def test_descriptors_travel_with_a_fork() -> None:
    with ExitStack() as stack:
        ours = Channel(pair_end(stack))
        theirs = Channel(PEERS.pop(), takes_descriptors=True)
        stack.callback(ours.close)
        stack.callback(theirs.close)
        read, write = os.pipe()
        ours.send(
            Fork(
                1,
                1,
                ("channel", "scoreboard", "pipe", "listener:0:http"),
                (read, write, read, read),
            )
        )
        os.close(read)
        os.close(write)

        (order,) = theirs.receive()

        assert isinstance(order, Fork)
        first, second, third, fourth = order.descriptors
        os.write(second, b"through")
        assert os.read(third, 100) == b"through"
        assert not any(map(os.get_inheritable, order.descriptors))
        channel.close_descriptors((first, second, third, fourth))


def test_descriptors_of_a_queued_message_may_be_closed_by_the_sender() -> None:
    with ExitStack() as stack:
        ours = Channel(pair_end(stack))
        theirs = Channel(PEERS.pop(), takes_descriptors=True)
        stack.callback(ours.close)
        stack.callback(theirs.close)
        clog(ours)
        read, write = os.pipe()
        ours.send(Fork(1, 1, ("channel", "scoreboard", "pipe"), (read, write, read)))
        os.close(read)
        os.close(write)

        received: list[messages.Message] = []
        while not received or ours.wants_write:
            received += theirs.receive()
            ours.flush()
        received += everything(theirs)

        order = received[-1]
        assert isinstance(order, Fork)
        os.write(order.descriptors[1], b"through")
        assert os.read(order.descriptors[0], 100) == b"through"
        channel.close_descriptors(order.descriptors)


def test_unexpected_descriptors_are_not_installed(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    read, write = os.pipe()
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [write]))
    before = open_descriptors()
    ours.socket.sendmsg([encode(Ready())], [rights])

    assert theirs.receive() == []
    assert len(theirs.errors) == 1
    assert open_descriptors() == before
    os.close(write)
    assert select.select([read], [], [], 1)[0], "no copy of the other end is left"
    os.close(read)


def test_refused_descriptors_are_closed() -> None:
    with ExitStack() as stack:
        ours = pair_end(stack)
        theirs = Channel(PEERS.pop(), takes_descriptors=True)
        stack.callback(theirs.close)
        before = open_descriptors()
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1]))
        ours.sendmsg([encode(Ready())], [rights])

        assert theirs.receive() == []
        assert theirs.errors == ["Ready with 2 descriptors"]
        assert open_descriptors() == before


def test_drain_waits_for_a_slow_reader(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    clog(ours)
    pid = os.fork()
    if pid == 0:
        ours.close()
        while theirs.receive() or not theirs.eof:
            select.select([theirs], [], [])
        os._exit(0)

    ours.drain(10.0)

    assert not ours.wants_write
    ours.close()
    theirs.close()
    assert os.waitpid(pid, 0)[1] == 0


def test_drain_ends_at_its_timeout(ends: tuple[Channel, Channel]) -> None:
    clog(ends[0])
    ends[0].drain(0.05)

    assert ends[0].wants_write


PEERS: list[socket.socket] = []


def pair_end(stack: ExitStack) -> socket.socket:
    """Return one end; the other waits in PEERS."""
    ours, theirs = open_pair()
    PEERS.append(theirs)
    stack.callback(ours.close)
    return ours


def test_low_priority_messages_are_sent_last_and_in_order(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    for number in range(100):
        ours.send_low_priority(RoutedMessage(number, 1, bytes(50_000)), queue_key=7)
    assert ours.send_queue.bytes_by_sender[7] > 0
    ours.send(Ready())
    waiting = len(ours.send_queue)
    received: list[messages.Message] = []
    while ours.wants_write:
        received += theirs.receive()
        ours.flush()
    received += everything(theirs)

    assert [m.address for m in received if isinstance(m, RoutedMessage)] == list(range(100))
    assert received.index(Ready()) == 100 - waiting
    assert ours.send_queue.bytes_by_sender[7] == 0


def test_low_priority_message_to_a_closed_channel_is_lost(
    ends: tuple[Channel, Channel],
) -> None:
    ours, theirs = ends
    theirs.close()
    for _ in range(10):
        ours.send_low_priority(RoutedMessage(1, 1, bytes(100_000)))

    assert not ours.wants_write
    assert not ours.send_queue


def test_batch_size_grows_after_a_backlog(
    ends: tuple[Channel, Channel],
) -> None:
    theirs = ends[1]
    turns = [theirs.batch_size() for _ in range(2 * channel.BACKLOG_CHECK_INTERVAL)]
    assert turns == ([channel.BATCH_SIZE] + [1] * (channel.BACKLOG_CHECK_INTERVAL - 1)) * 2
    theirs.batch_size()
    theirs.saw_backlog()
    assert theirs.batch_size() == channel.BATCH_SIZE


def test_closed_channel_receives_nothing(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    ours.send(Ready())
    theirs.close()

    assert theirs.receive_one() is None
    assert theirs.eof

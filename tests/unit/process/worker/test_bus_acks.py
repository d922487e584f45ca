"""Acknowledgements: batched, at once on request, and none for processes that have ended."""

import asyncio

import pytest

from kore._process.ipc.fragments import (
    FRAGMENT_SIZE,
    decode_ack,
    encode_ack,
    first_message_id,
    get_sender_pid,
    split_message,
)
from kore._process.ipc.messages import ACK, ACK_REQUEST, MessageKind, RoutedMessage, WorkerExited
from kore.errors import BusyError
from tests.helpers.bus_network import BusNetwork, checked


async def a_large_one_after_a_small_one(network: BusNetwork) -> None:
    network.send(b"small")
    await network.until(lambda: network.received)
    before = network.count_flag(ACK_REQUEST)
    for _ in range(10):
        with pytest.raises(BusyError):
            network.send(bytes(8 * FRAGMENT_SIZE))
    # One request is enough, and the acknowledgement is not delayed.
    assert network.count_flag(ACK_REQUEST) == before + 1
    window = network.buses[1].senders[MessageKind.OBJECT].windows[2]
    await network.until(lambda: not len(window))
    network.send(bytes(8 * FRAGMENT_SIZE))
    await network.drain()

    assert len(network.received) == 2


async def many_small_ones(network: BusNetwork) -> None:
    for _ in range(100):
        network.send(b"x")
        await network.until(lambda: network.buses[2].unhandled_count == 0)
    await network.until(lambda: len(network.received) == 100)
    network.buses[2].shut_down()
    await network.until(lambda: not len(network.buses[1].senders[MessageKind.OBJECT].windows[2]))

    # Not one for each message, however slow this machine is.
    assert 1 <= network.count_flag(ACK) < 50


async def an_unsolicited_ack(network: BusNetwork) -> None:
    network.send(b"x")
    await network.until(lambda: not len(network.buses[1].senders[MessageKind.OBJECT].windows[2]))

    assert network.count_flag(ACK_REQUEST) == 0


async def one_that_waits_while_more_is_sent(network: BusNetwork) -> None:
    held = [asyncio.Event() for _ in range(3)]
    network.buses[2].set_receiver(MessageKind.OBJECT, lambda _, payload: held[payload[0]].wait())
    network.send(b"\0")
    first = asyncio.create_task(network.drain())
    await network.until(lambda: network.count_flag(ACK_REQUEST))
    network.send(b"\1")
    second = asyncio.create_task(network.drain())
    held[0].set()
    await first
    network.send(b"\2")
    assert not second.done()
    held[1].set()
    await second
    assert len(network.buses[1].senders[MessageKind.OBJECT].windows[2]) == 1
    held[2].set()
    await network.drain()


async def an_end_before_the_answer(network: BusNetwork) -> None:
    network.buses[2].set_receiver(MessageKind.OBJECT, lambda *_: asyncio.Event().wait())
    network.send(b"never handled")
    waiting = asyncio.create_task(network.drain())
    await network.until(lambda: network.count_flag(ACK_REQUEST))
    network.end(2)
    await waiting
    network.start(2)
    network.send(b"to its successor")
    await network.drain()

    assert network.received == [(2, 1, b"to its successor")]


async def a_request_of_a_predecessor(network: BusNetwork) -> None:
    bus = network.buses[2]
    bus.set_receiver(MessageKind.OBJECT, lambda *_: asyncio.Event().wait())
    network.send(b"never handled")
    bus.receive(RoutedMessage(1, MessageKind.OBJECT | ACK_REQUEST, encode_ack(2**63)))
    network.end(1)
    network.start(1)
    network.start(2)
    network.send(b"new")
    # Nobody's, and of no number: nothing comes of it.
    bus.receive(RoutedMessage(9, MessageKind.OBJECT | ACK_REQUEST, encode_ack(1)))
    bus.receive(RoutedMessage(1, MessageKind.OBJECT | ACK_REQUEST, b"?"))
    await network.drain()

    assert network.received[-1] == (2, 1, b"new")


test_blocked_sender_gets_an_acknowledgement_at_once = checked(
    a_large_one_after_a_small_one
)
test_one_acknowledgement_covers_many_messages = checked(many_small_ones)
test_acknowledgement_is_sent_without_a_request = checked(an_unsolicited_ack)
test_drain_waits_for_earlier_messages_only = checked(one_that_waits_while_more_is_sent)
test_drain_ends_with_the_worker_it_waits_for = checked(an_end_before_the_answer)
test_request_of_an_ended_sender_is_dropped = checked(a_request_of_a_predecessor)


async def two_processes_of_one_number(network: BusNetwork) -> None:
    """A worker that drains and its successor send large objects, fragments interleaved."""
    bus, handled = network.buses[2], asyncio.Event()
    received: list[bytes] = []

    async def receive(_: int, payload: bytes) -> None:
        await handled.wait()
        received.append(payload)

    bus.set_receiver(MessageKind.OBJECT, receive)
    old, new = first_message_id(101) + 1, first_message_id(102) + 1
    sent = {old: b"o" * (3 * FRAGMENT_SIZE), new: b"n" * (2 * FRAGMENT_SIZE + 7)}
    fragments = [[head + body for head, body in split_message(at, sent[at])] for at in (old, new)]
    for old_fragment, new_fragment in zip(*fragments, strict=True):
        bus.receive(RoutedMessage(1, MessageKind.OBJECT, old_fragment))
        bus.receive(RoutedMessage(1, MessageKind.OBJECT, new_fragment))
        # The end of another process with that number does not affect these.
        bus.forget_worker(WorkerExited(1, pid=100))
    for at in (old, new):
        bus.receive(RoutedMessage(1, MessageKind.OBJECT | ACK_REQUEST, encode_ack(at)))
    handled.set()
    await network.until(lambda: len(received) == 2)

    assert received == [sent[old], sent[new]]
    # Each process gets acknowledgements of its own messages.
    await network.until(lambda: {old, new} <= set(map(decode_ack, network.acks)))


async def an_ack_for_another_process(network: BusNetwork) -> None:
    network.buses[2].set_receiver(MessageKind.OBJECT, lambda *_: asyncio.Event().wait())
    network.send(b"not handled")
    ours = network.buses[1].senders[MessageKind.OBJECT]
    other = first_message_id(get_sender_pid(ours.last_id) + 1)
    network.buses[1].receive(RoutedMessage(2, MessageKind.OBJECT | ACK, encode_ack(other + 5)))

    assert len(ours.windows[2]) == 1
    network.buses[1].receive(RoutedMessage(2, MessageKind.OBJECT | ACK, encode_ack(ours.last_id)))
    assert len(ours.windows[2]) == 0


test_messages_of_a_draining_worker_and_its_successor_are_separate = checked(
    two_processes_of_one_number
)
test_acknowledgement_is_for_the_sending_process = checked(an_ack_for_another_process)

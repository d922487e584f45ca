"""Receipts: one for many, at once for who waits, and none from those who have ended."""

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


async def a_large_one_after_a_small_one(star: BusNetwork) -> None:
    star.send(b"small")
    await star.until(lambda: star.said)
    asked = star.posted(ACK_REQUEST)
    for _ in range(10):
        with pytest.raises(BusyError):
            star.send(bytes(8 * FRAGMENT_SIZE))
    # One question is enough, and the answer does not wait until a receipt is due.
    assert star.posted(ACK_REQUEST) == asked + 1
    window = star.relays[1].senders[MessageKind.OBJECT].windows[2]
    await star.until(lambda: not len(window))
    star.send(bytes(8 * FRAGMENT_SIZE))
    await star.drained()

    assert len(star.said) == 2


async def many_small_ones(star: BusNetwork) -> None:
    for _ in range(100):
        star.send(b"x")
        await star.until(lambda: star.relays[2].unhandled_count == 0)
    await star.until(lambda: len(star.said) == 100)
    star.relays[2].shut_down()
    await star.until(lambda: not len(star.relays[1].senders[MessageKind.OBJECT].windows[2]))

    # Not one for each, however slow this machine is.
    assert 1 <= star.posted(ACK) < 50


async def a_receipt_that_nobody_asks_for(star: BusNetwork) -> None:
    star.send(b"x")
    await star.until(lambda: not len(star.relays[1].senders[MessageKind.OBJECT].windows[2]))

    assert star.posted(ACK_REQUEST) == 0


async def one_that_waits_while_more_is_sent(star: BusNetwork) -> None:
    held = [asyncio.Event() for _ in range(3)]
    star.relays[2].set_receiver(MessageKind.OBJECT, lambda _, payload: held[payload[0]].wait())
    star.send(b"\0")
    first = asyncio.create_task(star.drained())
    await star.until(lambda: star.posted(ACK_REQUEST))
    star.send(b"\1")
    second = asyncio.create_task(star.drained())
    held[0].set()
    await first
    star.send(b"\2")
    assert not second.done()
    held[1].set()
    await second
    assert len(star.relays[1].senders[MessageKind.OBJECT].windows[2]) == 1
    held[2].set()
    await star.drained()


async def an_end_before_the_answer(star: BusNetwork) -> None:
    star.relays[2].set_receiver(MessageKind.OBJECT, lambda *_: asyncio.Event().wait())
    star.send(b"never handled")
    waiting = asyncio.create_task(star.drained())
    await star.until(lambda: star.posted(ACK_REQUEST))
    star.end(2)
    await waiting
    star.start(2)
    star.send(b"to its successor")
    await star.drained()

    assert star.said == [(2, 1, b"to its successor")]


async def a_question_of_a_predecessor(star: BusNetwork) -> None:
    relay = star.relays[2]
    relay.set_receiver(MessageKind.OBJECT, lambda *_: asyncio.Event().wait())
    star.send(b"never handled")
    relay.receive(RoutedMessage(1, MessageKind.OBJECT | ACK_REQUEST, encode_ack(2**63)))
    star.end(1)
    star.start(1)
    star.start(2)
    star.send(b"new")
    # Nobody's, and of no number: nothing comes of it.
    relay.receive(RoutedMessage(9, MessageKind.OBJECT | ACK_REQUEST, encode_ack(1)))
    relay.receive(RoutedMessage(1, MessageKind.OBJECT | ACK_REQUEST, b"?"))
    await star.drained()

    assert star.said[-1] == (2, 1, b"new")


test_what_was_handled_is_told_at_once_to_a_sender_that_is_held_up = checked(
    a_large_one_after_a_small_one
)
test_one_receipt_is_for_many_and_told_at_the_end_at_the_latest = checked(many_small_ones)
test_a_receipt_comes_some_time_though_nobody_asks = checked(a_receipt_that_nobody_asks_for)
test_who_waits_does_so_for_what_was_sent_before = checked(one_that_waits_while_more_is_sent)
test_nobody_waits_for_the_answer_of_a_worker_that_has_ended = checked(an_end_before_the_answer)
test_a_question_of_a_dead_sender_is_forgotten = checked(a_question_of_a_predecessor)


async def two_processes_of_one_number(star: BusNetwork) -> None:
    """A worker that drains and its successor send large objects, piece by piece in turn."""
    relay, handled = star.relays[2], asyncio.Event()
    received: list[bytes] = []

    async def receive(_: int, payload: bytes) -> None:
        await handled.wait()
        received.append(payload)

    relay.set_receiver(MessageKind.OBJECT, receive)
    old, new = first_message_id(101) + 1, first_message_id(102) + 1
    sent = {old: b"o" * (3 * FRAGMENT_SIZE), new: b"n" * (2 * FRAGMENT_SIZE + 7)}
    lanes = [[head + body for head, body in split_message(at, sent[at])] for at in (old, new)]
    for piece_of_old, piece_of_new in zip(*lanes, strict=True):
        relay.receive(RoutedMessage(1, MessageKind.OBJECT, piece_of_old))
        relay.receive(RoutedMessage(1, MessageKind.OBJECT, piece_of_new))
        # Another process of that number ends, which takes nothing from these.
        relay.forget_worker(WorkerExited(1, pid=100))
    for at in (old, new):
        relay.receive(RoutedMessage(1, MessageKind.OBJECT | ACK_REQUEST, encode_ack(at)))
    handled.set()
    await star.until(lambda: len(received) == 2)

    assert received == [sent[old], sent[new]]
    # Each of them is told of what it has sent itself.
    await star.until(lambda: {old, new} <= set(map(decode_ack, star.receipts)))


async def a_receipt_for_another_process(star: BusNetwork) -> None:
    star.relays[2].set_receiver(MessageKind.OBJECT, lambda *_: asyncio.Event().wait())
    star.send(b"not handled")
    ours = star.relays[1].senders[MessageKind.OBJECT]
    other = first_message_id(get_sender_pid(ours.last_id) + 1)
    star.relays[1].receive(RoutedMessage(2, MessageKind.OBJECT | ACK, encode_ack(other + 5)))

    assert len(ours.windows[2]) == 1
    star.relays[1].receive(RoutedMessage(2, MessageKind.OBJECT | ACK, encode_ack(ours.last_id)))
    assert len(ours.windows[2]) == 0


test_objects_of_a_draining_worker_and_its_successor_are_told_apart = checked(
    two_processes_of_one_number
)
test_a_receipt_is_for_the_process_that_has_sent_it = checked(a_receipt_for_another_process)

"""What workers send each other: in order, bounded, and nothing of those who have ended."""

import asyncio
import logging

import pytest

from kore._process.ipc.fragments import FRAGMENT_HEADER, FRAGMENT_SIZE, wire_cost
from kore._process.ipc.messages import MessageKind, RoutedMessage, WorkerExited
from kore.errors import BusyError, KoreError, NoSuchWorkerError, TooLargeError
from tests.helpers.bus_network import SETTINGS, BusNetwork, checked
from tests.helpers.core_loop import run


async def one_worker(star: BusNetwork) -> None:
    star.send(b"hello", 2)
    await star.drained()

    assert star.said == [(2, 1, b"hello")]


async def all_workers(star: BusNetwork) -> None:
    star.send(b"others", None)
    star.send(b"all", None, echo=True)
    star.send(b"self", 1)
    await star.drained()

    assert sorted(star.said) == [
        (1, 1, b"all"),
        (1, 1, b"self"),
        (2, 1, b"all"),
        (2, 1, b"others"),
        (3, 1, b"all"),
        (3, 1, b"others"),
    ]


async def large_ones(star: BusNetwork) -> None:
    sent = [bytes([size % 251]) * size for size in (0, 1, FRAGMENT_SIZE, 2 * FRAGMENT_SIZE + 3)]
    for payload in sent:
        star.send(payload)
    await star.drained()

    assert [payload for _, _, payload in star.said] == sent


async def wrong_numbers(star: BusNetwork) -> None:
    for number in (0, -1, 4, 5, 2**40):
        with pytest.raises(NoSuchWorkerError, match=f"worker {number} invalid: there are 1..3"):
            star.send(b"", number)
    for other in (True, "2", 2.0):
        with pytest.raises(TypeError, match=type(other).__name__):
            star.send(b"", other)  # type: ignore[arg-type]


async def too_large(star: BusNetwork) -> None:
    star.send(bytes(8 * FRAGMENT_SIZE))
    with pytest.raises(TooLargeError, match="worker_message_max"):
        star.send(bytes(8 * FRAGMENT_SIZE + 1))


async def a_busy_worker(star: BusNetwork) -> None:
    held = asyncio.Event()

    async def slow(sender: int, payload: bytes) -> None:
        await held.wait()
        star.said.append((2, sender, payload))

    star.relays[2].set_receiver(MessageKind.OBJECT, slow)
    window, count = star.relays[1].senders[MessageKind.OBJECT].windows[2], 0
    while window.has_room(wire_cost(4)):
        star.send(b"%04d" % count)
        count += 1
    with pytest.raises(BusyError, match="worker 2 ") as caught:
        star.send(b"more")
    assert caught.value.workers == (2,)
    assert count == SETTINGS.worker_message_window // wire_cost(4)
    with pytest.raises(BusyError):
        star.send(b"to all or to none", None)
    star.send(b"free", 3)
    star.relays[1].send(MessageKind.BROADCAST, b"another lane", 2, echo=False)
    held.set()
    await star.drained()

    assert star.said[0] == (3, 1, b"free")
    assert star.said[1:] == [(2, 1, b"%04d" % at) for at in range(count)]
    star.send(b"again")


async def one_after_the_other(star: BusNetwork) -> None:
    async def slow(sender: int, payload: bytes) -> None:
        star.said.append((2, sender, payload))
        await asyncio.sleep(0.001)
        star.said.append((2, sender, payload))

    star.relays[2].set_receiver(MessageKind.OBJECT, slow)
    for at in range(5):
        star.send(b"%d" % at)
    await star.drained()

    assert [payload for _, _, payload in star.said] == [b"%d" % (at // 2) for at in range(10)]


async def a_receiver_that_waits_for_itself(star: BusNetwork) -> None:
    async def stuck(*_: object) -> None:
        with pytest.raises(KoreError, match="for whose end it would wait"):
            await star.relays[1].drain(MessageKind.OBJECT, None)
        star.said.append((1, 1, b"refused"))

    star.relays[1].set_receiver(MessageKind.OBJECT, stuck)
    star.send(b"to myself", 1)
    await star.drained()

    assert star.said == [(1, 1, b"refused")]


async def an_error(star: BusNetwork) -> None:
    def fail(sender: int, payload: bytes) -> None:
        star.said.append((2, sender, payload))
        raise SystemExit(payload)

    star.relays[2].set_receiver(MessageKind.OBJECT, fail)
    star.send(b"one")
    star.send(b"two")
    await star.drained()

    assert [payload for _, _, payload in star.said] == [b"one", b"two"]
    assert [where for where, _ in star.failed] == ["the receiver of OBJECT messages"] * 2


async def an_end(star: BusNetwork) -> None:
    held = asyncio.Event()
    star.relays[2].set_receiver(MessageKind.OBJECT, lambda *_: held.wait())
    star.send(b"never handled")
    star.send(bytes(7 * FRAGMENT_SIZE))
    star.end(2)
    await star.drained()
    star.start(2)
    star.send(b"to its successor")
    await star.drained()

    assert star.said == [(2, 1, b"to its successor")]


async def half_a_message_at_the_receiver(star: BusNetwork) -> None:
    star.end(2)
    relay = star.start(2)
    relay.receive(
        RoutedMessage(
            1,
            MessageKind.OBJECT,
            FRAGMENT_HEADER.pack(5, 2 * FRAGMENT_SIZE, FRAGMENT_SIZE) + bytes(FRAGMENT_SIZE),
        )
    )
    star.send(b"whole")
    await star.drained()

    assert star.said == [(2, 1, b"whole")]


async def half_a_message_of_a_sender(star: BusNetwork) -> None:
    relay = star.relays[2]
    relay.receive(
        RoutedMessage(
            1,
            MessageKind.OBJECT,
            FRAGMENT_HEADER.pack(5, 2 * FRAGMENT_SIZE, 0) + bytes(FRAGMENT_SIZE),
        )
    )
    relay.forget_worker(WorkerExited(1))
    relay.receive(
        RoutedMessage(
            1,
            MessageKind.OBJECT,
            FRAGMENT_HEADER.pack(5, 2 * FRAGMENT_SIZE, FRAGMENT_SIZE) + bytes(FRAGMENT_SIZE),
        )
    )
    relay.receive(RoutedMessage(1, MessageKind.OBJECT, FRAGMENT_HEADER.pack(6, 3, 0) + b"new"))
    await star.until(lambda: star.said)

    assert star.said == [(2, 1, b"new")]


async def a_receipt_for_a_predecessor(star: BusNetwork) -> None:
    held = asyncio.Event()
    star.relays[2].set_receiver(MessageKind.OBJECT, lambda *_: held.wait())
    star.send(b"of the old one")
    await star.until(lambda: star.relays[2].unhandled_count == 0)
    star.end(1)
    star.start(1)
    star.relays[3].set_receiver(MessageKind.OBJECT, lambda *_: asyncio.Event().wait())
    star.send(b"of the new one", 2)
    star.relays[2].send_ack(MessageKind.OBJECT, 1, 10)

    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(star.relays[1].senders[MessageKind.OBJECT].windows[2]) == 1


async def a_sender_that_ignores_its_window(star: BusNetwork) -> None:
    relay = star.relays[2]
    relay.set_receiver(MessageKind.OBJECT, lambda *_: asyncio.Event().wait())
    for number in range(1, 100):
        relay.receive(
            RoutedMessage(
                1,
                MessageKind.OBJECT,
                FRAGMENT_HEADER.pack(number, FRAGMENT_SIZE, 0) + bytes(FRAGMENT_SIZE),
            )
        )

    assert relay.unhandled_count <= 16


test_a_message_reaches_the_worker_it_is_for = checked(one_worker)
test_a_message_to_all_reaches_the_sender_only_as_an_echo = checked(all_workers)
test_messages_of_any_size_arrive_whole = checked(large_ones)
test_a_worker_that_is_none_is_refused = checked(wrong_numbers)
test_a_message_over_the_limit_is_refused = checked(too_large)
test_a_worker_that_does_not_keep_up_is_busy_and_gets_all_of_it_later = checked(a_busy_worker)
test_a_message_is_handled_after_the_one_before_it = checked(one_after_the_other)
test_a_receiver_does_not_wait_for_itself = checked(a_receiver_that_waits_for_itself)
test_an_error_does_not_stop_the_next_message = checked(an_error)
test_nobody_waits_for_a_worker_that_has_ended = checked(an_end)
test_a_new_worker_gets_no_half_message = checked(half_a_message_at_the_receiver)
test_half_a_message_of_a_dead_sender_is_forgotten = checked(half_a_message_of_a_sender)
test_a_receipt_for_a_predecessor_settles_nothing = checked(a_receipt_for_a_predecessor)
test_what_a_sender_forces_on_a_receiver_is_bounded = checked(a_sender_that_ignores_its_window)


def test_losses_are_counted_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def lose() -> None:
        star = BusNetwork()
        star.relays[2].set_receiver(MessageKind.OBJECT, lambda *_: asyncio.Event().wait())
        star.send(b"one")
        star.send(b"two")
        star.end(2)
        star.relays[1].shut_down()

    with caplog.at_level(logging.WARNING):
        run(lose)

    assert "worker 2 has ended: up to 2 messages to it are lost" in caplog.text

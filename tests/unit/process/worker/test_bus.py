"""Messages between workers: their order, their limits, and workers that end."""

import asyncio
import logging

import pytest

from kore._process.ipc.fragments import FRAGMENT_HEADER, FRAGMENT_SIZE, wire_cost
from kore._process.ipc.messages import MessageKind, RoutedMessage, WorkerExited
from kore.errors import BusyError, KoreError, NoSuchWorkerError, TooLargeError
from tests.helpers.bus_network import SETTINGS, BusNetwork, checked
from tests.helpers.core_loop import run


async def one_worker(network: BusNetwork) -> None:
    network.send(b"hello", 2)
    await network.drain()

    assert network.received == [(2, 1, b"hello")]


async def all_workers(network: BusNetwork) -> None:
    network.send(b"others", None)
    network.send(b"all", None, echo=True)
    network.send(b"self", 1)
    await network.drain()

    assert sorted(network.received) == [
        (1, 1, b"all"),
        (1, 1, b"self"),
        (2, 1, b"all"),
        (2, 1, b"others"),
        (3, 1, b"all"),
        (3, 1, b"others"),
    ]


async def large_ones(network: BusNetwork) -> None:
    sent = [bytes([size % 251]) * size for size in (0, 1, FRAGMENT_SIZE, 2 * FRAGMENT_SIZE + 3)]
    for payload in sent:
        network.send(payload)
    await network.drain()

    assert [payload for _, _, payload in network.received] == sent


async def wrong_numbers(network: BusNetwork) -> None:
    for number in (0, -1, 4, 5, 2**40):
        with pytest.raises(NoSuchWorkerError, match=f"worker {number} invalid: there are 1..3"):
            network.send(b"", number)
    for other in (True, "2", 2.0):
        with pytest.raises(TypeError, match=type(other).__name__):
            network.send(b"", other)  # type: ignore[arg-type]


async def too_large(network: BusNetwork) -> None:
    network.send(bytes(8 * FRAGMENT_SIZE))
    with pytest.raises(TooLargeError, match="worker_message_max"):
        network.send(bytes(8 * FRAGMENT_SIZE + 1))


async def a_busy_worker(network: BusNetwork) -> None:
    held = asyncio.Event()

    async def slow(sender: int, payload: bytes) -> None:
        await held.wait()
        network.received.append((2, sender, payload))

    network.buses[2].set_receiver(MessageKind.OBJECT, slow)
    window, count = network.buses[1].senders[MessageKind.OBJECT].windows[2], 0
    while window.has_room(wire_cost(4)):
        network.send(b"%04d" % count)
        count += 1
    with pytest.raises(BusyError, match="worker 2 ") as caught:
        network.send(b"more")
    assert caught.value.workers == (2,)
    assert count == SETTINGS.worker_message_window // wire_cost(4)
    with pytest.raises(BusyError):
        network.send(b"to all or to none", None)
    network.send(b"free", 3)
    network.buses[1].send(MessageKind.BROADCAST, b"another lane", 2, echo=False)
    held.set()
    await network.drain()

    assert network.received[0] == (3, 1, b"free")
    assert network.received[1:] == [(2, 1, b"%04d" % at) for at in range(count)]
    network.send(b"again")


async def one_after_the_other(network: BusNetwork) -> None:
    async def slow(sender: int, payload: bytes) -> None:
        network.received.append((2, sender, payload))
        await asyncio.sleep(0.001)
        network.received.append((2, sender, payload))

    network.buses[2].set_receiver(MessageKind.OBJECT, slow)
    for at in range(5):
        network.send(b"%d" % at)
    await network.drain()

    expected = [b"%d" % (at // 2) for at in range(10)]
    assert [payload for _, _, payload in network.received] == expected


async def a_receiver_that_waits_for_itself(network: BusNetwork) -> None:
    async def stuck(*_: object) -> None:
        with pytest.raises(KoreError, match="for whose end it would wait"):
            await network.buses[1].drain(MessageKind.OBJECT, None)
        network.received.append((1, 1, b"refused"))

    network.buses[1].set_receiver(MessageKind.OBJECT, stuck)
    network.send(b"to myself", 1)
    await network.drain()

    assert network.received == [(1, 1, b"refused")]


async def an_error(network: BusNetwork) -> None:
    def fail(sender: int, payload: bytes) -> None:
        network.received.append((2, sender, payload))
        raise SystemExit(payload)

    network.buses[2].set_receiver(MessageKind.OBJECT, fail)
    network.send(b"one")
    network.send(b"two")
    await network.drain()

    assert [payload for _, _, payload in network.received] == [b"one", b"two"]
    assert [where for where, _ in network.failed] == ["the receiver of OBJECT messages"] * 2


async def an_end(network: BusNetwork) -> None:
    held = asyncio.Event()
    network.buses[2].set_receiver(MessageKind.OBJECT, lambda *_: held.wait())
    network.send(b"never handled")
    network.send(bytes(7 * FRAGMENT_SIZE))
    network.end(2)
    await network.drain()
    network.start(2)
    network.send(b"to its successor")
    await network.drain()

    assert network.received == [(2, 1, b"to its successor")]


async def half_a_message_at_the_receiver(network: BusNetwork) -> None:
    network.end(2)
    bus = network.start(2)
    bus.receive(
        RoutedMessage(
            1,
            MessageKind.OBJECT,
            FRAGMENT_HEADER.pack(5, 2 * FRAGMENT_SIZE, FRAGMENT_SIZE) + bytes(FRAGMENT_SIZE),
        )
    )
    network.send(b"whole")
    await network.drain()

    assert network.received == [(2, 1, b"whole")]


async def half_a_message_of_a_sender(network: BusNetwork) -> None:
    bus = network.buses[2]
    bus.receive(
        RoutedMessage(
            1,
            MessageKind.OBJECT,
            FRAGMENT_HEADER.pack(5, 2 * FRAGMENT_SIZE, 0) + bytes(FRAGMENT_SIZE),
        )
    )
    bus.forget_worker(WorkerExited(1))
    bus.receive(
        RoutedMessage(
            1,
            MessageKind.OBJECT,
            FRAGMENT_HEADER.pack(5, 2 * FRAGMENT_SIZE, FRAGMENT_SIZE) + bytes(FRAGMENT_SIZE),
        )
    )
    bus.receive(RoutedMessage(1, MessageKind.OBJECT, FRAGMENT_HEADER.pack(6, 3, 0) + b"new"))
    await network.until(lambda: network.received)

    assert network.received == [(2, 1, b"new")]


async def an_ack_for_a_predecessor(network: BusNetwork) -> None:
    held = asyncio.Event()
    network.buses[2].set_receiver(MessageKind.OBJECT, lambda *_: held.wait())
    network.send(b"of the old one")
    await network.until(lambda: network.buses[2].unhandled_count == 0)
    network.end(1)
    network.start(1)
    network.buses[3].set_receiver(MessageKind.OBJECT, lambda *_: asyncio.Event().wait())
    network.send(b"of the new one", 2)
    network.buses[2].send_ack(MessageKind.OBJECT, 1, 10)

    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(network.buses[1].senders[MessageKind.OBJECT].windows[2]) == 1


async def a_sender_that_ignores_its_window(network: BusNetwork) -> None:
    bus = network.buses[2]
    bus.set_receiver(MessageKind.OBJECT, lambda *_: asyncio.Event().wait())
    for number in range(1, 100):
        bus.receive(
            RoutedMessage(
                1,
                MessageKind.OBJECT,
                FRAGMENT_HEADER.pack(number, FRAGMENT_SIZE, 0) + bytes(FRAGMENT_SIZE),
            )
        )

    assert bus.unhandled_count <= 16


test_message_reaches_the_addressed_worker = checked(one_worker)
test_message_to_all_reaches_the_sender_only_with_echo = checked(all_workers)
test_messages_of_any_size_arrive_complete = checked(large_ones)
test_invalid_worker_number_is_refused = checked(wrong_numbers)
test_message_above_the_limit_is_refused = checked(too_large)
test_slow_worker_is_busy_and_receives_everything_later = checked(a_busy_worker)
test_messages_are_handled_one_after_the_other = checked(one_after_the_other)
test_drain_in_the_receiver_is_refused = checked(a_receiver_that_waits_for_itself)
test_error_of_a_receiver_does_not_stop_the_next_message = checked(an_error)
test_drain_does_not_wait_for_an_ended_worker = checked(an_end)
test_new_worker_drops_incomplete_messages = checked(half_a_message_at_the_receiver)
test_incomplete_message_of_an_ended_sender_is_dropped = checked(half_a_message_of_a_sender)
test_acknowledgement_for_a_predecessor_is_ignored = checked(an_ack_for_a_predecessor)
test_inbox_size_is_limited = checked(a_sender_that_ignores_its_window)


def test_losses_are_logged_with_their_number(caplog: pytest.LogCaptureFixture) -> None:
    async def lose() -> None:
        network = BusNetwork()
        network.buses[2].set_receiver(MessageKind.OBJECT, lambda *_: asyncio.Event().wait())
        network.send(b"one")
        network.send(b"two")
        network.end(2)
        network.buses[1].shut_down()

    with caplog.at_level(logging.WARNING):
        run(lose)

    assert "worker 2 has ended: up to 2 messages to it are lost" in caplog.text

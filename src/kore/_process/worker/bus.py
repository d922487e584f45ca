"""The message bus of a worker: messages to and from other workers, by kind.

    bus.set_receiver(MessageKind.BROADCAST, receiver)
    bus.send(MessageKind.BROADCAST, payload, None, echo=False)

Every payload goes through the parent, which does not look into it. Messages of one kind from one
sender arrive in the order in which they were sent; those to all workers arrive at every worker in
the same order. Each kind has a `BusSender` and a `BusReceiver`.
"""

from asyncio import AbstractEventLoop, TimerHandle, current_task
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from kore._conf.settings import Settings
from kore._process.ipc.fragments import decode_ack, encode_ack
from kore._process.ipc.messages import (
    ACK,
    ACK_REQUEST,
    KIND_MASK,
    MessageKind,
    ProtocolError,
    RoutedMessage,
    WorkerExited,
)
from kore._process.ipc.send_queue import raise_mmap_threshold
from kore._process.log.handlers import log
from kore._process.worker.bus_receiver import BusReceiver, ErrorReport, HookRunner, Receiver
from kore._process.worker.bus_sender import BusSender
from kore.errors import KoreError

# Seconds during which losses are counted before they are logged.
LOSS_LOG_DELAY: Final = 1.0
KINDS: Final[Mapping[int, MessageKind]] = {int(kind): kind for kind in MessageKind}


class MessageBus:
    """Senders and receivers of a worker's messages. *send_routed* passes them to the parent."""

    def __init__(
        self,
        number: int,
        settings: Settings,
        loop: AbstractEventLoop,
        send_routed: Callable[[RoutedMessage], None],
        report: ErrorReport,
    ) -> None:
        raise_mmap_threshold()
        self.loop = loop
        self.send_routed = send_routed
        self.senders = {
            kind: BusSender(kind, number, settings, loop, send_routed) for kind in MessageKind
        }
        self.receivers = {
            kind: BusReceiver(kind, settings, loop, partial(self.send_ack, kind), report)
            for kind in MessageKind
        }
        self._is_open = False
        self._lost: Counter[int] = Counter()
        self._timer: TimerHandle | None = None

    def send(self, kind: MessageKind, payload: bytes, worker: int | None, *, echo: bool) -> None:
        """Send *payload* to one worker, or to all; with *echo*, all includes this one.

        It is sent to all of them or to none. Raises BusyError if one of them has too much to
        handle, NoSuchWorkerError, TooLargeError.
        """
        self.senders[kind].send(payload, worker, echo=echo)

    def set_receiver(self, kind: MessageKind, receiver: Receiver, name: str = "") -> None:
        """Call *receiver* with the sender's number and the payload of each message.

        If it returns an awaitable, that is awaited before the next message. *name* is what the
        receiver is called in messages.
        """
        own = self.receivers[kind]
        own.receiver = receiver
        own.name = name or own.name

    async def drain(self, kind: MessageKind, worker: int | None) -> None:
        """Wait until the messages sent, to one worker or to all, have been handled or are lost.

        Raises KoreError where that would wait for the caller itself.
        """
        if not self._is_open:
            raise KoreError(
                "sendobj_drained() cannot be awaited before workerstart has returned: "
                "it would deadlock"
            )
        receiver = self.receivers[kind]
        if receiver.task is not None and receiver.task is current_task():
            raise KoreError(
                f"sendobj_drained() cannot be awaited in {receiver.name}, for whose end it would "
                "wait: await it in a task of its own"
            )
        await self.senders[kind].drain(worker)

    # ---- for the worker

    def open(self, run_hook: HookRunner) -> None:
        """Start to handle messages: the application is ready. *run_hook* runs awaitables."""
        self._is_open = True
        for receiver in self.receivers.values():
            receiver.run_hook = run_hook
            receiver.open()

    @property
    def unhandled_count(self) -> int:
        """How many messages have arrived and are not handled yet."""
        return sum(receiver.unhandled_count for receiver in self.receivers.values())

    def receive(self, message: RoutedMessage) -> None:
        """Take a message, an acknowledgement or a request for one from the parent."""
        kind = KINDS.get(message.flags & KIND_MASK)
        if kind is None:
            return
        if not message.flags & (ACK | ACK_REQUEST):
            self.receivers[kind].receive(message.address, message.content)
            return
        try:
            message_id = decode_ack(message.content)
        except ProtocolError:
            return
        if message.flags & ACK:
            self.senders[kind].acknowledge(message.address, message_id)
        else:
            self.receivers[kind].request_ack(message.address, message_id)

    def forget_worker(self, message: WorkerExited) -> None:
        """Drop the state of another worker, which has ended; count what is lost with it."""
        number, absent = message.number, message.absent
        if not absent:
            for receiver in self.receivers.values():
                receiver.forget_worker(number, message.pid)
        lost = sum(
            sender.forget_worker(number, absent=absent) for sender in self.senders.values()
        )
        if lost:
            self._lost[number] += lost
            if self._timer is None:
                self._timer = self.loop.call_later(LOSS_LOG_DELAY, self.log_losses)

    def send_ack(self, kind: MessageKind, sender: int, message_id: int) -> None:
        """Acknowledge to *sender* that its messages up to *message_id* were handled."""
        self.send_routed(RoutedMessage(sender, kind | ACK, encode_ack(message_id)))

    def log_losses(self) -> None:
        """Log how many messages were sent to workers that ended before handling them."""
        self._timer = None
        lost, self._lost = self._lost, Counter()
        for number, count in lost.items():
            log.warning("worker %d has ended: up to %d messages to it are lost", number, count)

    def shut_down(self) -> None:
        """Stop handling messages and log what is lost: this worker ends."""
        for receiver in self.receivers.values():
            receiver.close()
        self.log_losses()
        if self.unhandled_count:
            log.warning(
                "%d messages of other workers are lost: this one ends", self.unhandled_count
            )

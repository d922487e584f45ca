"""Messages between workers, on the worker's side: a lane out and a lane in for each kind.

    worker.relay.on(Kind.BROADCAST, receiver)
    worker.relay.send(Kind.BROADCAST, payload, None, echo=False)

Every payload goes through the parent, which does not look into it. Of one kind, those of one
sender arrive in its order, and what is sent to everybody arrives everywhere in the same order.
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
from kore._process.worker.bus_receiver import Await, BusReceiver, Failed, Receiver
from kore._process.worker.bus_sender import BusSender
from kore.errors import KoreError

# Losses are counted for so many seconds before they are told.
COUNTED: Final = 1.0
KINDS: Final[Mapping[int, MessageKind]] = {int(kind): kind for kind in MessageKind}


class MessageBus:
    """What this worker and the others send one another."""

    def __init__(
        self,
        number: int,
        settings: Settings,
        loop: AbstractEventLoop,
        post: Callable[[RoutedMessage], None],
        failed: Failed,
    ) -> None:
        raise_mmap_threshold()
        self.loop = loop
        self.post = post
        self.outgoing = {
            kind: BusSender(kind, number, settings, loop, post) for kind in MessageKind
        }
        self.incoming = {
            kind: BusReceiver(kind, settings, loop, partial(self.acknowledge, kind), failed)
            for kind in MessageKind
        }
        self._opened = False
        self._lost: Counter[int] = Counter()
        self._timer: TimerHandle | None = None

    def send(self, kind: MessageKind, payload: bytes, worker: int | None, *, echo: bool) -> None:
        """Send *payload* to one worker, or to all: with *echo* this one is among them.

        It has left when this returns, as far as this worker is concerned. To all or to none:
        BusyError when one of them has too much to handle before, NoSuchWorkerError,
        TooLargeError.
        """
        self.outgoing[kind].send(payload, worker, echo=echo)

    def on(self, kind: MessageKind, receiver: Receiver, where: str = "") -> None:
        """Have *receiver* called with the sender's number and the payload.

        One after the other. What it returns, if that is a coroutine, is awaited before the next.
        *where* is what it is called when it fails.
        """
        lane = self.incoming[kind]
        lane.receiver = receiver
        lane.where = where or lane.where

    async def drained(self, kind: MessageKind, worker: int | None) -> None:
        """Wait until what was sent, to one worker or to all, has been handled or is lost."""
        if not self._opened:
            raise KoreError(
                "a worker that starts handles nothing yet, and others may wait for it in turn: "
                "this can be awaited after workerstart"
            )
        if (task := self.incoming[kind].task) is not None and task is current_task():
            raise KoreError(
                f"{self.incoming[kind].where} would wait for itself: have a task of its own do it"
            )
        await self.outgoing[kind].drained(worker)

    # ---- for the worker

    def open(self, run_async: Await) -> None:
        """Begin to hand over what has come: the application is ready for it."""
        self._opened = True
        for lane in self.incoming.values():
            lane.run_async = run_async
            lane.open()

    @property
    def waiting(self) -> int:
        """How many messages have come and are not handled."""
        return sum(lane.waiting for lane in self.incoming.values())

    def parcel(self, parcel: RoutedMessage) -> None:
        """Take what the parent has brought."""
        kind = KINDS.get(parcel.flags & KIND_MASK)
        if kind is None:
            return
        if not parcel.flags & (ACK | ACK_REQUEST):
            self.incoming[kind].take(parcel.address, parcel.content)
            return
        try:
            number = decode_ack(parcel.content)
        except ProtocolError:
            return
        if parcel.flags & ACK:
            self.outgoing[kind].settle(parcel.address, number)
        else:
            self.incoming[kind].asked(parcel.address, number)

    def gone(self, message: WorkerExited) -> None:
        """Take note that another worker has ended."""
        number, absent = message.number, message.absent
        if not absent:
            for incoming in self.incoming.values():
                incoming.gone(number, message.pid)
        lost = sum(lane.gone(number, absent=absent) for lane in self.outgoing.values())
        if lost:
            self._lost[number] += lost
            if self._timer is None:
                self._timer = self.loop.call_later(COUNTED, self.tell_losses)

    def acknowledge(self, kind: MessageKind, sender: int, number: int) -> None:
        """Tell a sender that all up to *number* was handled."""
        self.post(RoutedMessage(sender, kind | ACK, encode_ack(number)))

    def tell_losses(self) -> None:
        """Log how much went to workers that did not live to handle it."""
        self._timer = None
        lost, self._lost = self._lost, Counter()
        for number, count in lost.items():
            log.warning("worker %d has ended: up to %d messages to it are lost", number, count)

    def farewell(self) -> None:
        """Hand over nothing more, and say what there is to say: this worker ends."""
        for lane in self.incoming.values():
            lane.close()
        self.tell_losses()
        if self.waiting:
            log.warning("%d messages of other workers are lost: this one ends", self.waiting)

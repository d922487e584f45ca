"""Send messages of one kind to other workers: numbered, in fragments, within a window for each."""

import os
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Iterable

from kore._conf.settings import Settings
from kore._process.ipc.fragments import (
    SendWindow,
    encode_ack,
    first_message_id,
    get_sender_pid,
    split_message,
    wire_cost,
)
from kore._process.ipc.messages import ACK_REQUEST, ALL_WORKERS, ECHO, MessageKind, RoutedMessage
from kore.errors import BusyError, NoSuchWorkerError, TooLargeError


class BusSender:
    """The sending side of one kind of messages, with a send window for each worker."""

    def __init__(
        self,
        kind: MessageKind,
        own_number: int,
        settings: Settings,
        loop: AbstractEventLoop,
        send_routed: Callable[[RoutedMessage], None],
    ) -> None:
        self.kind = kind
        self.loop = loop
        self.send_routed = send_routed
        self.payload_max = settings.worker_message_max
        window = settings.worker_message_window
        self.windows = {number: SendWindow(window) for number in range(1, settings.workers + 1)}
        self.others = tuple(number for number in self.windows if number != own_number)
        self.last_id = first_message_id(os.getpid())
        self._waiters: list[Future[None]] = []

    def send(self, payload: bytes, worker: int | None, *, echo: bool) -> None:
        """Send to one worker, or to all; with *echo*, all includes this one.

        It is sent to all of them or to none. Raises BusyError if a window is full,
        NoSuchWorkerError, TooLargeError.
        """
        receivers = self.get_receivers(worker, echo=echo)
        if len(payload) > self.payload_max:
            raise TooLargeError(
                f"a message of {len(payload)} bytes: worker_message_max allows {self.payload_max}"
            )
        cost = wire_cost(len(payload))
        full = tuple([n for n in receivers if not self.windows[n].has_room(cost)])
        if full:
            raise self._make_busy_error(full)
        if not receivers:
            return
        self.last_id += 1
        for number in receivers:
            self.windows[number].add(self.last_id, cost, to_all=worker is None)
        address = ALL_WORKERS if worker is None else worker
        flags = self.kind | (ECHO if echo and worker is None else 0)
        for head, body in split_message(self.last_id, payload):
            self.send_routed(RoutedMessage(address, flags, body, head))

    def get_receivers(self, worker: int | None, *, echo: bool) -> tuple[int, ...]:
        """Return the numbers of the workers that a message is for.

        Raises TypeError if *worker* is not an int, NoSuchWorkerError if it is out of range.
        """
        if worker is None:
            return tuple(self.windows) if echo else self.others
        if type(worker) is not int:
            raise TypeError(f"a worker is a number or None, not {type(worker).__name__}")
        if worker not in self.windows:
            raise NoSuchWorkerError(f"worker {worker} invalid: there are 1..{len(self.windows)}")
        return (worker,)

    def acknowledge(self, worker: int, message_id: int) -> None:
        """Note that *worker* has handled everything up to *message_id*.

        Ignored if the message was sent by another process, which had this worker's number before.
        """
        if get_sender_pid(message_id) == get_sender_pid(self.last_id):
            self.windows[worker].acknowledge(message_id)
            self._wake_waiters()

    def forget_worker(self, worker: int, *, absent: bool) -> int:
        """Clear the window of a worker that has ended; return how many messages may be lost."""
        lost = self.windows[worker].clear(absent=absent)
        self._wake_waiters()
        return lost

    async def drain(self, worker: int | None) -> None:
        """Wait until the messages sent so far, to one worker or to all, are handled or lost."""
        numbers, last_id = self.get_receivers(worker, echo=True), self.last_id
        while unacked := [n for n in numbers if self.windows[n].has_unacked(last_id)]:
            self._request_acks(unacked)
            waiter = self.loop.create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)

    def _make_busy_error(self, full: tuple[int, ...]) -> BusyError:
        """Return the error for full windows. Acknowledgements may be due: request them."""
        self._request_acks(full)
        numbers = ", ".join(map(str, full))
        return BusyError(f"worker {numbers} has not handled yet what was sent before", full)

    def _request_acks(self, numbers: Iterable[int]) -> None:
        """Request acknowledgements of all messages, unless that was done before."""
        for number in numbers:
            window = self.windows[number]
            if not window.ack_requested:
                window.ack_requested = self.last_id
                request = encode_ack(self.last_id)
                self.send_routed(RoutedMessage(number, self.kind | ACK_REQUEST, request))

    def _wake_waiters(self) -> None:
        """Have all `drain()` calls check their windows again."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

"""What this worker sends to others, of one kind: numbered, cut, and no more than they can take."""

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
    """A lane out: one window for each worker there is."""

    def __init__(
        self,
        kind: MessageKind,
        own: int,
        settings: Settings,
        loop: AbstractEventLoop,
        post: Callable[[RoutedMessage], None],
    ) -> None:
        self.kind = kind
        self.loop = loop
        self.post = post
        self.limit = settings.worker_message_max
        window = settings.worker_message_window
        self.windows = {number: SendWindow(window) for number in range(1, settings.workers + 1)}
        self.others = tuple(number for number in self.windows if number != own)
        self.number = first_message_id(os.getpid())
        self._waiting: list[Future[None]] = []

    def send(self, payload: bytes, worker: int | None, *, echo: bool) -> None:
        """Send to one worker, or to all; to this one too when *echo*.

        Sent to all of them or to none. BusyError, NoSuchWorkerError, TooLargeError.
        """
        receivers = self.receivers(worker, echo=echo)
        if len(payload) > self.limit:
            raise TooLargeError(
                f"a message of {len(payload)} bytes: worker_message_max allows {self.limit}"
            )
        price = wire_cost(len(payload))
        full = tuple([n for n in receivers if not self.windows[n].has_room(price)])
        if full:
            raise self._busy(full)
        if not receivers:
            return
        self.number += 1
        for number in receivers:
            self.windows[number].add(self.number, price, to_all=worker is None)
        address = ALL_WORKERS if worker is None else worker
        flags = self.kind | (ECHO if echo and worker is None else 0)
        for head, body in split_message(self.number, payload):
            self.post(RoutedMessage(address, flags, body, head))

    def receivers(self, worker: int | None, *, echo: bool) -> tuple[int, ...]:
        """Return the numbers of those who are to get something."""
        if worker is None:
            return tuple(self.windows) if echo else self.others
        if type(worker) is not int:
            raise TypeError(f"a worker is a number or None, not {type(worker).__name__}")
        if worker not in self.windows:
            raise NoSuchWorkerError(f"worker {worker} invalid: there are 1..{len(self.windows)}")
        return (worker,)

    def settle(self, worker: int, number: int) -> None:
        """Take note that *worker* has handled all up to *number*, if this process has sent it."""
        if get_sender_pid(number) == get_sender_pid(self.number):
            self.windows[worker].acknowledge(number)
            self._wake()

    def gone(self, worker: int, *, absent: bool) -> int:
        """Take note that a worker has ended; return how much sent to it may be lost."""
        lost = self.windows[worker].clear(absent=absent)
        self._wake()
        return lost

    async def drained(self, worker: int | None) -> None:
        """Wait until all that was sent before, or that to one worker, is handled or lost."""
        numbers, last = self.receivers(worker, echo=True), self.number
        while owing := [number for number in numbers if self.windows[number].has_unacked(last)]:
            self._ask(owing)
            waiter = self.loop.create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            finally:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)

    def _busy(self, full: tuple[int, ...]) -> BusyError:
        """Say who is. They may only not have told yet what they have handled."""
        self._ask(full)
        who = ", ".join(map(str, full))
        return BusyError(f"worker {who} has not handled yet what was sent before", full)

    def _ask(self, numbers: Iterable[int]) -> None:
        """Have these workers tell when they have handled all of it, if they were not asked yet."""
        for number in numbers:
            window = self.windows[number]
            if not window.ack_requested:
                window.ack_requested = self.number
                self.post(RoutedMessage(number, self.kind | ACK_REQUEST, encode_ack(self.number)))

    def _wake(self) -> None:
        """Have those look again who wait."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

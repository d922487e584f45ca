"""What others send to this worker, of one kind: put together, handed over one after the other."""

import asyncio
import time
from asyncio import AbstractEventLoop, Task, TimerHandle
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias

from kore._conf.settings import Settings
from kore._process.logs import log
from kore._process.messages import Kind, ProtocolError
from kore._process.parcels import Assembly, cost

# Who sent it, and what.
Receiver: TypeAlias = Callable[[int, bytes], Any]
# Runs what an application awaits; it is told a name for errors, and calls back at the end.
Await: TypeAlias = Callable[[Awaitable[object], str, Callable[[], None]], Task[None]]
Failed: TypeAlias = Callable[[str, BaseException], None]

# Receivers that do not wait have so many seconds before other events get a turn.
TURN: Final = 0.005
# How long a receipt may be late: one for many is cheaper.
LATE: Final = 0.02
# And for which part of a window.
PART: Final = 8


class Incoming:
    """A lane in. Nothing is handed over before open()."""

    def __init__(
        self,
        kind: Kind,
        settings: Settings,
        loop: AbstractEventLoop,
        acknowledge: Callable[[int, int], None],
        failed: Failed,
    ) -> None:
        self.kind = kind
        self.loop = loop
        self.acknowledge = acknowledge
        self.failed = failed
        self.run_async: Await | None = None
        # What a receiver that waits runs as.
        self.task: Task[None] | None = None
        self.receiver: Receiver | None = None
        self.where = f"the receiver of {kind.name} messages"
        self.limit = settings.worker_message_max
        # A sender that died may have left as much as its successor sends.
        self.most = 2 * max(settings.worker_message_window, cost(self.limit))
        self.part = settings.worker_message_window // PART
        self._assemblies: dict[int, Assembly] = {}
        self._inbox: deque[tuple[int, int, bytes]] = deque()
        # Of each sender, what is in there.
        self._held: Counter[int] = Counter()
        # What it can be told of: up to which number, and for how many bytes.
        self._due: dict[int, tuple[int, int]] = {}
        self._timer: TimerHandle | None = None
        self._complained: set[int] = set()
        self._opened = False
        # Something of the inbox is being handled, or about to be.
        self._running = False

    @property
    def waiting(self) -> int:
        """How many messages have come and are not handled."""
        return len(self._inbox)

    def open(self) -> None:
        """Begin to hand over."""
        self._opened = True
        self._schedule()

    def close(self) -> None:
        """Hand over nothing more; tell senders what was handled."""
        self._opened = False
        self.acknowledge_all()

    # ---- in

    def take(self, sender: int, content: bytes | memoryview) -> None:
        """Take the content of a parcel."""
        assembly = self._assemblies.get(sender)
        if assembly is None:
            assembly = self._assemblies[sender] = Assembly(self.limit)
        try:
            complete = assembly.add(content)
        except ProtocolError as fault:
            assembly.drop()
            self._complain(sender, f"what is no message: {fault}")
            return
        if complete is None:
            return
        number, size, payload = complete
        if payload is None:
            # Its beginning was for the worker that had this number before.
            self._due_to(sender, number, size)
        elif self._held[sender] + cost(size) > self.most:
            self._complain(sender, "more than it may: some of it is left out")
            self._due_to(sender, number, size)
        else:
            self._held[sender] += cost(size)
            self._inbox.append((sender, number, payload))
            self._schedule()

    def gone(self, sender: int) -> None:
        """Forget what a worker that has ended did not send to the end, and what it is due."""
        self._assemblies.pop(sender, None)
        self._due.pop(sender, None)
        self._complained.discard(sender)

    def _complain(self, sender: int, what: str) -> None:
        """Say once what a sender does."""
        if sender not in self._complained:
            self._complained.add(sender)
            log.error("worker %d sends %s", sender, what)

    # ---- over

    def _schedule(self) -> None:
        if self._opened and self._inbox and not self._running:
            self._running = True
            self.loop.call_soon(self._run)

    def _run(self) -> None:
        """Hand over what has come, until one has to be awaited or the turn is over."""
        until = time.monotonic() + TURN
        while self._inbox and self._opened:
            sender, number, payload = self._inbox.popleft()
            pending = self._hand_over(sender, payload)
            if asyncio.iscoroutine(pending) and self.run_async is not None:
                done = partial(self._awaited, sender, number, len(payload))
                self.task = self.run_async(pending, self.where, done)
                return
            self._handled(sender, number, len(payload))
            if time.monotonic() > until:
                break
        self._running = False
        self._schedule()

    def _hand_over(self, sender: int, payload: bytes) -> Any:
        if self.receiver is None:
            self._complain(0, f"of kind {self.kind.name}, which nobody here takes")
            return None
        try:
            return self.receiver(sender, payload)
        except BaseException as error:  # noqa: BLE001 - SystemExit too: it ends no worker
            self.failed(self.where, error)

    def _awaited(self, sender: int, number: int, size: int) -> None:
        """Go on after a receiver that had to wait."""
        self.task = None
        self._handled(sender, number, size)
        self._running = False
        self._schedule()

    # ---- back

    def _handled(self, sender: int, number: int, size: int) -> None:
        self._held[sender] -= cost(size)
        self._due_to(sender, number, size)

    def _due_to(self, sender: int, number: int, size: int) -> None:
        """Tell a sender what was handled: now if it is much, else soon."""
        before = self._due.get(sender, (0, 0))[1]
        self._due[sender] = number, before + cost(size)
        if before + cost(size) >= self.part:
            self.acknowledge(sender, self._due.pop(sender)[0])
        elif self._timer is None:
            self._timer = self.loop.call_later(LATE, self.acknowledge_all)

    def acknowledge_all(self) -> None:
        """Tell every sender what was handled."""
        self._timer = None
        due, self._due = self._due, {}
        for sender, (number, _) in due.items():
            self.acknowledge(sender, number)

"""What others send to this worker, of one kind: put together, handed over one after the other."""

from asyncio import AbstractEventLoop, Task, TimerHandle
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Any, Final, TypeAlias

from kore._conf.settings import Settings
from kore._maybe_async import is_awaitable
from kore._process.ipc.fragments import Reassembler, get_sender_pid, read_message_id, wire_cost
from kore._process.ipc.messages import MessageKind, ProtocolError
from kore._process.log.handlers import log

# Who sent it, and what.
Receiver: TypeAlias = Callable[[int, bytes], Any]
# Runs what an application awaits; it is told a name for errors, and calls back at the end.
Await: TypeAlias = Callable[[Awaitable[object], str, Callable[[], None]], Task[None]]
Failed: TypeAlias = Callable[[str, BaseException], None]

# Receivers that do not wait have so many seconds before other events get a turn.
TURN: Final = 0.005
# How long a receipt may be late that nobody asks for: one for many is cheaper.
LATE: Final = 0.25
# And for which part of a window.
PART: Final = 8
# How many processes may send under one number: a worker, one that drains, more after more TERMs.
PROCESSES: Final = 4


class PeerState:
    """What there is between a process that sends and this worker."""

    __slots__ = ("asked", "assembly", "due", "number")

    def __init__(self, limit: int) -> None:
        self.assembly = Reassembler(limit)
        # Up to which number all was handled, and the cost of what it was not told of.
        self.number = 0
        self.due = 0
        # As soon as which number is handled it is to be told.
        self.asked = 0


class PeerStates:
    """Those of the processes that send under one number: a worker, and others that drain."""

    __slots__ = ("_by_process", "_limit", "held")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_process: dict[int, PeerState] = {}
        # What it costs to keep what of them is in the inbox.
        self.held = 0

    def find(self, number: int) -> PeerState | None:
        """Return the account of the process that has given this number, if there is one."""
        return self._by_process.get(get_sender_pid(number))

    def open(self, number: int) -> PeerState:
        """Return that account, or a new one. There are few: the oldest is given up."""
        process = get_sender_pid(number)
        account = self._by_process.get(process)
        if account is None:
            if len(self._by_process) >= PROCESSES:
                del self._by_process[next(iter(self._by_process))]
            account = self._by_process[process] = PeerState(self._limit)
        return account

    def forget(self, process: int) -> None:
        """Forget a process that has ended; what it sent stays in the inbox."""
        self._by_process.pop(process, None)

    def due(self) -> list[PeerState]:
        """Return the accounts of processes that were not told of all that was handled."""
        return [account for account in self._by_process.values() if account.due]


class BusReceiver:
    """A lane in. Nothing is handed over before open()."""

    def __init__(
        self,
        kind: MessageKind,
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
        self.most = 2 * max(settings.worker_message_window, wire_cost(self.limit))
        self.part = settings.worker_message_window // PART
        # By the numbers of senders.
        self._accounts: dict[int, PeerStates] = {}
        # Sender, number, cost, payload.
        self._inbox: deque[tuple[int, int, int, bytes]] = deque()
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
        accounts = self._accounts.get(sender)
        if accounts is None:
            accounts = self._accounts[sender] = PeerStates(self.limit)
        try:
            complete = accounts.open(read_message_id(content)).assembly.add(content)
        except ProtocolError as fault:
            self._complain(sender, f"what is no message: {fault}")
            return
        if complete is None:
            return
        number, size, payload = complete
        price = wire_cost(size)
        if payload is None:
            # Its beginning was for the worker that had this number before.
            self._due_to(sender, number, price)
        elif accounts.held + price > self.most:
            self._complain(sender, "more than it may: some of it is left out")
            self._due_to(sender, number, price)
        else:
            accounts.held += price
            self._inbox.append((sender, number, price, payload))
            if not self._running:
                self._schedule()

    def asked(self, sender: int, number: int) -> None:
        """Tell a sender what was handled, and once more when all up to *number* is."""
        accounts = self._accounts.get(sender)
        account = accounts and accounts.find(number)
        if not account:
            return
        account.asked = number if account.number < number else 0
        if account.due:
            self._acknowledge(sender, account)

    def gone(self, sender: int, process: int) -> None:
        """Forget what a process that has ended did not send to the end, and what it is due."""
        if (accounts := self._accounts.get(sender)) is not None:
            accounts.forget(process)
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
        until = monotonic() + TURN
        while self._inbox and self._opened:
            sender, number, price, payload = self._inbox.popleft()
            pending = self._hand_over(sender, payload)
            if is_awaitable(pending) and self.run_async is not None:
                done = partial(self._awaited, sender, number, price)
                self.task = self.run_async(pending, self.where, done)
                return
            self._handled(sender, number, price)
            if self._inbox and monotonic() > until:
                break
        self._running = False
        if self._inbox:
            self._schedule()

    def _hand_over(self, sender: int, payload: bytes) -> Any:
        if self.receiver is None:
            self._complain(0, f"of kind {self.kind.name}, which nobody here takes")
            return None
        try:
            return self.receiver(sender, payload)
        except BaseException as error:  # noqa: BLE001 - SystemExit too: it ends no worker
            self.failed(self.where, error)

    def _awaited(self, sender: int, number: int, price: int) -> None:
        """Go on after a receiver that had to wait."""
        self.task = None
        self._handled(sender, number, price)
        self._running = False
        self._schedule()

    # ---- back

    def _handled(self, sender: int, number: int, price: int) -> None:
        self._accounts[sender].held -= price
        self._due_to(sender, number, price)

    def _due_to(self, sender: int, number: int, price: int) -> None:
        """Tell a sender what was handled: now if it is much, or asked for; else some time."""
        account = self._accounts[sender].find(number)
        if account is None:
            # It has ended.
            return
        account.number = number
        account.due += price
        if account.due >= self.part or 0 < account.asked <= number:
            self._acknowledge(sender, account)
        elif self._timer is None:
            self._timer = self.loop.call_later(LATE, self.acknowledge_all)

    def acknowledge_all(self) -> None:
        """Tell every sender what was handled."""
        self._timer = None
        for sender, accounts in self._accounts.items():
            for account in accounts.due():
                self._acknowledge(sender, account)

    def _acknowledge(self, sender: int, account: PeerState) -> None:
        account.due = 0
        if account.asked <= account.number:
            account.asked = 0
        self.acknowledge(sender, account.number)

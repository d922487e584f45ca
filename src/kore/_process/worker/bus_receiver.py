"""Receive messages of one kind from other workers: reassembled, handled in order, acknowledged.

Acknowledgements tell a sender how much of its window is free again. They are sent when a part of
the window has been handled, on request, or after a delay, so that one of them covers many messages.
"""

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

# Called with the sender's number and the payload.
Receiver: TypeAlias = Callable[[int, bytes], Any]
# Runs an awaitable of the application under a name for messages; calls back at its end.
HookRunner: TypeAlias = Callable[[Awaitable[object], str, Callable[[], None]], Task[None]]
ErrorReport: TypeAlias = Callable[[str, BaseException], None]

# Seconds that messages may be handled before other events of the loop have a turn.
TURN_SECONDS: Final = 0.005
# Seconds by which an acknowledgement may be delayed, so that it covers many messages...
ACK_DELAY: Final = 0.25
# ... unless this part of a window has been handled.
ACK_FRACTION: Final = 8
# Processes with the same number: the worker, one that drains, more after repeated SIGTERMs.
PEERS_MAX: Final = 4


class PeerState:
    """What this worker knows of one sending process."""

    __slots__ = ("handled_id", "reassembler", "requested_id", "unacked_cost")

    def __init__(self, payload_max: int) -> None:
        self.reassembler = Reassembler(payload_max)
        # The last message that was handled, and the cost of those not acknowledged yet.
        self.handled_id = 0
        self.unacked_cost = 0
        # An acknowledgement was requested for the time when this message is handled.
        self.requested_id = 0


class PeerStates:
    """The states of the processes that send under one number: a worker, and others that drain."""

    __slots__ = ("_by_pid", "_payload_max", "inbox_cost")

    def __init__(self, payload_max: int) -> None:
        self._payload_max = payload_max
        self._by_pid: dict[int, PeerState] = {}
        # The cost of their messages in the inbox.
        self.inbox_cost = 0

    def find(self, message_id: int) -> PeerState | None:
        """Return the state of the process that has sent a message, None if it is not known."""
        return self._by_pid.get(get_sender_pid(message_id))

    def find_or_add(self, message_id: int) -> PeerState:
        """Return that state, or a new one, which replaces the oldest if there are too many."""
        pid = get_sender_pid(message_id)
        state = self._by_pid.get(pid)
        if state is None:
            if len(self._by_pid) >= PEERS_MAX:
                del self._by_pid[next(iter(self._by_pid))]
            state = self._by_pid[pid] = PeerState(self._payload_max)
        return state

    def forget(self, pid: int) -> None:
        """Drop the state of a process that has ended; its messages stay in the inbox."""
        self._by_pid.pop(pid, None)

    def get_unacked(self) -> list[PeerState]:
        """Return the states with handled messages that were not acknowledged."""
        return [state for state in self._by_pid.values() if state.unacked_cost]


class BusReceiver:
    """The receiving side of one kind of messages. Nothing is handled before open()."""

    def __init__(
        self,
        kind: MessageKind,
        settings: Settings,
        loop: AbstractEventLoop,
        send_ack: Callable[[int, int], None],
        report: ErrorReport,
    ) -> None:
        self.kind = kind
        self.loop = loop
        self.send_ack = send_ack
        self.report = report
        self.run_hook: HookRunner | None = None
        # The task of a receiver that is being awaited.
        self.task: Task[None] | None = None
        self.receiver: Receiver | None = None
        self.name = f"the receiver of {kind.name} messages"
        self.payload_max = settings.worker_message_max
        # A sender that died may have left as much as its successor sends.
        self.inbox_cost_max = 2 * max(
            settings.worker_message_window, wire_cost(self.payload_max)
        )
        self.ack_threshold = settings.worker_message_window // ACK_FRACTION
        # By the numbers of senders.
        self._peers: dict[int, PeerStates] = {}
        # Sender, message id, cost, payload.
        self._inbox: deque[tuple[int, int, int, bytes]] = deque()
        self._timer: TimerHandle | None = None
        # Senders whose violations were logged.
        self._violators: set[int] = set()
        self._is_open = False
        # A message is being handled, or `_handle_inbox` is scheduled.
        self._is_running = False

    @property
    def unhandled_count(self) -> int:
        """How many messages have arrived and are not handled yet."""
        return len(self._inbox)

    def open(self) -> None:
        """Start to handle messages."""
        self._is_open = True
        self._schedule()

    def close(self) -> None:
        """Stop handling messages, and acknowledge those that were handled."""
        self._is_open = False
        self.send_due_acks()

    # ---- in

    def receive(self, sender: int, content: bytes | memoryview) -> None:
        """Take a fragment from *sender*."""
        peers = self._peers.get(sender)
        if peers is None:
            peers = self._peers[sender] = PeerStates(self.payload_max)
        try:
            complete = peers.find_or_add(read_message_id(content)).reassembler.add(content)
        except ProtocolError as fault:
            self._log_violation(sender, "worker %d: malformed message: %s", sender, fault)
            return
        if complete is None:
            return
        message_id, size, payload = complete
        cost = wire_cost(size)
        if payload is None:
            # Its first fragments were received by the process that had this number before.
            self._schedule_ack(sender, message_id, cost)
        elif peers.inbox_cost + cost > self.inbox_cost_max:
            self._log_violation(
                sender, "worker %d exceeds its send window: messages dropped", sender
            )
            self._schedule_ack(sender, message_id, cost)
        else:
            peers.inbox_cost += cost
            self._inbox.append((sender, message_id, cost, payload))
            if not self._is_running:
                self._schedule()

    def request_ack(self, sender: int, message_id: int) -> None:
        """Acknowledge what was handled, and again as soon as *message_id* is."""
        peers = self._peers.get(sender)
        state = peers and peers.find(message_id)
        if not state:
            return
        state.requested_id = message_id if state.handled_id < message_id else 0
        if state.unacked_cost:
            self._acknowledge(sender, state)

    def forget_worker(self, sender: int, pid: int) -> None:
        """Drop the state of a process that has ended, with its incomplete messages."""
        if (peers := self._peers.get(sender)) is not None:
            peers.forget(pid)
        self._violators.discard(sender)

    def _log_violation(self, sender: int, form: str, *arguments: object) -> None:
        """Log a violation, once for each sender."""
        if sender not in self._violators:
            self._violators.add(sender)
            log.error(form, *arguments)

    # ---- to the receiver

    def _schedule(self) -> None:
        if self._is_open and self._inbox and not self._is_running:
            self._is_running = True
            self.loop.call_soon(self._handle_inbox)

    def _handle_inbox(self) -> None:
        """Handle messages until one has to be awaited or the turn is over."""
        turn_end = monotonic() + TURN_SECONDS
        while self._inbox and self._is_open:
            sender, message_id, cost, payload = self._inbox.popleft()
            pending = self._call_receiver(sender, payload)
            if is_awaitable(pending) and self.run_hook is not None:
                done = partial(self._resume, sender, message_id, cost)
                self.task = self.run_hook(pending, self.name, done)
                return
            self._finish_message(sender, message_id, cost)
            if self._inbox and monotonic() > turn_end:
                break
        self._is_running = False
        if self._inbox:
            self._schedule()

    def _call_receiver(self, sender: int, payload: bytes) -> Any:
        if self.receiver is None:
            self._log_violation(0, "no receiver for messages of kind %s: dropped", self.kind.name)
            return None
        try:
            return self.receiver(sender, payload)
        except BaseException as error:  # noqa: BLE001 - SystemExit, too, does not end the worker
            self.report(self.name, error)

    def _resume(self, sender: int, message_id: int, cost: int) -> None:
        """Go on after a receiver that was awaited."""
        self.task = None
        self._finish_message(sender, message_id, cost)
        self._is_running = False
        self._schedule()

    # ---- acknowledgements

    def _finish_message(self, sender: int, message_id: int, cost: int) -> None:
        self._peers[sender].inbox_cost -= cost
        self._schedule_ack(sender, message_id, cost)

    def _schedule_ack(self, sender: int, message_id: int, cost: int) -> None:
        """Acknowledge a message: at once if much is due or it was requested, else delayed."""
        state = self._peers[sender].find(message_id)
        if state is None:
            # The process has ended.
            return
        state.handled_id = message_id
        state.unacked_cost += cost
        if state.unacked_cost >= self.ack_threshold or 0 < state.requested_id <= message_id:
            self._acknowledge(sender, state)
        elif self._timer is None:
            self._timer = self.loop.call_later(ACK_DELAY, self.send_due_acks)

    def send_due_acks(self) -> None:
        """Acknowledge to every sender what was handled."""
        self._timer = None
        for sender, peers in self._peers.items():
            for state in peers.get_unacked():
                self._acknowledge(sender, state)

    def _acknowledge(self, sender: int, state: PeerState) -> None:
        state.unacked_cost = 0
        if state.requested_id <= state.handled_id:
            state.requested_id = 0
        self.send_ack(sender, state.handled_id)

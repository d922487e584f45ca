"""Router of messages between workers: passes them on by the header, without reading the content.

Only within a generation: new code may not understand what old code sends. Each receiver has a queue
in which every sender has a quota, so that a slow receiver does not delay others.
"""

from collections.abc import Callable, Iterator

from kore._conf.settings import Settings
from kore._process.ipc.datagrams import encode_parts
from kore._process.ipc.fragments import ACK_PAYLOAD, wire_cost
from kore._process.ipc.messages import (
    ACK,
    ACK_REQUEST,
    ALL_WORKERS,
    ECHO,
    KIND_MASK,
    KNOWN_FLAGS,
    MessageKind,
    ProtocolError,
    RoutedMessage,
    WorkerExited,
)
from kore._process.ipc.send_queue import raise_mmap_threshold
from kore._process.log.handlers import log
from kore._process.parent.generation import Child


class MessageRouter:
    """Routes messages from child to child; *watch* is called when a channel wants to write."""

    def __init__(self, watch: Callable[[Child], object]) -> None:
        raise_mmap_threshold()
        self.watch = watch

    def route(self, sender: Child, message: RoutedMessage) -> None:
        """Pass a message on. Raises ProtocolError if the sender may not send it."""
        flags = message.flags
        roles = sender.role.message_targets.get(flags & KIND_MASK)
        if roles is None or flags & ~KNOWN_FLAGS:
            raise ProtocolError(f"message with flags {flags:#x}")
        if flags & (ACK | ACK_REQUEST) and (message.address == ALL_WORKERS or flags & ECHO):
            raise ProtocolError("acknowledgement with several receivers")
        parts = encode_parts(RoutedMessage(sender.number, flags, message.content))
        for receiver in self._find_receivers(sender, message):
            if receiver.role.name not in roles:
                raise ProtocolError(f"message to a {receiver.role.name}")
            if not receiver.channel.try_send(parts):
                self._enqueue(sender, receiver, b"".join(parts))

    def _enqueue(self, sender: Child, receiver: Child, datagram: bytes) -> None:
        """Queue a datagram for the receiver, or drop it if the sender's quota is used up."""
        queue = receiver.channel.send_queue
        used = queue.bytes_by_sender[sender.number]
        if used + len(datagram) > get_hard_quota(sender.generation.settings):
            _log_over_quota(sender, receiver)
            return
        queue.append(sender.number, datagram)
        self.watch(receiver)

    def _find_receivers(self, sender: Child, message: RoutedMessage) -> Iterator[Child]:
        """Yield the receivers that run; tell the sender of those that do not."""
        slots = sender.generation.slots
        if message.address == ALL_WORKERS:
            echo = bool(message.flags & ECHO)
            for number, slot in slots.items():
                if slot.child is None:
                    self._notify_absent(sender, WorkerExited(number, absent=True))
                elif echo or slot.child is not sender:
                    yield slot.child
        elif message.address not in slots:
            raise ProtocolError(f"message to unknown worker {message.address}")
        elif (child := slots[message.address].child) is not None:
            yield child
            if message.flags & ACK:
                # Messages of a draining worker are acknowledged under its number.
                draining = sender.generation.draining
                yield from (child for child in draining if child.number == message.address)
        elif not message.flags & ACK:
            # Its successor has not been ordered yet.
            self._notify_absent(sender, WorkerExited(message.address))

    def worker_exited(self, child: Child) -> None:
        """Tell the other workers that one has exited, after all messages that it has sent."""
        for other in child.generation.workers:
            if other is child or other.ended:
                continue
            queue = other.channel.send_queue
            if queue.bytes_by_sender[child.number] > get_quota(child.generation.settings):
                # Otherwise each successor that exits like this one would add to the queue.
                log.warning("%s: its queue to %s is too long, messages dropped", child, other)
                queue.discard_sender(child.number)
            self._send_notice(other, WorkerExited(child.number, pid=child.pid))

    def _notify_absent(self, sender: Child, notice: WorkerExited) -> None:
        """Tell a sender that a receiver does not run, unless such a notice is queued already."""
        if not sender.ended:
            queue = sender.channel.send_queue
            if not queue.bytes_by_sender[_get_queue_key(notice)]:
                self._send_notice(sender, notice)

    def _send_notice(self, child: Child, notice: WorkerExited) -> None:
        """Send a notice after all routed messages."""
        child.channel.send_low_priority(notice, _get_queue_key(notice))
        if child.channel.wants_write:
            self.watch(child)


def _log_over_quota(sender: Child, receiver: Child) -> None:
    """Log, once for each sender, that messages are dropped.

    It is not a protocol violation: a receiver may have acknowledged everything and receive nothing.
    """
    if not sender.over_quota_logged:
        sender.over_quota_logged = True
        log.error("%s: queue to %s is full, messages dropped", sender, receiver)


def _get_queue_key(notice: WorkerExited) -> int:
    """Return the queue key of a notice: negative, unique per worker and kind of notice."""
    return -2 * notice.number - notice.absent


def get_quota(settings: Settings) -> int:
    """Return how many bytes of a sender that respects its windows may wait for a receiver."""
    window = max(settings.worker_message_window, wire_cost(settings.worker_message_max))
    # For each kind a window of messages, and a request for an acknowledgement.
    return len(MessageKind) * (window + wire_cost(ACK_PAYLOAD.size))


def get_hard_quota(settings: Settings) -> int:
    """Return how many bytes of a sender may wait for a receiver in any case.

    Twice the quota if the receiver was restarted and messages to its predecessor wait for it, and
    once more for messages of the sender's own predecessor.
    """
    return 3 * get_quota(settings)

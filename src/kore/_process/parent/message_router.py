"""The parent's part of what workers send one another: by its header to whom it is for.

Within a generation only: what old code sends, new code may not understand. Nothing here looks into
a parcel, and nobody who does not keep up holds up anybody else.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kore._conf.settings import Settings
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
    encode_parts,
)
from kore._process.ipc.send_queue import raise_mmap_threshold
from kore._process.log.handlers import log

if TYPE_CHECKING:
    from kore._process.parent.children import Child, Children


class MessageRouter:
    """Carries parcels from child to child."""

    def __init__(self, children: "Children") -> None:
        raise_mmap_threshold()
        self.children = children

    def carry(self, sender: "Child", parcel: RoutedMessage) -> None:
        """Hand a parcel on; ProtocolError: the sender may not send it."""
        flags = parcel.flags
        roles = sender.role.message_targets.get(flags & KIND_MASK)
        if roles is None or flags & ~KNOWN_FLAGS:
            raise ProtocolError(f"a parcel with flags {flags:#x}")
        if flags & (ACK | ACK_REQUEST) and (parcel.address == ALL_WORKERS or flags & ECHO):
            raise ProtocolError("a receipt to more than one")
        passed = encode_parts(RoutedMessage(sender.number, flags, parcel.content))
        for receiver in self.receivers(sender, parcel):
            if receiver.role.name not in roles:
                raise ProtocolError(f"a parcel to a {receiver.role.name}")
            if not receiver.channel.try_send(passed):
                self.hold(sender, receiver, b"".join(passed))

    def hold(self, sender: "Child", receiver: "Child", datagram: bytes) -> None:
        """Let what cannot go now wait for the receiver, if there is room for more of the sender."""
        mail = receiver.channel.send_queue
        if mail.bytes_by_sender[sender.number] + len(datagram) > most(sender.generation.settings):
            drop(sender, receiver)
            return
        mail.append(sender.number, datagram)
        self.children.watch(receiver)

    def receivers(self, sender: "Child", parcel: RoutedMessage) -> Iterator["Child"]:
        """Yield those who are to get a parcel, as far as they are there."""
        seats = sender.generation.seats
        if parcel.address == ALL_WORKERS:
            echo = bool(parcel.flags & ECHO)
            for number, seat in seats.items():
                if seat.child is None:
                    self.bounce(sender, WorkerExited(number, absent=True))
                elif echo or seat.child is not sender:
                    yield seat.child
        elif parcel.address not in seats:
            raise ProtocolError(f"a parcel to worker {parcel.address}, which is none")
        elif (child := seats[parcel.address].child) is not None:
            yield child
            if parcel.flags & ACK:
                # What a worker that drains has sent is acknowledged under its number.
                leaving = sender.generation.leaving
                yield from (child for child in leaving if child.number == parcel.address)
        elif not parcel.flags & ACK:
            # Its successor has not been ordered yet.
            self.bounce(sender, WorkerExited(parcel.address))

    def gone(self, child: "Child") -> None:
        """Tell the others that a worker has ended, after all that it has sent them."""
        if not child.number:
            return
        for other in child.generation.workers:
            if other is child or other.ended:
                continue
            if other.channel.send_queue.bytes_by_sender[child.number] > usual(
                child.generation.settings
            ):
                # Its successors, if they end like this, would add to it without end.
                log.warning("%s: what it sent to %s is dropped: too much waits there", child, other)
                other.channel.send_queue.discard_sender(child.number)
            self.send(other, WorkerExited(child.number, pid=child.pid))

    def bounce(self, sender: "Child", message: WorkerExited) -> None:
        """Say that somebody is not there. One such note that still waits is enough."""
        if not sender.ended and not sender.channel.send_queue.bytes_by_sender[account(message)]:
            self.send(sender, message)

    def send(self, child: "Child", message: WorkerExited) -> None:
        """Send a note behind all parcels."""
        child.channel.send_low_priority(message, account(message))
        if child.channel.wants_write:
            self.children.watch(child)


def drop(sender: "Child", receiver: "Child") -> None:
    """Leave a parcel out, and say once of a sender that this happens.

    Not a broken rule: the sender may ignore its windows, but it may also have been told by a
    receiver that takes nothing that it has taken everything.
    """
    if not sender.crowding:
        sender.crowding = True
        log.error("%s sends %s more than that takes: some is dropped", sender, receiver)


def account(message: WorkerExited) -> int:
    """Return the owner of a note: no worker, and another one for each different note."""
    return -2 * message.number - message.absent


def usual(settings: Settings) -> int:
    """Return how many bytes of one sender that keeps to its windows may wait for one receiver."""
    window = max(settings.worker_message_window, wire_cost(settings.worker_message_max))
    # Of each kind a window of messages, and the question when they will have been handled.
    return len(MessageKind) * (window + wire_cost(ACK_PAYLOAD.size))


def most(settings: Settings) -> int:
    """Return how many bytes of one sender may wait for one receiver, whatever happens.

    Twice the usual when the sender has been told of a death, and what it had sent to the dead
    waits for the successor; and once more what a dead predecessor of the sender has left.
    """
    return 3 * usual(settings)

"""The parent's part of what workers send one another: by its header to whom it is for.

Within a generation only: what old code sends, new code may not understand. Nothing here looks into
a parcel, and nobody who does not keep up holds up anybody else.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kore._conf.settings import Settings
from kore._process.mail import expect_large_blocks
from kore._process.messages import (
    ALL,
    ECHO,
    FLAGS,
    KIND,
    RECEIPT,
    Gone,
    Kind,
    Parcel,
    ProtocolError,
)
from kore._process.parcels import cost

if TYPE_CHECKING:
    from kore._process.children import Child, Children

# For what is told of ends, to one who does not listen.
NOTES_MAX: Final = 64 * 1024


class Post:
    """Carries parcels from child to child."""

    def __init__(self, children: "Children") -> None:
        expect_large_blocks()
        self.children = children

    def carry(self, sender: "Child", parcel: Parcel) -> None:
        """Hand a parcel on; ProtocolError: the sender may not send it."""
        kind, address = parcel.flags & KIND, parcel.address
        roles = sender.role.parcels.get(kind)
        if roles is None or parcel.flags & ~FLAGS:
            raise ProtocolError(f"a parcel with flags {parcel.flags:#x}")
        if parcel.flags & RECEIPT and (address == ALL or parcel.flags & ECHO):
            raise ProtocolError("a receipt to more than one")
        passed = Parcel(sender.number, parcel.flags, parcel.content)
        limit = most(sender.generation.settings)
        refused = False
        for receiver in self.receivers(sender, parcel):
            if receiver.role.name not in roles:
                raise ProtocolError(f"a parcel to a {receiver.role.name}")
            if receiver.channel.mail.held[sender.number] + len(parcel.content) > limit:
                refused = True
                continue
            receiver.channel.post(passed, sender.number)
            if receiver.channel.wants_write:
                self.children.watch(receiver)
        if refused:
            raise ProtocolError(f"more parcels to somebody who is busy than {limit} bytes")

    def receivers(self, sender: "Child", parcel: Parcel) -> Iterator["Child"]:
        """Yield those who are to get a parcel, as far as they are there."""
        seats = sender.generation.seats
        if parcel.address == ALL:
            echo = bool(parcel.flags & ECHO)
            for number, seat in seats.items():
                if seat.child is None:
                    self.tell(sender, Gone(number, absent=True))
                elif echo or seat.child is not sender:
                    yield seat.child
        elif parcel.address not in seats:
            raise ProtocolError(f"a parcel to worker {parcel.address}, which is none")
        elif (child := seats[parcel.address].child) is not None:
            yield child
        elif not parcel.flags & RECEIPT:
            # Its successor has not been ordered yet.
            self.tell(sender, Gone(parcel.address))

    def gone(self, child: "Child") -> None:
        """Tell the others that a worker has ended, after all that it has sent them."""
        if child.number:
            for other in child.generation.workers:
                if other is not child:
                    self.tell(other, Gone(child.number))

    def tell(self, child: "Child", message: Gone) -> None:
        """Say who has ended; not for ever to one who does not listen."""
        mail = child.channel.mail
        if not child.ended and mail.held[ALL] < NOTES_MAX:
            child.channel.post(message)
            if child.channel.wants_write:
                self.children.watch(child)


def most(settings: Settings) -> int:
    """Return how many bytes of one sender may wait for one receiver.

    Who keeps to its windows never has more on the way than one of each kind; twice that when it
    has just been told of a death, and what it had sent to the dead waits for the successor.
    """
    window = max(settings.worker_message_window, cost(settings.worker_message_max))
    return 2 * len(Kind) * window

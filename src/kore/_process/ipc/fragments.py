"""How what one worker sends to another is cut, put together and paid for. Pure.

A parcel holds a piece of what was sent, or a receipt. Between two processes the pieces come in
order, and those of one thing in a row; what is missing is missing from some moment on, because a
process has ended. A worker that drains and its successor have one number as workers and send at the
same time: the numbers of what they send tell them apart.
"""

import struct
from collections import deque
from collections.abc import Iterator
from typing import Final

from kore._process.ipc.messages import HEADER, SIZE_MAX, ProtocolError

# Of what was sent: its number, its size, and where in it this piece begins.
PIECE: Final = struct.Struct("!QII")
RECEIPT: Final = struct.Struct("!Q")
# Of a piece.
ROOM: Final = SIZE_MAX - HEADER.size - PIECE.size
# What a piece costs beside its bytes, in every process it is held in.
OVERHEAD: Final = 512


# The upper bits of a number are the pid of its sender (22 bits at most), the lower ones count.
COUNT_BITS: Final = 42


def first_number(pid: int) -> int:
    """Return the number from which a process counts what it sends."""
    return pid << COUNT_BITS


def process_of(number: int) -> int:
    """Return the pid of the process that has given this number."""
    return number >> COUNT_BITS


def cost(size: int) -> int:
    """Return what *size* bytes count for on their way."""
    return size + OVERHEAD * (-(-size // ROOM) or 1)


def pieces(number: int, payload: bytes) -> Iterator[tuple[bytes, bytes | memoryview]]:
    """Yield head and body of the parcels that *payload* travels in: one at least."""
    size = len(payload)
    if size <= ROOM:
        yield PIECE.pack(number, size, 0), payload
        return
    view = memoryview(payload)
    for start in range(0, size, ROOM):
        yield PIECE.pack(number, size, start), view[start : start + ROOM]


def receipt(number: int) -> bytes:
    """Return the content of a receipt for all up to *number*, or of what asks for one."""
    return RECEIPT.pack(number)


def number_in(content: bytes | memoryview) -> int:
    """Return the number that a receipt speaks of, or what asks for one."""
    if len(content) != RECEIPT.size:
        raise ProtocolError("a receipt of another size")
    (number,) = RECEIPT.unpack(content)
    return int(number)


def number_of(piece: bytes | memoryview) -> int:
    """Return the number of what a piece belongs to. Raises ProtocolError if it is no piece."""
    if len(piece) < PIECE.size:
        raise ProtocolError("shorter than a piece")
    number, _, _ = PIECE.unpack_from(piece)
    return int(number)


class Reassembler:
    """What one sender sends, until it is complete. Grows with what has come."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # What is being put together; nothing: no first piece has come since.
        self.number = 0
        self.size = 0
        self.filled = 0
        self.parts: list[bytes] = []

    def add(self, content: bytes | memoryview) -> tuple[int, int, bytes | None] | None:
        """Take a piece. Returns number, size and payload when it was the last one, else None.

        The payload is None when a piece before it is missing. ProtocolError: it is no piece.
        """
        if len(content) < PIECE.size:
            raise ProtocolError("shorter than a piece")
        number, size, start = PIECE.unpack_from(content)
        body = memoryview(content)[PIECE.size :]
        end = start + len(body)
        # All but the last are full, or a sender could have many small ones kept.
        if size > self.limit or start % ROOM or end != min(start + ROOM, size):
            raise ProtocolError(f"bytes {start} to {end} of {size}")
        if len(body) == size:
            if self.parts:
                self.drop()
            return number, size, bytes(body)
        if start == 0:
            self.number, self.size, self.filled = number, size, 0
            self.parts.clear()
        if (number, size, start) == (self.number, self.size, self.filled):
            self.filled = end
            self.parts.append(bytes(body))
        else:
            self.drop()
        if end < size:
            return None
        whole = b"".join(self.parts) if self.filled == size == end and self.number else None
        self.drop()
        return number, size, whole

    def drop(self) -> None:
        """Forget what has come so far."""
        self.number = self.size = self.filled = 0
        self.parts.clear()


class SendWindow:
    """What a receiver has not handled yet, as far as its sender knows."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        # Up to which number the receiver was asked for a receipt; 0: there is no question open.
        self.asked = 0
        self._sent: deque[tuple[int, int, bool]] = deque()

    def __len__(self) -> int:
        return len(self._sent)

    def has_room(self, price: int) -> bool:
        """Whether something of that cost may go. One alone may, however large."""
        return not self._sent or self.bytes + price <= self.limit

    def add(self, number: int, price: int, *, to_all: bool = False) -> None:
        """Take note of what goes, and of what it costs."""
        self._sent.append((number, price, to_all))
        self.bytes += price

    def owes(self, number: int) -> bool:
        """Whether some of all up to *number* has not been handled."""
        return bool(self._sent) and self._sent[0][0] <= number

    def settle(self, number: int) -> None:
        """Take note that all up to *number* has been handled."""
        while self._sent and self._sent[0][0] <= number:
            self.bytes -= self._sent.popleft()[1]
        if self.asked <= number:
            self.asked = 0

    def clear(self, *, absent: bool = False) -> int:
        """Give up on all of it; return how many that were.

        Of what goes to all an *absent* receiver has no part, so that is not counted.
        """
        count = sum(not (absent and to_all) for _, _, to_all in self._sent)
        self._sent.clear()
        self.bytes = self.asked = 0
        return count

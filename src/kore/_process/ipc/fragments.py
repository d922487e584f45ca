"""Fragmentation and flow control of messages between workers. Pure.

A routed message holds one fragment of what a worker sent, or an acknowledgement. Between two
processes the fragments arrive in order, and those of one message in a row; if some are missing,
all after them are missing as well, because a process has ended. A worker that drains and its
successor have the same worker number and send at the same time: message ids tell them apart.
"""

import struct
from collections import deque
from collections.abc import Iterator
from typing import Final

from kore._process.ipc.messages import HEADER, SIZE_MAX, ProtocolError

# Message id, size of the whole message, offset of this fragment in it.
FRAGMENT_HEADER: Final = struct.Struct("!QII")
# The last message id that an acknowledgement covers.
ACK_PAYLOAD: Final = struct.Struct("!Q")
# Payload bytes of a full fragment.
FRAGMENT_SIZE: Final = SIZE_MAX - HEADER.size - FRAGMENT_HEADER.size
# Estimated memory of a fragment beside its bytes, in each process that holds it.
FRAGMENT_OVERHEAD: Final = 512
# The upper bits of a message id are the pid of its sender (22 bits at most), the lower ones count.
COUNTER_BITS: Final = 42


def first_message_id(pid: int) -> int:
    """Return the message id from which a process counts."""
    return pid << COUNTER_BITS


def get_sender_pid(message_id: int) -> int:
    """Return the pid of the process that assigned a message id."""
    return message_id >> COUNTER_BITS


def wire_cost(size: int) -> int:
    """Return how many bytes of a send window a message of *size* bytes takes."""
    return size + FRAGMENT_OVERHEAD * (-(-size // FRAGMENT_SIZE) or 1)


def split_message(message_id: int, payload: bytes) -> Iterator[tuple[bytes, bytes | memoryview]]:
    """Yield header and body of each fragment of *payload*: at least one."""
    size = len(payload)
    if size <= FRAGMENT_SIZE:
        yield FRAGMENT_HEADER.pack(message_id, size, 0), payload
        return
    view = memoryview(payload)
    for start in range(0, size, FRAGMENT_SIZE):
        yield FRAGMENT_HEADER.pack(message_id, size, start), view[start : start + FRAGMENT_SIZE]


def encode_ack(message_id: int) -> bytes:
    """Return the content of an acknowledgement up to *message_id*, or of a request for one."""
    return ACK_PAYLOAD.pack(message_id)


def decode_ack(content: bytes | memoryview) -> int:
    """Return the message id of an acknowledgement, or of a request for one.

    Raises ProtocolError if it has another size.
    """
    if len(content) != ACK_PAYLOAD.size:
        raise ProtocolError("acknowledgement of a wrong size")
    (message_id,) = ACK_PAYLOAD.unpack(content)
    return int(message_id)


def read_message_id(fragment: bytes | memoryview) -> int:
    """Return the message id of a fragment. Raises ProtocolError if it has no complete header."""
    if len(fragment) < FRAGMENT_HEADER.size:
        raise ProtocolError("shorter than a fragment header")
    message_id, _, _ = FRAGMENT_HEADER.unpack_from(fragment)
    return int(message_id)


class Reassembler:
    """Joins the fragments of one sender. Holds no more memory than has arrived."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # The message in progress; all zero and empty if its first fragment has not arrived.
        self.message_id = 0
        self.size = 0
        self.filled = 0
        self.parts: list[bytes] = []

    def add(self, content: bytes | memoryview) -> tuple[int, int, bytes | None] | None:
        """Take a fragment. Returns message id, size and payload after the last one, else None.

        The payload is None if earlier fragments were lost. Raises ProtocolError for a malformed
        fragment.
        """
        if len(content) < FRAGMENT_HEADER.size:
            raise ProtocolError("shorter than a fragment header")
        message_id, size, start = FRAGMENT_HEADER.unpack_from(content)
        body = memoryview(content)[FRAGMENT_HEADER.size :]
        end = start + len(body)
        # All but the last are full, or a sender could make the receiver keep many small ones.
        if size > self.limit or start % FRAGMENT_SIZE or end != min(start + FRAGMENT_SIZE, size):
            raise ProtocolError(f"bytes {start}-{end} of {size}")
        if len(body) == size:
            if self.parts:
                self.reset()
            return message_id, size, bytes(body)
        if start == 0:
            self.message_id, self.size, self.filled = message_id, size, 0
            self.parts.clear()
        if (message_id, size, start) == (self.message_id, self.size, self.filled):
            self.filled = end
            self.parts.append(bytes(body))
        else:
            self.reset()
        if end < size:
            return None
        complete = self.filled == size == end and self.message_id
        payload = b"".join(self.parts) if complete else None
        self.reset()
        return message_id, size, payload

    def reset(self) -> None:
        """Drop the message in progress."""
        self.message_id = self.size = self.filled = 0
        self.parts.clear()


class SendWindow:
    """Messages sent to one receiver and not acknowledged yet, and their cost in bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        # The message id up to which an acknowledgement was requested; 0: no request is open.
        self.ack_requested = 0
        self._sent: deque[tuple[int, int, bool]] = deque()

    def __len__(self) -> int:
        return len(self._sent)

    def has_room(self, cost: int) -> bool:
        """Return whether a message of that cost may be sent. A single one may have any cost."""
        return not self._sent or self.bytes + cost <= self.limit

    def add(self, message_id: int, cost: int, *, to_all: bool = False) -> None:
        """Add a message that is sent now."""
        self._sent.append((message_id, cost, to_all))
        self.bytes += cost

    def has_unacked(self, message_id: int) -> bool:
        """Return whether a message up to *message_id* is not acknowledged yet."""
        return bool(self._sent) and self._sent[0][0] <= message_id

    def acknowledge(self, message_id: int) -> None:
        """Remove all messages up to *message_id*, which have been processed."""
        while self._sent and self._sent[0][0] <= message_id:
            self.bytes -= self._sent.popleft()[1]
        if self.ack_requested <= message_id:
            self.ack_requested = 0

    def clear(self, *, absent: bool = False) -> int:
        """Remove all messages; return how many were lost.

        Broadcasts are not counted for an *absent* receiver: they were not meant for it.
        """
        count = sum(not (absent and to_all) for _, _, to_all in self._sent)
        self._sent.clear()
        self.bytes = self.ack_requested = 0
        return count

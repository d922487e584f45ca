"""Low-priority send queue of a channel, with a byte count per sender.

Datagrams in it are sent only when no control message is pending. The router of the parent
(`parent/message_router.py`) uses the counts to enforce the quota of each sender.
"""

from collections import Counter, deque
from typing import Final

# Estimated memory of a queued datagram beside its payload: deque node, tuple, bytes header.
ENTRY_OVERHEAD: Final = 256
# Freeing one block of this size raises glibc's dynamic mmap threshold (mallopt(3)), so that later
# message buffers come from the heap and not, each time, from freshly zeroed pages.
MMAP_THRESHOLD_BLOCK: Final = 1 << 20


def raise_mmap_threshold() -> None:
    """Make malloc serve message buffers from the heap in this process."""
    bytes(MMAP_THRESHOLD_BLOCK)


class SendQueue:
    """FIFO of datagrams, each charged to the worker that sent it, or to another queue key."""

    def __init__(self) -> None:
        self.entries: deque[tuple[int, bytes]] = deque()
        self.bytes_by_sender: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def first(self) -> bytes:
        """The datagram to send next."""
        return self.entries[0][1]

    def append(self, sender: int, datagram: bytes) -> None:
        """Queue a datagram and charge its size to *sender*."""
        self.entries.append((sender, datagram))
        self.bytes_by_sender[sender] += len(datagram) + ENTRY_OVERHEAD

    def remove_first(self) -> None:
        """Remove the first datagram after it has been sent."""
        sender, datagram = self.entries.popleft()
        self.bytes_by_sender[sender] -= len(datagram) + ENTRY_OVERHEAD

    def discard_sender(self, sender: int) -> None:
        """Drop all datagrams that are charged to *sender*."""
        self.entries = deque(entry for entry in self.entries if entry[0] != sender)
        del self.bytes_by_sender[sender]

    def clear(self) -> None:
        """Drop all datagrams."""
        self.entries.clear()
        self.bytes_by_sender.clear()

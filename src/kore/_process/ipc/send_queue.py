"""What waits behind everything else for a slow receiver: a queue, and how much of it is whose."""

from collections import Counter, deque
from typing import Final

# What a datagram costs its process beside its own bytes, roughly.
OVERHEAD: Final = 256
# Freed once, so much makes glibc give smaller blocks back to the kernel no more: to get each one
# anew, in zeroed pages, costs more than what is done with it.
FREED_ONCE: Final = 1 << 20


def expect_large_blocks() -> None:
    """Prepare this process for datagrams that come and go."""
    bytes(FREED_ONCE)


class SendQueue:
    """Datagrams in order, each on somebody's account."""

    def __init__(self) -> None:
        self.queue: deque[tuple[int, bytes]] = deque()
        # Bytes by owner.
        self.held: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self.queue)

    @property
    def first(self) -> bytes:
        """The one to go next."""
        return self.queue[0][1]

    def add(self, owner: int, datagram: bytes) -> None:
        """Take one more."""
        self.queue.append((owner, datagram))
        self.held[owner] += len(datagram) + OVERHEAD

    def remove_first(self) -> None:
        """Forget the first: it is gone."""
        owner, datagram = self.queue.popleft()
        self.held[owner] -= len(datagram) + OVERHEAD

    def discard(self, owner: int) -> None:
        """Forget all that is on one account."""
        self.queue = deque(entry for entry in self.queue if entry[0] != owner)
        del self.held[owner]

    def clear(self) -> None:
        """Forget all of them."""
        self.queue.clear()
        self.held.clear()

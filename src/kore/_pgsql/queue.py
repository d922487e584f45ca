"""Which waiter gets a connection next, and when a pool opens another one. Pure.

First come, first served. The connection that was used last is used first, so that the others
become idle and can be closed. The class is generic: it knows neither connections nor futures.
"""

from collections import deque
from math import inf
from typing import Generic, Protocol, TypeVar

from kore.errors import DatabaseError


class ConnectionWaiter(Protocol):
    """The part of a future that the queue uses."""

    def done(self) -> bool:
        """Return whether the waiter has its result already, or was cancelled."""


C = TypeVar("C")
W = TypeVar("W", bound=ConnectionWaiter)


class ConnectionQueue(Generic[C, W]):
    """The idle connections of a pool, its waiters, and the numbers of connections.

    There are at most *connection_limit* connections, 0: no limit. Besides the waiters for which a
    connection is being opened, at most *waiter_limit* may wait.
    """

    def __init__(self, connection_limit: int, waiter_limit: int) -> None:
        self.connection_limit = connection_limit
        self.waiter_limit = waiter_limit
        # A stack: the last one was used last.
        self.idle: list[C] = []
        # Each with its deadline.
        self.waiters: deque[tuple[W, float]] = deque()
        # Open connections, idle or not; and attempts to open one.
        self.open_count = 0
        self.opening_count = 0

    @property
    def needs_connection(self) -> bool:
        """Whether another connection should be opened."""
        return len(self.waiters) > self.opening_count and self.has_room

    @property
    def has_room(self) -> bool:
        """Whether another connection may be opened."""
        limit = self.connection_limit
        return not limit or self.open_count + self.opening_count < limit

    def add_waiter(self, waiter: W, deadline: float = inf) -> None:
        """Queue a waiter. Raises DatabaseError if too many wait already."""
        due = self.opening_count + self.has_room
        if len(self.waiters) >= self.waiter_limit + due:
            raise DatabaseError("pgsql error: no available connection")
        self.waiters.append((waiter, deadline))

    def remove_waiter(self, waiter: W) -> None:
        """Remove a waiter that has given up, if it is still queued."""
        for entry in self.waiters:
            if entry[0] is waiter:
                self.waiters.remove(entry)
                return

    def pop_waiter(self) -> W | None:
        """Remove and return the waiter that has waited longest."""
        while self.waiters:
            waiter, _ = self.waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def pop_expired(self, now: float) -> list[W]:
        """Remove and return the waiters whose deadline has passed."""
        expired: list[W] = []
        # The wait timeout is the same for all, so deadlines ascend.
        while self.waiters and self.waiters[0][1] <= now:
            expired.append(self.waiters.popleft()[0])
        return [waiter for waiter in expired if not waiter.done()]

    def pop_unservable(self) -> list[W]:
        """Remove and return all waiters if there is no open connection that could serve them."""
        if self.open_count:
            return []
        waiters = [waiter for waiter, _ in self.waiters if not waiter.done()]
        self.waiters.clear()
        return waiters

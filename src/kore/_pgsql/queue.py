"""Who gets which connection next, and when another one is opened. Pure.

First come, first served. Connections that are used are used again, so that the others can be
closed. It knows neither what a connection is nor what waits.
"""

from collections import deque
from math import inf
from typing import Generic, Protocol, TypeVar

from kore.errors import DatabaseError


class ConnectionWaiter(Protocol):
    """A future, as far as it matters here."""

    def done(self) -> bool:
        """Whether nobody waits any more."""


C = TypeVar("C")
W = TypeVar("W", bound=ConnectionWaiter)


class ConnectionQueue(Generic[C, W]):
    """The connections of a pool, and those who wait for one.

    *most* connections at a time, 0: no limit; *patient* may wait beside those whose connection is
    on its way.
    """

    def __init__(self, most: int, patient: int) -> None:
        self.most = most
        self.patient = patient
        # The one used last is the last one.
        self.idle: list[C] = []
        # Each with the time at which it has waited for too long.
        self.waiting: deque[tuple[W, float]] = deque()
        # All that are open, idle or not.
        self.open = 0
        self.opening = 0

    @property
    def wants_more(self) -> bool:
        """Whether another connection should be opened."""
        return len(self.waiting) > self.opening and self.has_room

    @property
    def has_room(self) -> bool:
        """Whether another connection may be opened."""
        return not self.most or self.open + self.opening < self.most

    def stand(self, waiter: W, deadline: float = inf) -> None:
        """Wait for a connection. DatabaseError: too many do."""
        due = self.opening + self.has_room
        if len(self.waiting) >= self.patient + due:
            raise DatabaseError("pgsql error: no available connection")
        self.waiting.append((waiter, deadline))

    def leave(self, waiter: W) -> None:
        """Wait no more."""
        for entry in self.waiting:
            if entry[0] is waiter:
                self.waiting.remove(entry)
                return

    def overdue(self, now: float) -> list[W]:
        """Return those who have waited for too long, and let them wait no more."""
        found: list[W] = []
        # Deadlines are in the order in which they were set.
        while self.waiting and self.waiting[0][1] <= now:
            found.append(self.waiting.popleft()[0])
        return [waiter for waiter in found if not waiter.done()]

    def next(self) -> W | None:
        """Return who has waited longest."""
        while self.waiting:
            waiter, _ = self.waiting.popleft()
            if not waiter.done():
                return waiter
        return None

    def hopeless(self) -> list[W]:
        """Return those who wait for what will not come: the way to the server is closed.

        As long as there is a connection there is hope.
        """
        if self.open:
            return []
        found = [waiter for waiter, _ in self.waiting if not waiter.done()]
        self.waiting.clear()
        return found

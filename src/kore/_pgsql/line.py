"""Who gets which connection next, and when another one is opened. Pure.

First come, first served. Connections that are used are used again, so that the others can be
closed. It knows neither what a connection is nor what waits.
"""

from collections import deque
from typing import Generic, Protocol, TypeVar

from kore.errors import DatabaseError


class Waiter(Protocol):
    """A future, as far as it matters here."""

    def done(self) -> bool:
        """Whether nobody waits any more."""


C = TypeVar("C")
W = TypeVar("W", bound=Waiter)


class Line(Generic[C, W]):
    """The connections of a pool, and those who wait for one.

    *most* connections at a time, 0: no limit; *patient* may wait beside those whose connection is
    on its way.
    """

    def __init__(self, most: int, patient: int) -> None:
        self.most = most
        self.patient = patient
        # The one used last is the last one.
        self.idle: list[C] = []
        self.waiting: deque[W] = deque()
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

    def stand(self, waiter: W) -> None:
        """Wait for a connection. DatabaseError: too many do."""
        due = self.opening + self.has_room
        if len(self.waiting) >= self.patient + due:
            raise DatabaseError("pgsql error: no available connection")
        self.waiting.append(waiter)

    def leave(self, waiter: W) -> None:
        """Wait no more."""
        if waiter in self.waiting:
            self.waiting.remove(waiter)

    def next(self) -> W | None:
        """Return who has waited longest."""
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                return waiter
        return None

    def hopeless(self) -> list[W]:
        """Return those who wait for what will not come: the way to the server is closed.

        As long as there is a connection there is hope.
        """
        if self.open:
            return []
        found = [waiter for waiter in self.waiting if not waiter.done()]
        self.waiting.clear()
        return found

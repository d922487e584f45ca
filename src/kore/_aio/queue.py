"""A FIFO queue between the tasks of one process: `kore.queue`."""

from collections import deque
from typing import Any

from kore._aio.sleep import has_result
from kore._aio.waiters import WaiterQueue
from kore.errors import KoreError, QueueFullError


class Queue:
    """A queue of objects; tasks that wait for one are served in the order of their arrival.

    *limit* is how many objects it may hold; without one there is no limit.
    """

    __slots__ = ("__weakref__", "_items", "_limit", "_promised", "_waiters")

    def __init__(self, limit: int | None = None) -> None:
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise KoreError(f"a queue's limit must be a positive number, not {limit!r}")
        self._limit = limit
        self._items: deque[Any] = deque()
        self._waiters: WaiterQueue[bool] = WaiterQueue()
        # How many of the first objects belong to tasks that were woken and have not run yet. The
        # objects stay here until then: a task that is cancelled first leaves its own in place.
        self._promised = 0

    def __len__(self) -> int:
        return len(self._items) - self._promised

    def __bool__(self) -> bool:
        return True  # an empty queue is a queue

    def push(self, item: object) -> bool:
        """Give *item* to the task that has waited longest, or keep it for the next one.

        Raises QueueFullError if the limit is reached; *item* is not in the queue then.
        """
        if self._waiters:
            self._items.append(item)
            self._wake_waiters()
        elif self._limit is not None and len(self) >= self._limit:
            raise QueueFullError(f"the queue is full: {self._limit} objects wait in it")
        else:
            self._items.append(item)
        return True

    async def pop(self) -> Any:
        """Wait for an object, and return it."""
        if len(self._items) > self._promised:
            return self._take()
        waiter = self._waiters.add(True)
        try:
            await waiter
        except BaseException:
            if has_result(waiter):
                self._promised -= 1
                self._wake_waiters()
            else:
                self._waiters.discard(waiter)
            raise
        self._promised -= 1
        return self._items.popleft()

    def popnow(self) -> Any:
        """Return the next object, or None when there is none."""
        return self._take() if len(self._items) > self._promised else None

    def __repr__(self) -> str:
        return f"<kore.queue {len(self)} objects, {len(self._waiters)} waiting>"

    def _take(self) -> Any:
        """Remove and return the first object that is not promised."""
        if not self._promised:
            return self._items.popleft()
        item = self._items[self._promised]
        del self._items[self._promised]
        return item

    def _wake_waiters(self) -> None:
        while len(self._items) > self._promised and self._waiters.wake_first():
            self._promised += 1

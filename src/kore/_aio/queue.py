"""A queue between the tasks of one process."""

from asyncio import Future, get_running_loop
from collections import deque
from typing import Any

from kore.errors import KoreError, QueueFullError


class Queue:
    """Objects in the order in which they came, to tasks in theirs. `kore.queue` in Kore's words.

    *limit* is how many objects may wait in it; without one there is no limit.
    """

    __slots__ = ("__weakref__", "_items", "_limit", "_waiters")

    def __init__(self, limit: int | None = None) -> None:
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise KoreError(f"a queue's limit must be a positive number, not {limit!r}")
        self._limit = limit
        self._items: deque[Any] = deque()
        self._waiters: deque[Future[Any]] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        return True  # an empty queue is a queue

    def push(self, item: object) -> bool:
        """Hand *item* to the task that has waited longest, or keep it for the next one.

        QueueFullError: the limit is reached, and *item* is not in the queue.
        """
        if self._hand_over(item):
            return True
        if self._limit is not None and len(self._items) >= self._limit:
            raise QueueFullError(f"the queue is full: {self._limit} objects wait in it")
        self._items.append(item)
        return True

    async def pop(self) -> Any:
        """Wait for an object, and return it."""
        if self._items:
            return self._items.popleft()
        waiter: Future[Any] = get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except BaseException:
            self._give_up(waiter)
            raise

    def popnow(self) -> Any:
        """Return the next object, or None when there is none."""
        return self._items.popleft() if self._items else None

    def __repr__(self) -> str:
        return f"<kore.queue {len(self._items)} objects, {len(self._waiters)} waiting>"

    def _hand_over(self, item: object) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():  # else it is cancelled, and will hear of it
                waiter.set_result(item)
                return True
        return False

    def _give_up(self, waiter: Future[Any]) -> None:
        # A task was cancelled after it was given an object and before it could run: the object
        # goes to the next one, or back to where it came from.
        if waiter.done() and not waiter.cancelled():
            if not self._hand_over(waiter.result()):
                self._items.appendleft(waiter.result())
        elif waiter in self._waiters:
            self._waiters.remove(waiter)

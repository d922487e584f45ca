"""A queue between the tasks of one process."""

from asyncio import Future, get_running_loop
from collections import OrderedDict, deque
from typing import Any

from kore._aio.sleep import has_result
from kore.errors import KoreError, QueueFullError


class Queue:
    """Objects in the order in which they came, to tasks in theirs.

    *limit* is how many objects may wait in it; without one there is no limit.
    """

    __slots__ = ("__weakref__", "_items", "_limit", "_promised", "_waiters")

    def __init__(self, limit: int | None = None) -> None:
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise KoreError(f"a queue's limit must be a positive number, not {limit!r}")
        self._limit = limit
        self._items: deque[Any] = deque()
        # Not a deque: a thousand clients may leave at once, each from the middle.
        self._waiters: OrderedDict[Future[None], None] = OrderedDict()
        # So many of the first objects are for tasks that were woken and did not run yet. The
        # objects stay here until then: a task that is cancelled first leaves its own in place.
        self._promised = 0

    def __len__(self) -> int:
        return len(self._items) - self._promised

    def __bool__(self) -> bool:
        return True  # an empty queue is a queue

    def push(self, item: object) -> bool:
        """Give *item* to the task that has waited longest, or keep it for the next one.

        QueueFullError: the limit is reached, and *item* is not in the queue.
        """
        if self._waiters:
            self._items.append(item)
            self._wake()
        elif self._limit is not None and len(self) >= self._limit:
            raise QueueFullError(f"the queue is full: {self._limit} objects wait in it")
        else:
            self._items.append(item)
        return True

    async def pop(self) -> Any:
        """Wait for an object, and return it."""
        if len(self._items) > self._promised:
            return self._take()
        waiter: Future[None] = get_running_loop().create_future()
        self._waiters[waiter] = None
        try:
            await waiter
        except BaseException:
            if has_result(waiter):
                self._promised -= 1
                self._wake()
            else:
                self._waiters.pop(waiter, None)
            raise
        self._promised -= 1
        return self._items.popleft()

    def popnow(self) -> Any:
        """Return the next object, or None when there is none."""
        return self._take() if len(self._items) > self._promised else None

    def __repr__(self) -> str:
        return f"<kore.queue {len(self)} objects, {len(self._waiters)} waiting>"

    def _take(self) -> Any:
        if not self._promised:
            return self._items.popleft()
        item = self._items[self._promised]
        del self._items[self._promised]
        return item

    def _wake(self) -> None:
        while self._waiters and len(self._items) > self._promised:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():  # else it is cancelled, and will hear of it
                waiter.set_result(None)
                self._promised += 1

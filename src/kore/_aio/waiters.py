"""A FIFO of waiting tasks, shared by `kore.lock` and `kore.queue`."""

from asyncio import Future, get_running_loop
from collections import OrderedDict
from typing import TypeVar

V = TypeVar("V")


class WaiterQueue(OrderedDict["Future[None]", V]):
    """The futures that tasks wait for, in order, each with a value for the code that wakes it.

    An ordered dictionary and not a deque: a thousand clients may leave at once, and each removes
    its waiter from the middle.
    """

    __slots__ = ()

    def add(self, value: V) -> "Future[None]":
        """Append a waiter and return the future to await."""
        waiter: Future[None] = get_running_loop().create_future()
        self[waiter] = value
        return waiter

    def discard(self, waiter: "Future[None]") -> None:
        """Remove a waiter that was cancelled."""
        self.pop(waiter, None)

    def wake_first(self) -> V | None:
        """Wake the first waiter and return its value; None if there is none."""
        while self:
            waiter, value = self.popitem(last=False)
            if not waiter.done():  # else it is cancelled, and its task will notice that
                waiter.set_result(None)
                return value
        return None

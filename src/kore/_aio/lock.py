"""A lock between the tasks of one process: `kore.lock`."""

import sys
from asyncio import Future, Task, current_task
from collections.abc import Awaitable, Coroutine
from sys import _getframe, exc_info
from types import FrameType
from typing import Any, Final

from kore._aio.sleep import YIELD
from kore._aio.task_utils import get_running_task
from kore._aio.waiters import WaiterQueue
from kore.errors import KoreError

# Stands for an event loop in which no task runs.
NO_LOOP: Final = object()
# Turns of the loop in which an async generator that was left by `break` is closed.
CLOSING_TURNS: Final = 4
HINT: Final = (
    "; an async generator that was left holds it until it is closed, see contextlib.aclosing()"
)


class Lock:
    """A lock held by one task at a time; waiting tasks get it in the order of their arrival.

    A task that ends, however it ends, holds no lock: it is released for the task. An async
    generator that acquired it releases it when it is closed, whatever task closes it.
    """

    __slots__ = ("__weakref__", "_completed", "_frame_id", "_loop", "_owner", "_waiters",
                 "_watched")

    def __init__(self) -> None:
        # Where the tasks run that use it. Passing it to current_task() saves a system call before
        # Python 3.12.
        self._loop: Any = NO_LOOP
        # A completed future, to be awaited without waiting.
        self._completed: Awaitable[None]
        self._owner: Task[Any] | None = None
        # The id of the frame that acquired it. Async generators may be closed by another task
        # than the one that ran them.
        self._frame_id = 0
        self._waiters: WaiterQueue[Task[Any]] = WaiterQueue()
        # The owner whose end is watched for; not needed as long as no task waits.
        self._watched: Task[Any] | None = None

    @property
    def locked(self) -> bool:
        """Whether a task holds it."""
        # The end of an owner with waiters has not been handled yet: the lock goes to the first.
        return self._owner is not None and (bool(self._waiters) or not self._owner.done())

    def acquire(self) -> Coroutine[Any, Any, None]:
        """Wait for the lock and take it.

        Raises KoreError if this task holds it already, or if no task runs.
        """
        return self._acquire(id(_getframe(1)))

    def trylock(self) -> bool:
        """Take the lock if it is free; return whether it was."""
        task = current_task(self._loop) or self._get_caller()
        if self.locked:
            return False
        self._set_owner(task)
        self._frame_id = id(_getframe(1))
        return True

    def release(self) -> None:
        """Release the lock. Raises KoreError if neither this task nor this function acquired it."""
        if exc_info()[0] is GeneratorExit:  # in a `finally`, of a generator that is closed
            self._release_at_exit(id(_getframe(1)), GeneratorExit)
        else:
            self._release(id(_getframe(1)))

    if sys.version_info >= (3, 12):

        async def __aenter__(self) -> None:
            frame_id = id(_getframe(1))
            if self._owner is None and (task := current_task(self._loop)) is not None:
                self._owner = task
                self._frame_id = frame_id
            else:
                await self._acquire(frame_id)

        async def __aexit__(self, kind: object = None, *_: object) -> None:
            if self._watched is None and self._owner is current_task(self._loop):
                self._owner = None
            else:
                self._release_at_exit(id(_getframe(1)), kind)

    else:
        # Until 3.11 a coroutine costs more than what is done in it.
        def __aenter__(self) -> Awaitable[None]:
            if self._owner is None and (task := current_task(self._loop)) is not None:
                self._owner = task
                self._frame_id = id(_getframe(1))
                return self._completed
            return self._acquire(id(_getframe(1)))

        def __aexit__(self, kind: object = None, *_: object) -> Awaitable[None]:
            if self._watched is None and self._owner is current_task(self._loop):
                self._owner = None
            else:
                self._release_at_exit(id(_getframe(1)), kind)
            return self._completed

    def __repr__(self) -> str:
        state = "locked" if self.locked else "unlocked"
        return f"<kore.lock {state}, {len(self._waiters)} waiting>"

    async def _acquire(self, frame_id: int) -> None:
        task = current_task(self._loop) or self._get_caller()
        if self._owner is task:
            await self._wait_for_own_generator(task)
        if self._owner is None:
            self._owner = task
        elif self.locked:
            await self._wait_turn(task)
        else:
            self._set_owner(task)
        self._frame_id = frame_id

    async def _wait_for_own_generator(self, task: Task[Any]) -> None:
        """Wait for a generator of this task that is being closed. Raises KoreError otherwise."""
        turns = 0 if _is_on_stack(self._frame_id) else CLOSING_TURNS
        for _ in range(turns):
            await YIELD
            if self._owner is not task:
                return
        raise KoreError(f"recursive lock detected: this task holds the lock already{HINT}")

    def _release_at_exit(self, frame_id: int, kind: object) -> None:
        """Release it at the end of an `async with` that an exception of type *kind* ends."""
        task = current_task(self._loop) or self._get_caller()
        is_own = self._owner is task or self._frame_id == frame_id
        # The lock of a generator whose task has ended has been released already.
        if is_own or kind is not GeneratorExit:
            self._release(frame_id)

    def _release(self, frame_id: int) -> None:
        if self._owner is None:
            raise KoreError("no lock owner set: no task holds this lock")
        task = current_task(self._loop) or self._get_caller()
        if self._owner is not task and self._frame_id != frame_id:
            raise KoreError(f"lock not owned by caller: another task holds it{HINT}")
        if self._watched is None:  # so no task waits
            self._owner = None
        else:
            self._hand_over()

    def _get_caller(self) -> Task[Any]:
        """Return the running task, and remember its loop. Raises KoreError if no task runs."""
        task = get_running_task("kore.lock only available in coroutines")
        self._loop = loop = task.get_loop()
        completed = loop.create_future()
        completed.set_result(None)
        self._completed = completed
        return task

    async def _wait_turn(self, task: Task[Any]) -> None:
        waiter: Future[None] = self._waiters.add(task)
        self._watch_owner()
        try:
            await waiter
        except BaseException:
            if self._owner is task:  # handed over to a task that was cancelled meanwhile
                self._hand_over()
            else:
                self._waiters.discard(waiter)
            raise

    def _hand_over(self) -> None:
        """Give the lock to the task that has waited longest; without one it is free."""
        self._set_owner(None)
        self._owner = self._waiters.wake_first()
        if self._waiters:
            self._watch_owner()

    def _set_owner(self, task: Task[Any] | None) -> None:
        if self._watched is not None:
            self._watched.remove_done_callback(self._on_owner_done)
            self._watched = None
        self._owner = task
        self._frame_id = 0

    def _watch_owner(self) -> None:
        if self._watched is None and self._owner is not None:
            self._watched = self._owner
            self._watched.add_done_callback(self._on_owner_done)

    def _on_owner_done(self, task: Task[Any]) -> None:
        # A callback that is scheduled already cannot be removed.
        if self._owner is task:
            self._hand_over()


def _is_on_stack(frame_id: int) -> bool:
    """Return whether the frame with that id is among the callers."""
    frame: FrameType | None = _getframe(1)
    while frame is not None:
        if id(frame) == frame_id:
            return True
        frame = frame.f_back
    return False

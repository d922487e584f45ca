"""A lock between the tasks of one process."""

import sys
from asyncio import Future, Task, current_task, get_running_loop
from collections import OrderedDict
from collections.abc import Awaitable, Coroutine
from sys import _getframe, exc_info
from types import FrameType
from typing import Any, Final

from kore._aio.sleep import GATE
from kore.errors import KoreError

# A loop in which no task runs.
NOWHERE: Final = object()
# Turns of the loop in which an async generator that was left by `break` is closed.
CLOSING_TURNS: Final = 4
HINT: Final = (
    "; an async generator that was left holds it until it is closed, see contextlib.aclosing()"
)


class Lock:
    """Held by one task at a time; the one that waited longest is next.

    A task that ends, however it ends, holds no lock: what it did not release is released for it.
    An async generator that took it releases it when it is closed, whatever task closes it.
    """

    __slots__ = ("__weakref__", "_frame", "_loop", "_nothing", "_owner", "_waiters", "_watched")

    def __init__(self) -> None:
        # Where the tasks run that use it. To know saves a system call, before Python 3.12.
        self._loop: Any = NOWHERE
        # To be awaited without waiting.
        self._nothing: Awaitable[None]
        self._owner: Task[Any] | None = None
        # The number of the frame that took it. Async generators are closed by other tasks than
        # those that ran them.
        self._frame = 0
        # Not a deque: a thousand clients may leave at once, each from the middle.
        self._waiters: OrderedDict[Future[None], Task[Any]] = OrderedDict()
        # The owner that will tell us when it ends. Without waiters nobody needs to know.
        self._watched: Task[Any] | None = None

    @property
    def locked(self) -> bool:
        """Whether a task holds it."""
        # Of an owner that has ended before those who wait we are about to be told.
        return self._owner is not None and (bool(self._waiters) or not self._owner.done())

    def acquire(self) -> Coroutine[Any, Any, None]:
        """Wait for the lock. Raises KoreError if the caller has it, or is no task."""
        return self._take(id(_getframe(1)))

    def trylock(self) -> bool:
        """Take the lock if nobody holds it; return whether that was so."""
        task = current_task(self._loop) or self._caller()
        if self.locked:
            return False
        self._give_to(task)
        self._frame = id(_getframe(1))
        return True

    def release(self) -> None:
        """Let go of the lock. Raises KoreError if neither this task nor this function took it."""
        if exc_info()[0] is GeneratorExit:  # in a `finally`, of a generator that is closed
            self._leave(id(_getframe(1)), GeneratorExit)
        else:
            self._release(id(_getframe(1)))

    if sys.version_info >= (3, 12):

        async def __aenter__(self) -> None:
            frame = id(_getframe(1))
            if self._owner is None and (task := current_task(self._loop)) is not None:
                self._owner = task
                self._frame = frame
            else:
                await self._take(frame)

        async def __aexit__(self, kind: object = None, *_: object) -> None:
            if self._watched is None and self._owner is current_task(self._loop):
                self._owner = None
            else:
                self._leave(id(_getframe(1)), kind)

    else:
        # Until 3.11 a coroutine costs more than what is done in it.
        def __aenter__(self) -> Awaitable[None]:
            if self._owner is None and (task := current_task(self._loop)) is not None:
                self._owner = task
                self._frame = id(_getframe(1))
                return self._nothing
            return self._take(id(_getframe(1)))

        def __aexit__(self, kind: object = None, *_: object) -> Awaitable[None]:
            if self._watched is None and self._owner is current_task(self._loop):
                self._owner = None
            else:
                self._leave(id(_getframe(1)), kind)
            return self._nothing

    def __repr__(self) -> str:
        state = "locked" if self.locked else "unlocked"
        return f"<kore.lock {state}, {len(self._waiters)} waiting>"

    async def _take(self, frame: int) -> None:
        task = current_task(self._loop) or self._caller()
        if self._owner is task:
            await self._wait_for_own(task)
        if self._owner is None:
            self._owner = task
        elif self.locked:
            await self._turn(task)
        else:
            self._give_to(task)
        self._frame = frame

    async def _wait_for_own(self, task: Task[Any]) -> None:
        """Wait for a generator of this task that is being closed. Raises KoreError otherwise."""
        turns = 0 if is_running(self._frame) else CLOSING_TURNS
        for _ in range(turns):
            await GATE
            if self._owner is not task:
                return
        raise KoreError(f"recursive lock detected: this task holds the lock already{HINT}")

    def _leave(self, frame: int, kind: object) -> None:
        """Release it at the end of an `async with`, which ends with an error of that type."""
        own = self._owner is (current_task(self._loop) or self._caller()) or self._frame == frame
        # Of a generator whose task has ended the lock has been released already.
        if own or kind is not GeneratorExit:
            self._release(frame)

    def _release(self, frame: int) -> None:
        if self._owner is None:
            raise KoreError("no lock owner set: nobody holds this lock")
        task = current_task(self._loop) or self._caller()
        if self._owner is not task and self._frame != frame:
            raise KoreError(f"lock not owned by caller: another task holds it{HINT}")
        if self._watched is None:  # so no task waits
            self._owner = None
        else:
            self._pass_on()

    def _caller(self) -> Task[Any]:
        try:
            loop = get_running_loop()
        except RuntimeError:
            loop = None
        task = current_task(loop) if loop is not None else None
        if loop is None or task is None:
            raise KoreError("kore.lock only available in coroutines")
        self._loop = loop
        nothing = loop.create_future()
        nothing.set_result(None)
        self._nothing = nothing
        return task

    async def _turn(self, task: Task[Any]) -> None:
        turn: Future[None] = get_running_loop().create_future()
        self._waiters[turn] = task
        self._watch()
        try:
            await turn
        except BaseException:
            if self._owner is task:  # it was handed over to one who does not want it any more
                self._pass_on()
            else:
                self._waiters.pop(turn, None)
            raise

    def _pass_on(self) -> None:
        self._give_to(None)
        while self._waiters and self._owner is None:
            turn, task = self._waiters.popitem(last=False)
            if not turn.done():  # else it is cancelled, and will hear of it
                self._owner = task
                turn.set_result(None)
        if self._waiters:
            self._watch()

    def _give_to(self, task: Task[Any] | None) -> None:
        if self._watched is not None:
            self._watched.remove_done_callback(self._ended)
            self._watched = None
        self._owner = task
        self._frame = 0

    def _watch(self) -> None:
        if self._watched is None and self._owner is not None:
            self._watched = self._owner
            self._watched.add_done_callback(self._ended)

    def _ended(self, task: Task[Any]) -> None:
        # A callback that is on its way already cannot be taken back.
        if self._owner is task:
            self._pass_on()


def is_running(number: int) -> bool:
    """Return whether the frame of that number is among the callers."""
    frame: FrameType | None = _getframe(1)
    while frame is not None:
        if id(frame) == number:
            return True
        frame = frame.f_back
    return False

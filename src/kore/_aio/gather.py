"""Several coroutines at a time, and all their results."""

import asyncio
from asyncio import AbstractEventLoop, CancelledError, Future, Task
from collections.abc import Awaitable, Generator
from contextvars import copy_context
from typing import Any

from kore._aio.sleep import GATE
from kore._aio.task_utils import close_if_not_started
from kore._maybe_async import is_awaitable
from kore._unawaited import Unawaited, warn_unawaited


class Gather(Unawaited):
    """What `kore.gather()` returns: awaited, it runs all and returns a list in their order.

    What one of them raises is its entry of the list. At most *concurrency* run at a time, 0 for
    all of them: when one ends the next one begins. When the task that awaits is cancelled, so are
    they, and it goes on when the last one has ended.
    """

    __slots__ = ("_awaitables", "_awaited", "_children", "_concurrency", "_context", "_end",
                 "_left", "_loop", "_results")

    def __init__(self, *awaitables: Awaitable[Any], concurrency: int = 0) -> None:
        # Until it is complete: what cannot be gathered is an error already.
        self._awaited = True
        self._awaitables = awaitables
        self._children: list[Task[None]] = []
        if not isinstance(concurrency, int):
            raise TypeError("concurrency level must be an integer")
        for each in awaitables:
            if not is_awaitable(each):
                many = ": write gather(*list)" if isinstance(each, list | tuple) else ""
                raise TypeError(f"not a coroutine: {each!r}{many}")
        if concurrency < 0:
            raise ValueError(f"concurrency must be 0 (for all) or more, not {concurrency}")
        self._concurrency = concurrency or len(awaitables)
        self._results: list[Any] = [None] * len(awaitables)
        self._left = len(awaitables)
        self._awaited = False

    def __await__(self) -> Generator[Any, None, list[Any]]:
        self._awaited = True
        if self._children:
            raise RuntimeError("kore.gather: awaited already")
        if not self._left:
            return self._results
        self._loop: AbstractEventLoop = asyncio.get_running_loop()
        self._context = copy_context()
        self._end: Future[None] = self._loop.create_future()
        for _ in range(min(self._concurrency, self._left)):
            self._begin()
        try:
            yield from self._end
        except GeneratorExit:  # nothing may be awaited any more
            self._cancel()
            raise
        except BaseException:
            self._cancel()
            yield from self._wait_for_children()
            self._close_the_unbegun()
            raise
        return self._results

    def _drop(self) -> None:
        """Be dropped without a warning."""
        self._awaited = True

    def __del__(self) -> None:
        if not getattr(self, "_awaited", True):
            warn_unawaited("gather")
        self._close_the_unbegun()

    def _wait_for_children(self) -> Generator[Any, None, None]:
        """Wait until the last child has ended, however often that is cancelled.

        As in `asyncio.TaskGroup` the children hear of the first time only.
        """
        while left := [child for child in self._children if not child.done()]:
            try:
                yield from asyncio.wait(left).__await__()
            except CancelledError:
                continue

    def _begin(self) -> None:
        run = self._run(len(self._children))
        # Parked inside its `try`: a task cancelled before its first step ends in order too.
        run.send(None)
        self._children.append(self._loop.create_task(run))

    async def _run(self, at: int) -> None:
        try:
            await GATE
            self._results[at] = await self._awaitables[at]
        except BaseException as error:  # noqa: BLE001 - SystemExit too: it is a result like others
            close_if_not_started(self._awaitables[at])
            self._results[at] = error
        self._left -= 1
        if self._end.done():
            return
        if len(self._children) < len(self._awaitables):
            # Not in the context of the one that ends here.
            self._context.copy().run(self._begin)
        elif not self._left:
            self._end.set_result(None)

    def _cancel(self) -> None:
        self._end.cancel()  # so that no others begin
        for child in self._children:
            child.cancel()

    def _close_the_unbegun(self) -> None:
        # Nobody else knows them. There are none when the arguments were refused.
        for each in getattr(self, "_awaitables", ()):
            close_if_not_started(each)

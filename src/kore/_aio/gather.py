"""Run several awaitables at the same time and collect their results: `kore.gather()`."""

import asyncio
from asyncio import AbstractEventLoop, CancelledError, Future, Task
from collections.abc import Awaitable, Generator
from contextvars import copy_context
from typing import Any

from kore._aio.sleep import YIELD
from kore._aio.task_utils import close_if_not_started
from kore._maybe_async import is_awaitable
from kore._unawaited import Unawaited, warn_unawaited


class Gather(Unawaited):
    """The awaitable that `kore.gather()` returns: runs all, and returns a list in their order.

    An exception that one of them raises is its entry of the list. At most *concurrency* run at a
    time, 0 for all of them. When the task that awaits is cancelled, so are they, and it goes on
    when the last one has ended. Raises TypeError for an argument that cannot be awaited,
    ValueError for a negative *concurrency*.
    """

    __slots__ = ("_awaitables", "_awaited", "_children", "_concurrency", "_context",
                 "_finished", "_loop", "_remaining", "_results")

    def __init__(self, *awaitables: Awaitable[Any], concurrency: int = 0) -> None:
        # Until it is complete: the error of invalid arguments is enough, without a warning.
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
        self._remaining = len(awaitables)
        self._awaited = False

    def __await__(self) -> Generator[Any, None, list[Any]]:
        self._awaited = True
        if self._children:
            raise RuntimeError("kore.gather: awaited already")
        if not self._remaining:
            return self._results
        self._loop: AbstractEventLoop = asyncio.get_running_loop()
        self._context = copy_context()
        self._finished: Future[None] = self._loop.create_future()
        for _ in range(min(self._concurrency, self._remaining)):
            self._start_next()
        try:
            yield from self._finished
        except GeneratorExit:  # awaiting is not allowed any more
            self._cancel()
            raise
        except BaseException:
            self._cancel()
            yield from self._wait_for_children()
            self._close_not_started()
            raise
        return self._results

    def _drop(self) -> None:
        """Do not warn when this is dropped."""
        self._awaited = True

    def __del__(self) -> None:
        if not getattr(self, "_awaited", True):
            warn_unawaited("gather")
        self._close_not_started()

    def _wait_for_children(self) -> Generator[Any, None, None]:
        """Wait until the last child has ended, however often that is cancelled.

        As in `asyncio.TaskGroup`, only the first cancellation is passed on to the children.
        """
        while running := [child for child in self._children if not child.done()]:
            try:
                yield from asyncio.wait(running).__await__()
            except CancelledError:
                continue

    def _start_next(self) -> None:
        run = self._run(len(self._children))
        # Advanced into its `try`: a task cancelled before its first step then ends in order, too.
        run.send(None)
        self._children.append(self._loop.create_task(run))

    async def _run(self, at: int) -> None:
        try:
            await YIELD
            self._results[at] = await self._awaitables[at]
        except BaseException as error:  # noqa: BLE001 - SystemExit is a result, too
            close_if_not_started(self._awaitables[at])
            self._results[at] = error
        self._remaining -= 1
        if self._finished.done():
            return
        if len(self._children) < len(self._awaitables):
            # Not in the context variables of the one that ends here.
            self._context.copy().run(self._start_next)
        elif not self._remaining:
            self._finished.set_result(None)

    def _cancel(self) -> None:
        self._finished.cancel()  # so that no others are started
        for child in self._children:
            child.cancel()

    def _close_not_started(self) -> None:
        # The attribute is missing when the constructor raised before it was set.
        for each in getattr(self, "_awaitables", ()):
            close_if_not_started(each)

"""Threads that write to disk on behalf of a worker, so that a slow one does not stop its loop."""

import asyncio
import contextlib
from asyncio import AbstractEventLoop
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

# Beyond a few, threads only wait for the same disk.
THREADS: Final = 4
STEP: Final = 0.01


class IoThreads:
    """Does what may block, elsewhere."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop
        self.pending = 0
        # Has no threads before there is work.
        self.pool = ThreadPoolExecutor(THREADS, "kore-disk")

    def run(
        self, work: Callable[[], None], done: Callable[[BaseException | None], None]
    ) -> None:
        """Do *work*, then call *done* on the loop with what it raised, or None."""
        self.pending += 1
        self.pool.submit(self._work, work, done)

    def _work(
        self, work: Callable[[], None], done: Callable[[BaseException | None], None]
    ) -> None:
        failure = None
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - for the loop to judge
            failure = error
        # The worker may have ended in the meantime.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._done, done, failure)

    def _done(
        self, done: Callable[[BaseException | None], None], failure: BaseException | None
    ) -> None:
        self.pending -= 1
        done(failure)

    async def idle(self, seconds: float) -> None:
        """Wait until all is done, for so long at most."""
        end = self.loop.time() + seconds
        # Once in a worker's life.
        while self.pending and self.loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(STEP)

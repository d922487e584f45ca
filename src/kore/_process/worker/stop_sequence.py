"""Stop a worker: drain, cancel requests, run the application's stop hook, cancel the rest.

Until `workerstop` has returned, everything of the application is alive: its tasks, timers,
databases and clients.
"""

import asyncio
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, Protocol

from kore._aio.task_utils import is_cancelling
from kore._aio.tracing import get_wait_location
from kore._conf.settings import Settings
from kore._maybe_async import call_maybe_async
from kore._process.log.handlers import log

# How often a draining worker checks whether it is done.
CHECK_INTERVAL: Final = 0.02
# Seconds until the parent kills a worker, after `drain_timeout` (2 s) or an order to end at once
# (1 s); less a little time for the end of the process itself.
DRAINED_TIMEOUT: Final = 1.8
IMMEDIATE_TIMEOUT: Final = 0.8
# The maximum for any one step after `drain_timeout`.
STEP_TIMEOUT: Final = 1.0


class StoppingWorker(Protocol):
    """The steps of stopping that the worker implements."""

    loop: AbstractEventLoop

    def stop_accepting(self, *, patient: bool, accept: bool) -> None:
        """Close the listeners; let requests in progress finish."""

    def report_draining(self) -> None:
        """Tell the parent that this worker drains without its order."""

    def is_idle(self) -> bool:
        """Return whether no client, request, signal hook or message is left."""

    async def end_requests(self) -> None:
        """Cancel requests that still run, and close all connections."""

    def get_stop_hooks(self) -> Iterable[tuple[str, Callable[..., Any], tuple[object, ...]]]:
        """Return the functions of the application to call at the end: name, function, arguments."""

    async def end_remaining(self) -> None:
        """Cancel the remaining tasks, and close databases and threads of the application."""

    def report_error(self, where: str, error: BaseException) -> None:
        """Report an exception of the application."""


class StopSequence:
    """The steps of stopping in their order, and the deadline of each."""

    def __init__(self, worker: StoppingWorker, settings: Settings) -> None:
        self.worker = worker
        self.loop = worker.loop
        self.settings = settings
        self.is_stopping = False
        # Resolved when the worker stops serving.
        self.serving_ended: Future[None] = self.loop.create_future()
        # Resolved when the worker must end at once.
        self.immediate_stop: Future[None] = self.loop.create_future()
        # Until when requests and stop hooks may run.
        self.deadline = float("inf")

    # ---- deadlines

    def drain(self, *, patient: bool = False, accept: bool = True) -> None:
        """Finish accepted requests, then end; *patient* waits until idle clients have left.

        With patience no client is disconnected: other workers serve the same address, and the
        next request of a client here is answered with `connection: close`. *accept*: accept the
        connections in the queue first, since no other process will.
        """
        again, self.is_stopping = self.is_stopping, True
        if (again and patient) or self.serving_ended.done():
            return
        seconds = self.settings.drain_timeout
        if patient:
            seconds += self.settings.http_keepalive_time
        self.deadline = min(self.deadline, self.loop.time() + seconds)
        self.worker.stop_accepting(patient=patient, accept=accept)
        self.loop.call_later(seconds, self.finish)
        if not again:
            self.finish_when_idle()

    def drain_on_signal(self) -> None:
        """Drain on a signal to this process; the parent may start a replacement."""
        if not self.is_stopping:
            self.worker.report_draining()
        self.drain()

    def finish_when_idle(self) -> None:
        """Stop serving as soon as nothing is in progress."""
        if self.worker.is_idle():
            self.finish()
        elif not self.serving_ended.done():
            self.loop.call_later(CHECK_INTERVAL, self.finish_when_idle)

    def finish(self) -> None:
        """Stop serving."""
        self.is_stopping = True
        if not self.serving_ended.done():
            self.serving_ended.set_result(None)

    def stop_at_once(self) -> None:
        """Stop serving, and end within a second."""
        self.deadline = min(self.deadline, self.loop.time())
        if not self.immediate_stop.done():
            self.immediate_stop.set_result(None)
        self.finish()

    def get_remaining_seconds(self) -> float:
        """Return for how long requests and stop hooks may still run."""
        return self.deadline - self.loop.time()

    def get_step_timeout(self) -> float:
        """Return for how many seconds the next step may run: half the time before a kill."""
        total = IMMEDIATE_TIMEOUT if self.immediate_stop.done() else DRAINED_TIMEOUT
        return max(0.0, min(STEP_TIMEOUT, (self.get_remaining_seconds() + total) / 2))

    # ---- steps

    async def run(self) -> None:
        """Take all steps after serving has ended."""
        await self.worker.end_requests()
        for name, function, arguments in self.worker.get_stop_hooks():
            await self.call_stop_hook(name, call_maybe_async(function, *arguments))
        await self.worker.end_remaining()

    async def call_stop_hook(self, name: str, hook: Coroutine[Any, Any, Any]) -> None:
        """Await a stop hook for the rest of `drain_timeout`, then cancel it."""
        task = self.loop.create_task(self.report_failure(name, hook))
        if not await self.wait_for(task):
            log.warning(
                "%s has not ended within drain_timeout: cancelled at %s",
                name, get_wait_location(task.get_coro()),
            )  # fmt: skip
            task.cancel()
            await asyncio.wait({task}, timeout=self.get_step_timeout())

    async def wait_for(self, task: "Future[Any]") -> bool:
        """Wait for *task* for the rest of `drain_timeout`; return whether it has ended."""
        timeout = max(self.get_remaining_seconds(), self.get_step_timeout())
        awaited = {task, self.immediate_stop}
        await asyncio.wait(awaited, timeout=timeout, return_when="FIRST_COMPLETED")
        if not task.done() and self.immediate_stop.done():
            await asyncio.wait({task}, timeout=self.get_step_timeout())
        return task.done()

    async def report_failure(self, name: str, hook: Coroutine[Any, Any, Any]) -> None:
        """Await a stop hook and report what it raises; the next steps follow all the same."""
        try:
            await hook
        except BaseException as error:  # SystemExit included: the worker ends anyway
            if isinstance(error, asyncio.CancelledError) and is_cancelling():
                raise
            self.worker.report_error(name, error)

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
# What the parent gives a worker beyond `drain_timeout`, and at once, before it kills: 2 s and 1 s.
# A little less, for the end of the process itself.
DRAINED_TIMEOUT: Final = 1.8
IMMEDIATE_TIMEOUT: Final = 0.8
# The most that any one step may take beyond `drain_timeout`.
STEP_TIMEOUT: Final = 1.0


class StoppingWorker(Protocol):
    """The steps of stopping, as the worker has them."""

    loop: AbstractEventLoop

    def stop_accepting(self, *, patient: bool, accept: bool) -> None:
        """Close the listeners; let clients finish what they have begun."""

    def tell_draining(self) -> None:
        """Tell the parent that this worker drains of its own accord."""

    def is_idle(self) -> bool:
        """Return whether no client, request, signal hook or message is left."""

    async def end_requests(self) -> None:
        """Cancel requests that still run, and close all connections."""

    def stop_hooks(self) -> Iterable[tuple[str, Callable[..., Any], tuple[object, ...]]]:
        """Return the functions of the application to call at the end: name, function, arguments."""

    async def end_rest(self) -> None:
        """Cancel what is left, and close what the application used."""

    def failed(self, where: str, error: BaseException) -> None:
        """Report what the application raised."""


class StopSequence:
    """How a worker stops, and by when each step has to be done."""

    def __init__(self, worker: StoppingWorker, settings: Settings) -> None:
        self.worker = worker
        self.loop = worker.loop
        self.settings = settings
        self.stopping = False
        # Resolved when serving is over.
        self.over: Future[None] = self.loop.create_future()
        # Resolved when the worker is told to end at once.
        self.hurried: Future[None] = self.loop.create_future()
        # Until when requests and stop hooks may run.
        self.deadline = float("inf")

    # ---- when

    def drain(self, *, patient: bool = False, accept: bool = True) -> None:
        """Finish what was accepted, then end; *patient* waits until idle clients have left.

        With patience no client is disconnected: other workers serve the same address, and the
        next request of a client here is answered with `connection: close`. *accept*: accept the
        connections in the queue first, since no other process will.
        """
        again, self.stopping = self.stopping, True
        if (again and patient) or self.over.done():
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
        """Drain because of a signal to this process: the parent may start a successor."""
        if not self.stopping:
            self.worker.tell_draining()
        self.drain()

    def finish_when_idle(self) -> None:
        """Stop serving as soon as nothing is in progress."""
        if self.worker.is_idle():
            self.finish()
        elif not self.over.done():
            self.loop.call_later(CHECK_INTERVAL, self.finish_when_idle)

    def finish(self) -> None:
        """Stop serving."""
        self.stopping = True
        if not self.over.done():
            self.over.set_result(None)

    def hurry(self) -> None:
        """Stop serving, and end within a second."""
        self.deadline = min(self.deadline, self.loop.time())
        if not self.hurried.done():
            self.hurried.set_result(None)
        self.finish()

    def remaining(self) -> float:
        """Return for how long requests and stop hooks may still run."""
        return self.deadline - self.loop.time()

    def step_timeout(self) -> float:
        """Return for how long the next step may run: half of what is left before a kill."""
        total = IMMEDIATE_TIMEOUT if self.hurried.done() else DRAINED_TIMEOUT
        return max(0.0, min(STEP_TIMEOUT, (self.remaining() + total) / 2))

    # ---- what

    async def run(self) -> None:
        """Take all the steps; serving is over."""
        await self.worker.end_requests()
        for name, function, arguments in self.worker.stop_hooks():
            await self.call(name, call_maybe_async(function, *arguments))
        await self.worker.end_rest()

    async def call(self, name: str, hook: Coroutine[Any, Any, Any]) -> None:
        """Await a stop hook for what is left of `drain_timeout`, then cancel it."""
        task = self.loop.create_task(self.report_failure(name, hook))
        if not await self.wait_for(task):
            log.warning(
                "%s has not ended within drain_timeout: cancelled at %s",
                name, get_wait_location(task.get_coro()),
            )  # fmt: skip
            task.cancel()
            await asyncio.wait({task}, timeout=self.step_timeout())

    async def wait_for(self, task: "Future[Any]") -> bool:
        """Wait for *task* for what is left of `drain_timeout`; return whether it has ended."""
        timeout = max(self.remaining(), self.step_timeout())
        await asyncio.wait({task, self.hurried}, timeout=timeout, return_when="FIRST_COMPLETED")
        if not task.done() and self.hurried.done():
            await asyncio.wait({task}, timeout=self.step_timeout())
        return task.done()

    async def report_failure(self, name: str, hook: Coroutine[Any, Any, Any]) -> None:
        """Await a stop hook; whatever it raises, the worker goes on to end."""
        try:
            await hook
        except BaseException as error:  # SystemExit too: it ends already
            if isinstance(error, asyncio.CancelledError) and is_cancelling():
                raise
            self.worker.failed(name, error)

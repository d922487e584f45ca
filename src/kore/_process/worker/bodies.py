"""Request bodies of a worker: where each is stored, hooks around them, when they are released.

Small bodies stay in memory and never come here. For others the core asks `Bodies` for a sink: a
stream for the handler, a hook that takes each chunk, or a file in the spool directory. Files are
written by a few threads, so that a slow disk does not stop the event loop.
"""

import asyncio
import contextlib
import errno
from asyncio import AbstractEventLoop
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from kore._aio.task_utils import report_unhandled
from kore._conf.schema import BodyOptions
from kore._conf.settings import Settings
from kore._core.request import Request
from kore._http.body.body_stream import BodyStream, ChunkHookBody
from kore._http.body.spool import Spool
from kore._http.body.spool_directory import SpoolDirectory
from kore._maybe_async import is_awaitable
from kore._process.log.handlers import log
from kore._process.worker.tasks import RequestTasks, ResultCallback

# What takes a body that is not kept in memory.
BodySink = BodyStream | ChunkHookBody | Spool
# The response when a body cannot be written; 500 for all other errors.
STATUS_BY_ERRNO: Final = {
    errno.ENOSPC: 507,
    errno.EDQUOT: 507,
    errno.EFBIG: 507,
    errno.EMFILE: 503,
    errno.ENFILE: 503,
}
# Turns of the event loop until the callbacks of the last closed connection have run.
CLOSING_TURNS: Final = 3
# More threads would only wait for the same disk.
IO_THREADS_MAX: Final = 4
# Seconds between two checks for unfinished work of the threads.
IDLE_CHECK_INTERVAL: Final = 0.01


class IoThreads:
    """A thread pool for work that may block, such as writing to a disk."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop
        # How much work was submitted and has not ended.
        self.pending = 0
        # Starts its threads when there is work.
        self.pool = ThreadPoolExecutor(IO_THREADS_MAX, "kore-disk")

    def run(
        self, work: Callable[[], None], done: Callable[[BaseException | None], None]
    ) -> None:
        """Run *work* in a thread, then call *done* on the loop with its exception, or None."""
        self.pending += 1
        self.pool.submit(self._work, work, done)

    def _work(
        self, work: Callable[[], None], done: Callable[[BaseException | None], None]
    ) -> None:
        failure = None
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the loop
            failure = error
        # The loop may be closed by now.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._finish, done, failure)

    def _finish(
        self, done: Callable[[BaseException | None], None], failure: BaseException | None
    ) -> None:
        self.pending -= 1
        done(failure)

    async def wait_until_idle(self, seconds: float) -> None:
        """Wait until all work has ended, at most *seconds*."""
        deadline = self.loop.time() + seconds
        # Polling will do: this is called once in a worker's life.
        while self.pending and self.loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(IDLE_CHECK_INTERVAL)


class Bodies:
    """Sinks and hooks for the bodies of requests, as the core calls them."""

    def __init__(self, tasks: RequestTasks, settings: Settings) -> None:
        self.tasks = tasks
        self.loop = tasks.loop
        self.settings = settings
        self.threads = IoThreads(self.loop)
        self.directory: SpoolDirectory | None = None
        # The error of the disk that was logged last.
        self.logged_errno: int | None = None

    def open(self) -> None:
        """Open the spool directory, if bodies may go to files."""
        if self.settings.http_body_disk_offload:
            self.directory = SpoolDirectory(self.settings.http_body_disk_path)
            self.directory.sweep()

    # Before the body

    def call_on_headers(self, request: Request, options: BodyOptions) -> bool:
        """Call the route's `on_headers`; return False if it refused or must be awaited first."""
        assert options.on_headers is not None  # noqa: S101 - the core calls it only for such routes
        result = options.on_headers(request)
        if is_awaitable(result):
            self.tasks.spawn(result, request, partial(self._resume_after_headers, request))
            return False
        return self._is_accepted(request, result)

    def _resume_after_headers(self, request: Request, result: object) -> None:
        if self._is_accepted(request, result):
            # Not before this task has ended: the handler gets a task of its own.
            self.loop.call_soon(Request.resume, request)

    def _is_accepted(self, request: Request, result: object) -> bool:
        """Return whether `on_headers` lets a request pass; see to the response if it does not."""
        # False and RESULT_ERROR refuse; None does not.
        refused = isinstance(result, int) and not result
        if refused and not request.answered:
            where = Request.get_route_label(request)
            log.error(
                "no response: on_headers stopped route '%s' without calling response()", where
            )
            Request.fail(request)
        if request.answered:
            Request.note_handler_done(request)
        return not refused and not request.answered

    # The body

    def make_sink(self, request: Request, options: BodyOptions | None) -> BodySink:
        """Return a new sink for the body of a request."""
        take_more = partial(Request.resume_body, request)
        if options is not None and options.stream:
            want_body = partial(Request.send_continue, request)
            return BodyStream(self.loop.create_future, take_more, want_body)
        if options is not None and options.on_body_chunk is not None:
            wait = partial(self._await_chunk_hook, request)
            resume = partial(self.loop.call_soon, take_more)
            return ChunkHookBody(request, options.on_body_chunk, wait, resume)
        assert self.directory is not None  # noqa: S101 - the core asks only if the setting says so
        return Spool(
            self.directory, self.threads.run, take_more, partial(self._fail_write, request)
        )

    def _await_chunk_hook(self, request: Request, pending: Any, then: ResultCallback) -> None:
        self.tasks.spawn(pending, request, then)

    def _fail_write(self, request: Request, error: BaseException) -> None:
        number = error.errno if isinstance(error, OSError) else None
        # A full disk fails every upload: log it once.
        if number is None or number != self.logged_errno:
            self.logged_errno = number
            log.error("cannot keep a body in %s: %s", self.settings.http_body_disk_path, error)
        Request.fail_and_cancel_tasks(request, STATUS_BY_ERRNO.get(number or 0, 500))

    # After it

    def release(
        self, request: Request, options: BodyOptions | None, sink: BodySink | None
    ) -> None:
        """Release the body of a request that has been answered, or whose client has left."""
        # Not from here: a handler may be on the stack.
        self.loop.call_soon(self._release_now, request, options, sink)

    def _release_now(
        self, request: Request, options: BodyOptions | None, sink: BodySink | None
    ) -> None:
        running = Request.get_running_tasks(request)
        if running:
            running[0].add_done_callback(lambda _: self._release_now(request, options, sink))
            return
        hook = None if options is None else options.on_free
        try:
            pending = None if hook is None else hook(request)
        except BaseException as error:  # noqa: BLE001 - whatever an application raises
            pending = None
            report_unhandled(_describe_on_free(request), error)
        if is_awaitable(pending):
            self.tasks.run_after_request(
                pending, _describe_on_free(request), lambda: _close_sink(sink)
            )
        else:
            _close_sink(sink)

    async def shut_down(self, seconds: float) -> None:
        """Wait for the end of the last requests; all connections are closed.

        The tasks and the threads may each take so many *seconds*.
        """
        for _ in range(CLOSING_TURNS):
            await asyncio.sleep(0)
        await self.tasks.wait(seconds)
        await self.threads.wait_until_idle(seconds)
        if self.directory is not None:
            self.directory.sweep()


def _describe_on_free(request: Request) -> str:
    """Return what the `on_free` hook of a request is called in messages."""
    return f"on_free of route '{Request.get_route_label(request)}'"


def _close_sink(sink: BodySink | None) -> None:
    """Close the sink of a body that is not in memory."""
    if sink is not None:
        sink.close()

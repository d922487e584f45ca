"""The bodies of a worker's requests: where each goes, who is asked about it, when it is over."""

import asyncio
import errno
from functools import partial
from typing import Any, Final

from kore._aio.task_utils import report
from kore._conf.schema import BodyOptions
from kore._conf.settings import Settings
from kore._core.request import Request
from kore._http.body.body_stream import BodyStream, ChunkHookBody
from kore._http.body.spool import Spool
from kore._http.body.spool_directory import SpoolDirectory
from kore._maybe_async import is_awaitable
from kore._process.log.handlers import log
from kore._process.worker.io_threads import IoThreads
from kore._process.worker.tasks import RequestTasks, Then

# Where a body goes that is not kept in memory.
Sink = BodyStream | ChunkHookBody | Spool
# What a client is told when its body cannot be written; 500 for everything else.
STATUS: Final = {
    errno.ENOSPC: 507,
    errno.EDQUOT: 507,
    errno.EFBIG: 507,
    errno.EMFILE: 503,
    errno.ENFILE: 503,
}
# Turns of the loop in which what ends with the last connection is set going.
LAST_TURNS: Final = 3


class Bodies:
    """What the core hands the requests to that need more than a handler."""

    def __init__(self, tasks: RequestTasks, settings: Settings) -> None:
        self.tasks = tasks
        self.loop = tasks.loop
        self.settings = settings
        self.disk = IoThreads(self.loop)
        self.folder: SpoolDirectory | None = None
        # What the disk has said last, and the log since then.
        self.trouble: int | None = None

    def open(self) -> None:
        """Make the directory for bodies in files, if there are to be any."""
        if self.settings.http_body_disk_offload:
            self.folder = SpoolDirectory(self.settings.http_body_disk_path)
            self.folder.sweep()

    # Before the body

    def greet(self, request: Request, extras: BodyOptions) -> bool:
        """Ask `on_headers`. False: it has refused, or has to be awaited first."""
        assert extras.on_headers is not None  # noqa: S101 - the core asks only where there is one
        verdict = extras.on_headers(request)
        if is_awaitable(verdict):
            self.tasks.spawn(verdict, request, partial(self._greeted, request))
            return False
        return self._let_in(request, verdict)

    def _greeted(self, request: Request, verdict: object) -> None:
        if self._let_in(request, verdict):
            # When this task has ended: the handler gets one of its own.
            self.loop.call_soon(Request.proceed, request)

    def _let_in(self, request: Request, verdict: object) -> bool:
        # Both False and RESULT_ERROR say no.
        refused = isinstance(verdict, int) and not verdict
        if refused and not request.answered:
            where = Request.where(request)
            log.error(
                "no response: on_headers stopped route '%s' without calling response()", where
            )
            Request.fail(request)
        if request.answered:
            Request.expect_end(request)
        return not refused and not request.answered

    # The body

    def sink(self, request: Request, extras: BodyOptions | None) -> Sink:
        """Return what takes the body of a request."""
        take_more = partial(Request.take_more, request)
        if extras is not None and extras.stream:
            want = partial(Request.want_body, request)
            return BodyStream(self.loop.create_future, take_more, want)
        if extras is not None and extras.on_body_chunk is not None:
            wait = partial(self._wait, request)
            go_on = partial(self.loop.call_soon, take_more)
            return ChunkHookBody(request, extras.on_body_chunk, wait, go_on)
        assert self.folder is not None  # noqa: S101 - the core asks for files only with a limit
        failed = partial(self._unwritten, request)
        return Spool(self.folder, self._run, take_more, failed)

    def _wait(self, request: Request, pending: Any, then: Then) -> None:
        self.tasks.spawn(pending, request, then)

    def _run(self, work: Any, done: Any) -> None:
        self.disk.run(work, done)

    def _unwritten(self, request: Request, error: BaseException) -> None:
        number = error.errno if isinstance(error, OSError) else None
        # Once, however many uploads a full disk refuses.
        if number is None or number != self.trouble:
            self.trouble = number
            log.error("cannot keep a body in %s: %s", self.settings.http_body_disk_path, error)
        Request.spoil(request, STATUS.get(number or 0, 500))

    # After it

    def free(self, request: Request, extras: BodyOptions | None, sink: Sink | None) -> None:
        """Take note that a request has been answered, or that its client is gone."""
        # Not from here: a handler may be on the stack.
        self.loop.call_soon(self._free, request, extras, sink)

    def _free(self, request: Request, extras: BodyOptions | None, sink: Sink | None) -> None:
        working = Request.working(request)
        if working:
            working[0].add_done_callback(lambda _: self._free(request, extras, sink))
            return
        hook = None if extras is None else extras.on_free
        try:
            pending = None if hook is None else hook(request)
        except BaseException as error:  # noqa: BLE001 - whatever an application raises
            pending = None
            report(ending(request), error)
        if is_awaitable(pending):
            self.tasks.see_off(pending, ending(request), lambda: close(sink))
        else:
            close(sink)

    async def farewell(self, seconds: float) -> None:
        """Let the last requests come to their end: all connections are closed."""
        for _ in range(LAST_TURNS):
            await asyncio.sleep(0)
        await self.tasks.wait(seconds)
        await self.disk.idle(seconds)
        if self.folder is not None:
            self.folder.sweep()


def ending(request: Request) -> str:
    """Say in which route a request ends."""
    return f"on_free of route '{Request.where(request)}'"


def close(sink: Sink | None) -> None:
    """Let go of a body that is somewhere else than in memory."""
    if sink is not None:
        sink.close()

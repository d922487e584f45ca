"""A worker: an event loop, a poller on it, the application's handlers. Serves, drains, ends."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any, Final, NoReturn

from kore import _context
from kore._aio.affinity import record_cpus, set_affinity
from kore._aio.parent_death import set_parent_death_fd, wait_for_parent_death
from kore._conf import arguments
from kore._conf.schema import Config, Tracer
from kore._conf.settings import SETTINGS
from kore._core.poller import Poller
from kore._core.request import Request
from kore._core.server_context import ServerContext
from kore._maybe_async import await_result, call_maybe_async, is_awaitable
from kore._process.ipc.messages import (
    Draining,
    Fatal,
    LogLine,
    Ready,
    Reopened,
    RoutedMessage,
    Shutdown,
    Signal,
    Stop,
    WorkerExited,
)
from kore._process.ipc.scoreboard import DRAINING, READY, STARTING, STATE_AT, publish_stage
from kore._process.log.handlers import ParentLogHandler, install_handler, log, log_unawaited
from kore._process.privsep import call_after_fork, set_proctitle
from kore._process.process_end import disable_inherited_finalizers, run_exit_handlers
from kore._process.roles import WORKER
from kore._process.worker.accesslogs import AccessLogs
from kore._process.worker.bodies import Bodies
from kore._process.worker.bus import MessageBus
from kore._process.worker.databases import Databases
from kore._process.worker.heartbeat import Heartbeat
from kore._process.worker.hooks import WorkerHooks
from kore._process.worker.memory import Trimmer
from kore._process.worker.objects import Objects
from kore._process.worker.params import WorkerParams
from kore._process.worker.parent_link import ParentLink, Takers
from kore._process.worker.refusal_log import RefusalLog
from kore._process.worker.routing import Routing
from kore._process.worker.signals import Signals
from kore._process.worker.slow_handlers import SlowHandlers
from kore._process.worker.stop_sequence import StopSequence
from kore._process.worker.tasks import RequestTasks, WorkerTask
from kore._process.worker.websockets import WebSockets
from kore._symbols import MODULE_LOAD, MODULE_UNLOAD
from kore._tracebacks import format_traceback, skip_internal_frames
from kore.errors import RefusedError

try:
    import uvloop
except ImportError:  # there may be no wheel for this platform
    # To mypy the name is a module, which cannot become None.
    uvloop = None  # type: ignore[assignment]

# How often deadlines are looked at, as in C Kore.
SWEEP: Final = 0.5
# A little more than idle clients have for another request after a drain has begun (LAST_MS).
IDLE_TIMEOUT: Final = 0.26
# How long a process that ends without its event loop tries to write its last messages.
FLUSH_TIMEOUT: Final = 1.0


def main(birth: WorkerParams) -> int:
    """Serve until told to stop; return the exit status."""
    return Worker(birth).run()


def create_event_loop() -> AbstractEventLoop:
    """Return a new uvloop event loop, or asyncio's if uvloop is missing or KORE_LOOP=asyncio."""
    if uvloop is None or os.environ.get("KORE_LOOP") == "asyncio":
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class Worker:
    """What a worker process is."""

    def __init__(self, birth: WorkerParams) -> None:
        self.number = birth.number
        self.config: Config = birth.config
        self.channel = birth.channel
        install_handler(ParentLogHandler(lambda *record: self.talk.say(LogLine(*record))))
        self.slot = birth.slot
        self.heartbeat = Heartbeat(birth.slot, *birth.stacks)
        self.status = 0
        # New code takes over from this.
        self.replaced = False
        self.loop = create_event_loop()
        set_parent_death_fd(self.loop, birth.death_pipe)
        record_cpus(self.loop, birth.cpus)
        self.cpus = birth.cpus
        self.talk = ParentLink(self.channel, self.loop)
        self.stop = StopSequence(self, birth.config.settings)
        self.tasks = RequestTasks(self.loop, self.report)
        self.signals = Signals(birth.config.hooks.get("signal"), self.tasks.create, self.failed)
        self.relay = MessageBus(
            birth.number, birth.config.settings, self.loop, self.talk.post, self.failed
        )
        hook = birth.config.hooks.get("onmsg")
        self.objects = Objects(self.relay, birth.config.settings, hook)
        self.bodies = Bodies(self.tasks, birth.config.settings)
        self.websockets = WebSockets(birth.config, self.tasks, self.relay, self.failed)
        self.databases = Databases(birth.config, self.tasks, self.failed)
        self.tracer: Tracer | None = birth.config.tracer
        self.journals = AccessLogs(birth.config, birth.accesslogs, birth.number)
        slow = SlowHandlers(self.heartbeat) if birth.development else None
        self.site = Routing(birth, self.tasks, self.journals, slow)
        self.poller = Poller()
        self.trimmer = Trimmer()
        hooks = WorkerHooks(
            start_task=self.tasks.spawn,
            send_stream=self.site.stream,
            discard_stream=self.site.discard,
            report_failure=self.report,
            log_refusal=RefusalLog(monotonic),
            call_soon=self.loop.call_soon,
            call_later=self.loop.call_later,
            create_future=self.loop.create_future,
            make_request_data=self.site.parts,
            make_body_sink=self.bodies.sink,
            call_on_headers=self.bodies.greet,
            release_body=self.bodies.free,
            query=self.databases.query,
            websockets=self.websockets,
        )
        self.service = ServerContext(
            # Not asdict(): its deep copies would cost each worker 350 KB of shared pages.
            {name: getattr(birth.config.settings, name) for name in SETTINGS},
            hooks,
            birth.slot,
        )

    # ---- from start to end

    def run(self) -> int:
        """Serve until told to stop; return the exit status."""
        _context.current.worker = self
        asyncio.set_event_loop(self.loop)
        self.loop.set_exception_handler(self.on_loop_error)
        call_after_fork(self.abandon)
        disable_inherited_finalizers()
        life = WorkerTask(self.live(), loop=self.loop)
        while not life.done():
            try:
                self.loop.run_until_complete(life)
            except (SystemExit, KeyboardInterrupt, RuntimeError) as error:
                # asyncio lets the first two through from any task; here they end that task, no
                # more. The third means that something has called loop.stop().
                if life.done() or self.loop.is_closed():
                    raise
                self.failed("a task", error)
        try:
            life.result()
            self.poller.close()
            run_exit_handlers()
        finally:
            self.journals.finish()
        self.loop.close()
        return self.status

    async def live(self) -> None:
        """Start, serve until told to stop, then stop in order."""
        starting = self.loop.create_task(self.start())
        over = self.stop.over
        await asyncio.wait({starting, over}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await over
        else:
            starting.cancel()
            await asyncio.wait({starting}, timeout=self.stop.step_timeout())
        await self.stop.run()

    def abandon(self) -> None:
        """Be no worker any more, in a process that the application forked from this one.

        It may do what it was forked for. But when it comes back to the event loop, which it shares
        with the worker, it has to end before it touches anything.
        """
        set_affinity(self.cpus)
        self.signals.abandon()
        self.channel.close()
        self.poller.abandon()
        self.journals.abandon()
        self.loop.call_soon(os._exit, 1)

    async def start(self) -> None:
        """Take up the work: the application's start hook first, the sockets last."""
        log_unawaited()
        self.catch_signals()
        self.bodies.open()
        self.talk.open(self.takers(), self.orphaned)
        publish_stage(self.slot, "workerstart")
        await self.call_hook("workerstart")
        publish_stage(self.slot, "onload")
        await self.tell_modules(MODULE_LOAD)
        publish_stage(self.slot, "")
        self.heartbeat.open()
        self.relay.open(self.tasks.run_after_request)
        for coroutine in self.config.tasks:
            self.tasks.create(coroutine)
        self.site.listen(self.poller, self.service)
        self.poller.attach_loop(self.loop)
        self.sweep()
        self.slot[STATE_AT] = READY
        self.talk.say(Ready())

    def sweep(self) -> None:
        """Let timeouts happen, on an idle worker too, and write what is logged."""
        self.heartbeat.beat()
        self.poller.sweep()
        if self.trimmer.turn(self.poller.take_events()):
            self.poller.free_spares()
            self.trimmer.give_back()
        self.journals.flush()
        self.site.keeper.turn()
        self.loop.call_later(SWEEP, self.sweep)

    async def call_hook(self, name: str) -> None:
        """Call one of the application's hooks, if it has that one."""
        if hook := self.config.hooks.get(name):
            await call_maybe_async(hook)

    async def tell_modules(self, action: int) -> None:
        """Tell modules that asked for it that they are loaded, or about to be replaced."""
        for onload in self.config.onloads:
            try:
                await call_maybe_async(onload, action)
            except Exception as error:  # noqa: BLE001 - whatever an application raises
                self.failed("onload", error)

    # ---- the end, step by step: `stopping.py` says when

    def stop_accepting(self, *, patient: bool, accept: bool) -> None:
        """Close the listeners; let clients finish what they have begun."""
        self.websockets.ending = True
        self.slot[STATE_AT] = DRAINING
        self.service.drain(patient=patient)
        self.poller.drain(patient=patient, accept=accept)
        # In time, not only at the next turn of sweep().
        self.loop.call_later(IDLE_TIMEOUT, self.poller.sweep)

    def is_idle(self) -> bool:
        """Return whether no client, request, signal hook or message is left."""
        tasks, signals = self.tasks.serving, self.signals.running
        return not (self.service.connections or tasks or signals or self.relay.waiting)

    async def end_requests(self) -> None:
        """Cancel requests that still run, and close all connections."""
        self.poller.drain()
        await self.tasks.cancel_requests(self.stop.step_timeout())
        self.poller.close()
        await self.bodies.shut_down(self.stop.step_timeout())

    def stop_hooks(self) -> Iterator[tuple[str, Callable[..., Any], tuple[object, ...]]]:
        """Yield the functions of the application to call at the end: name, function, arguments."""
        if self.replaced:
            yield from (("onload", onload, (MODULE_UNLOAD,)) for onload in self.config.onloads)
        if hook := self.config.hooks.get("workerstop"):
            yield "workerstop", hook, ()

    async def end_rest(self) -> None:
        """Cancel what is left, and close what the application used."""
        self.relay.farewell()
        await self.tasks.cancel_everything(self.stop.step_timeout())
        await self.tasks.close_generators(self.stop.step_timeout())
        await self.databases.close(self.stop.step_timeout())
        await self.stop.wait_for(self.tasks.close_executor())

    # ---- what others say

    def catch_signals(self) -> None:
        """Drain on TERM; a terminal's ctrl-C reaches everybody, and the parent speaks for it."""
        ignored = (signal.SIGINT, signal.SIGUSR1)
        self.signals.catch(
            self.loop,
            {
                signal.SIGTERM: self.stop.drain_on_signal,
                signal.SIGQUIT: self.stop.hurry,
                signal.SIGHUP: self.signals.hang_up,
                **dict.fromkeys(ignored, lambda: None),
            },
        )
        for number in self.config.traps:
            self.trap(number)

    def trap(self, number: int) -> None:
        """Tell the application's hook of one more signal to this process."""
        self.signals.trap(self.loop, number)

    def tell_draining(self) -> None:
        """Tell the parent that this worker drains, by no order of its."""
        self.talk.say(Draining())

    def rename(self, name: str) -> None:
        """Set the name that the title of this process begins with."""
        set_proctitle(WORKER.format_title(arguments.check_printable(name, "name"), self.number))

    def takers(self) -> Takers:
        """Return who takes which message of the parent."""
        return {
            Signal: lambda message: self.signals.told(message.number),
            Reopened: lambda message: self.journals.switch(message.number, message.descriptors[0]),
            Stop: self.told_to_stop,
            RoutedMessage: self.relay.parcel,
            WorkerExited: self.relay.gone,
        }

    def told_to_stop(self, message: Stop) -> None:
        """End, after what is in progress or at once; a worker that does not serve yet at once."""
        self.replaced |= message.patient
        if message.drain and self.slot[STATE_AT] != STARTING:
            self.stop.drain(patient=message.patient, accept=message.accept)
        else:
            self.stop.hurry()

    def orphaned(self) -> NoReturn:
        """End: without a parent there is no worker."""
        self.journals.finish()
        wait_for_parent_death(self.loop, FLUSH_TIMEOUT)
        os._exit(1)

    # ---- what handlers do

    def report(self, request: Request, error: BaseException | None, result: object = None) -> None:
        """Say what a request's handler did wrong; None: no answer, but *result* was returned."""
        where = f"route '{request.where()}'"
        if isinstance(error, RefusedError) and not request.answered:
            # The application may have put an attribute in front of the method.
            Request.refuse(request, error.status)
        elif error is None and request.answered:
            log.error(
                "response without an end: the handler of %s called open_body() and ended without "
                "end_body(): the connection is closed", where
            )  # fmt: skip
        elif error is None:
            self.report_missing(request, result)
        else:
            self.failed(where, error)

    def report_missing(self, request: Request, result: object) -> None:
        """Log that a handler gave no answer."""
        path = Request.where(request)
        place = self.site.places.get(path, "")
        hint = "" if result is None else f"; it returned {type(result).__name__}"
        if isinstance(result, (str, bytes, dict, list)):
            hint += ", which is not sent: write req.response(200, ...)"
        log.error(
            "no response: the handler of route '%s' ended without calling response()%s%s",
            path, hint, place and f" ({place})",
        )  # fmt: skip

    def failed(self, where: str, error: BaseException) -> None:
        """Hand what nobody caught to the tracer, or to the log."""
        if self.tracer is not None:
            try:
                traced = self.tracer(type(error), error, skip_internal_frames(error))
                if is_awaitable(traced):
                    self.tasks.create(await_result(traced))
            except BaseException as again:  # noqa: BLE001 - a tracer cannot end a worker either
                log.error("the tracer failed with %r", again, exc_info=again)
            else:
                return
        text = format_traceback(error)
        log.error("uncaught exception %r in %s", error, where, extra={"detail": text})

    def on_loop_error(self, _: AbstractEventLoop, context: dict[str, Any]) -> None:
        """Report what the event loop noticed, such as a callback that raised."""
        error = context.get("exception")
        if error is None:
            log.error("%s", context.get("message"))
        else:
            self.failed(str(context.get("message", "the event loop")), error)

    # ---- what the public functions delegate to

    def fatal(self, text: str) -> NoReturn:
        """End this worker at once, with *text* in the log; the parent replaces it."""
        log.error("fatal: %s", text)
        self.end()

    def fatalx(self, text: str) -> NoReturn:
        """End the whole server with status 1 and *text*."""
        self.channel.send(Fatal(text))
        self.end()

    def shutdown(self) -> None:
        """Ask the parent to stop the server in good order."""
        self.talk.say(Shutdown())

    def end(self) -> NoReturn:
        """Leave with status 1, from wherever we are: no handler can catch it."""
        with contextlib.suppress(AttributeError, OSError, ValueError):  # none, broken, closed
            sys.stdout.flush()
        self.journals.finish()
        self.channel.drain(FLUSH_TIMEOUT)
        os._exit(1)

"""A worker process: it starts, serves with an event loop and a poller on it, drains and ends.

`Worker` joins the parts in this package: what the parent sends it, what the core calls, what the
public functions of `kore` delegate to. `StopSequence` decides when it ends.
"""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator
from functools import partial
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
from kore._maybe_async import call_maybe_async, start_maybe_async
from kore._process.ipc.messages import (
    Draining,
    FatalError,
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
from kore._process.ipc.tls_messages import KeysReplaced, TicketKeys, TlsMaterial
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
from kore._process.worker.parent_link import MessageHandlers, ParentLink
from kore._process.worker.refusal_log import RefusalLog
from kore._process.worker.routing import Routing
from kore._process.worker.signals import Signals
from kore._process.worker.slow_handlers import SlowHandlers
from kore._process.worker.stop_sequence import StopSequence
from kore._process.worker.tasks import RequestTasks, WorkerTask
from kore._process.worker.tls import WorkerTls
from kore._process.worker.websockets import WebSockets
from kore._symbols import MODULE_LOAD, MODULE_UNLOAD
from kore._tracebacks import format_traceback, skip_internal_frames
from kore.errors import RefusedError

try:
    import uvloop
except ImportError:  # there may be no wheel for this platform
    # To mypy the name is a module, which cannot become None.
    uvloop = None  # type: ignore[assignment]

# Seconds between two checks of deadlines, as in C Kore.
SWEEP_INTERVAL: Final = 0.5
# Seconds; a little more than idle clients have for a last request in a drain (LAST_MS).
IDLE_TIMEOUT: Final = 0.26
# Seconds in which a process that ends without its event loop tries to write its last messages.
FLUSH_TIMEOUT: Final = 1.0


def main(params: WorkerParams) -> int:
    """Serve until told to stop; return the exit status."""
    return Worker(params).run()


def _create_event_loop() -> AbstractEventLoop:
    """Return a new uvloop event loop, or asyncio's if uvloop is missing or KORE_LOOP=asyncio."""
    if uvloop is None or os.environ.get("KORE_LOOP") == "asyncio":
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class Worker:
    """A worker process."""

    def __init__(self, params: WorkerParams) -> None:
        self.number = params.number
        self.config: Config = params.config
        self.channel = params.channel
        install_handler(ParentLogHandler(lambda *record: self.parent_link.send(LogLine(*record))))
        self.slot = params.slot
        self.heartbeat = Heartbeat(params.slot, *params.stacks)
        self.status = 0
        # It stops because a reload replaces it.
        self.is_replaced = False
        self.loop = _create_event_loop()
        set_parent_death_fd(self.loop, params.death_pipe)
        record_cpus(self.loop, params.cpus)
        self.cpus = params.cpus
        self.parent_link = ParentLink(self.channel, self.loop)
        self.stop_sequence = StopSequence(self, params.config.settings)
        self.tasks = RequestTasks(self.loop, self.report_handler_failure)
        hooks, settings = params.config.hooks, params.config.settings
        self.signals = Signals(hooks.get("signal"), self.tasks.create, self.report_error)
        send_routed = self.parent_link.send_routed
        self.bus = MessageBus(
            params.number, settings, self.loop, send_routed, self.report_error
        )
        self.objects = Objects(self.bus, settings, hooks.get("onmsg"))
        self.bodies = Bodies(self.tasks, settings)
        self.websockets = WebSockets(params.config, self.tasks, self.bus, self.report_error)
        self.databases = Databases(params.config, self.tasks, self.report_error)
        self.tracer: Tracer | None = params.config.tracer
        self.accesslogs = AccessLogs(params.config, params.accesslogs, params.number)
        slow_handlers = SlowHandlers(self.heartbeat) if params.development else None
        self.routing = Routing(params, self.tasks, self.accesslogs, slow_handlers)
        self.poller = Poller()
        self.tls = WorkerTls(
            params.config, self.poller, params.keys, self.parent_link.send, self.exit
        )
        self.trimmer = Trimmer()
        core_hooks = WorkerHooks(
            start_task=self.tasks.spawn,
            send_stream=self.routing.send_stream,
            discard_stream=self.routing.discard_stream,
            report_failure=self.report_handler_failure,
            log_refusal=RefusalLog(monotonic),
            call_soon=self.loop.call_soon,
            call_later=self.loop.call_later,
            create_future=self.loop.create_future,
            make_request_data=self.routing.make_request_data,
            make_body_sink=self.bodies.make_sink,
            call_on_headers=self.bodies.call_on_headers,
            release_body=self.bodies.release,
            query=self.databases.query,
            websockets=self.websockets,
        )
        self.context = ServerContext(
            # Not asdict(): its deep copies would cost each worker 350 KB of shared pages.
            {name: getattr(settings, name) for name in SETTINGS},
            core_hooks,
            params.slot,
        )

    # ---- from start to end

    def run(self) -> int:
        """Serve until told to stop; return the exit status."""
        _context.current.worker = self
        asyncio.set_event_loop(self.loop)
        self.loop.set_exception_handler(self.on_loop_error)
        call_after_fork(self.detach_forked)
        disable_inherited_finalizers()
        main_task = WorkerTask(self.serve(), loop=self.loop)
        while not main_task.done():
            try:
                self.loop.run_until_complete(main_task)
            except (SystemExit, KeyboardInterrupt, RuntimeError) as error:
                # asyncio passes the first two on from any task; here they only end that task. The
                # third means that something has called loop.stop().
                if main_task.done() or self.loop.is_closed():
                    raise
                self.report_error("a task", error)
        try:
            main_task.result()
            self.poller.close()
            run_exit_handlers()
        finally:
            self.accesslogs.close()
        self.loop.close()
        return self.status

    async def serve(self) -> None:
        """Start, serve until told to stop, then stop in order."""
        starting = self.loop.create_task(self.start())
        ended = self.stop_sequence.serving_ended
        await asyncio.wait({starting, ended}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await ended
        else:
            starting.cancel()
            await asyncio.wait({starting}, timeout=self.stop_sequence.get_step_timeout())
        await self.stop_sequence.run()

    def detach_forked(self) -> None:
        """Detach a process that the application forked from this worker.

        It may do what it was forked for. When it returns to the event loop, which it shares with
        the worker, it ends before it touches anything.
        """
        set_affinity(self.cpus)
        self.signals.restore_defaults()
        self.channel.close()
        self.poller.abandon()
        self.accesslogs.discard()
        self.loop.call_soon(os._exit, 1)

    async def start(self) -> None:
        """Start to serve: the application's start hook first, the sockets last."""
        log_unawaited()
        self.catch_signals()
        self.bodies.open()
        self.parent_link.open(self.get_message_handlers(), self.on_parent_death)
        publish_stage(self.slot, "workerstart")
        await self.call_hook("workerstart")
        publish_stage(self.slot, "onload")
        await self.call_onload(MODULE_LOAD)
        publish_stage(self.slot, "")
        self.heartbeat.open()
        self.bus.open(self.tasks.run_after_request)
        for coroutine in self.config.tasks:
            self.tasks.create(coroutine)
        await self.tls.is_complete.wait()
        self.routing.listen(self.poller, self.context, self.tls.servers)
        self.poller.attach_loop(self.loop)
        self.sweep()
        self.slot[STATE_AT] = READY
        self.parent_link.send(Ready())

    def sweep(self) -> None:
        """Check deadlines, also on an idle worker, trim the heap and flush access logs."""
        self.heartbeat.beat()
        self.poller.sweep()
        if self.trimmer.should_trim(self.poller.take_events()):
            self.poller.free_spares()
            self.trimmer.trim_heap()
        self.accesslogs.flush()
        self.routing.expire_files()
        self.loop.call_later(SWEEP_INTERVAL, self.sweep)

    async def call_hook(self, name: str) -> None:
        """Call a hook of the application, if it has it."""
        if hook := self.config.hooks.get(name):
            await call_maybe_async(hook)

    async def call_onload(self, action: int) -> None:
        """Call the `onload` functions of modules: they are loaded, or about to be replaced."""
        for onload in self.config.onloads:
            try:
                await call_maybe_async(onload, action)
            except Exception as error:  # noqa: BLE001 - whatever an application raises
                self.report_error("onload", error)

    # ---- the steps of stopping; see stop_sequence.py

    def stop_accepting(self, *, patient: bool, accept: bool) -> None:
        """Close the listeners; let requests in progress finish."""
        self.websockets.is_ending = True
        self.slot[STATE_AT] = DRAINING
        self.context.drain(patient=patient)
        self.poller.drain(patient=patient, accept=accept)
        # In time, not only with the next sweep.
        self.loop.call_later(IDLE_TIMEOUT, self.poller.sweep)

    def is_idle(self) -> bool:
        """Return whether no client, request, signal hook or message is left."""
        tasks, signals = self.tasks.serving, self.signals.running_hooks
        return not (self.context.connections or tasks or signals or self.bus.unhandled_count)

    async def end_requests(self) -> None:
        """Cancel requests that still run, and close all connections."""
        self.poller.drain()
        await self.tasks.cancel_requests(self.stop_sequence.get_step_timeout())
        self.poller.close()
        await self.bodies.shut_down(self.stop_sequence.get_step_timeout())

    def get_stop_hooks(self) -> Iterator[tuple[str, Callable[..., Any], tuple[object, ...]]]:
        """Yield the functions of the application to call at the end: name, function, arguments."""
        if self.is_replaced:
            yield from (("onload", onload, (MODULE_UNLOAD,)) for onload in self.config.onloads)
        if hook := self.config.hooks.get("workerstop"):
            yield "workerstop", hook, ()

    async def end_remaining(self) -> None:
        """Cancel the remaining tasks, and close databases and threads of the application."""
        self.bus.shut_down()
        await self.tasks.cancel_everything(self.stop_sequence.get_step_timeout())
        await self.tasks.close_generators(self.stop_sequence.get_step_timeout())
        await self.databases.close(self.stop_sequence.get_step_timeout())
        await self.stop_sequence.wait_for(self.tasks.close_executor())

    # ---- signals, and messages of the parent

    def catch_signals(self) -> None:
        """Drain on SIGTERM. SIGINT of a terminal, sent to the whole group, is the parent's."""
        ignored = (signal.SIGINT, signal.SIGUSR1)
        self.signals.add_actions(
            self.loop,
            {
                signal.SIGTERM: self.stop_sequence.drain_on_signal,
                signal.SIGQUIT: self.stop_sequence.stop_at_once,
                signal.SIGHUP: self.signals.on_sighup,
                **dict.fromkeys(ignored, lambda: None),
            },
        )
        for number in self.config.traps:
            self.trap(number)

    def trap(self, number: int) -> None:
        """Call the application's signal hook for one more signal to this process."""
        self.signals.trap(self.loop, number)

    def report_draining(self) -> None:
        """Tell the parent that this worker drains without its order."""
        self.parent_link.send(Draining())

    def rename(self, name: str) -> None:
        """Set the name that the title of this process begins with."""
        set_proctitle(WORKER.format_title(arguments.check_printable(name, "name"), self.number))

    def get_message_handlers(self) -> MessageHandlers:
        """Return the handler of each type of message from the parent."""
        return {
            Signal: lambda message: self.signals.on_parent_signal(message.number),
            Reopened: self.on_reopened,
            Stop: self.on_stop,
            RoutedMessage: self.bus.receive,
            WorkerExited: self.bus.forget_worker,
            TlsMaterial: self.tls.receive_material,
            TicketKeys: self.tls.receive_tickets,
            KeysReplaced: self.tls.replace_keys,
        }

    def on_reopened(self, message: Reopened) -> None:
        """Write an access log to another file."""
        self.accesslogs.switch(message.number, message.descriptors[0])

    def on_stop(self, message: Stop) -> None:
        """Drain or stop at once, as told; a worker that does not serve yet stops at once."""
        self.is_replaced |= message.patient
        if message.drain and self.slot[STATE_AT] != STARTING:
            self.stop_sequence.drain(patient=message.patient, accept=message.accept)
        else:
            self.stop_sequence.stop_at_once()

    def on_parent_death(self) -> NoReturn:
        """End the process, since the parent has ended."""
        self.accesslogs.close()
        wait_for_parent_death(self.loop, FLUSH_TIMEOUT)
        os._exit(1)

    # ---- errors of the application

    def report_handler_failure(
        self, request: Request, error: BaseException | None, result: object = None
    ) -> None:
        """Report an exception of a handler; with None, that it gave no response but *result*."""
        where = f"route '{request.get_route_label()}'"
        if isinstance(error, RefusedError) and not request.answered:
            # The application may have put an attribute in front of the method.
            Request.refuse(request, error.status)
        elif error is None and request.answered:
            log.error(
                "response without an end: the handler of %s called open_body() and ended without "
                "end_body(): the connection is closed", where
            )  # fmt: skip
        elif error is None:
            self.report_missing_response(request, result)
        else:
            self.report_error(where, error)

    def report_missing_response(self, request: Request, result: object) -> None:
        """Log that a handler gave no response."""
        path = Request.get_route_label(request)
        place = self.routing.handler_places.get(path, "")
        hint = "" if result is None else f"; it returned {type(result).__name__}"
        if isinstance(result, (str, bytes, dict, list)):
            hint += ", which is not sent: write req.response(200, ...)"
        log.error(
            "no response: the handler of route '%s' ended without calling response()%s%s",
            path, hint, place and f" ({place})",
        )  # fmt: skip

    def report_error(self, where: str, error: BaseException) -> None:
        """Pass an uncaught exception to the tracer, or log it."""
        if self.tracer is not None:
            try:
                trace = skip_internal_frames(error)
                start_maybe_async(
                    partial(self.tracer, type(error), error, trace), self.tasks.create
                )
            except BaseException as again:  # noqa: BLE001 - a tracer cannot end a worker either
                log.error("the tracer failed with %r", again, exc_info=again)
            else:
                return
        text = format_traceback(error)
        log.error("uncaught exception %r in %s", error, where, extra={"detail": text})

    def on_loop_error(self, _: AbstractEventLoop, context: dict[str, Any]) -> None:
        """Report an error that the event loop has caught, such as a callback that raised."""
        error = context.get("exception")
        if error is None:
            log.error("%s", context.get("message"))
        else:
            self.report_error(str(context.get("message", "the event loop")), error)

    # ---- for the public functions

    def fatal(self, text: str) -> NoReturn:
        """End this worker at once, with *text* in the log; the parent replaces it."""
        log.error("fatal: %s", text)
        self.exit()

    def fatalx(self, text: str) -> NoReturn:
        """End the whole server with status 1 and *text*."""
        self.channel.send(FatalError(text))
        self.exit()

    def shutdown(self) -> None:
        """Ask the parent to stop the server in good order."""
        self.parent_link.send(Shutdown())

    def exit(self) -> NoReturn:
        """Exit with status 1, without an exception that the application could catch."""
        with contextlib.suppress(AttributeError, OSError, ValueError):  # none, broken, closed
            sys.stdout.flush()
        self.accesslogs.close()
        self.channel.drain(FLUSH_TIMEOUT)
        os._exit(1)

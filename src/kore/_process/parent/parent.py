"""The parent process: starts the other processes, restarts and stops them, and serves nothing.

It may be root, so it imports neither the application nor what only workers need: just the standard
library, the packages `parent/`, `ipc/` and `log/`, and the tables of settings.

This module decides; `launcher.py` starts processes, `children.py` watches them, `shutdown.py` ends
them. A reload loads the application into a pending generation, which becomes the active one when
all its workers are ready; then the previous one is retired.
"""

import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from kore._conf.settings import VERSION
from kore._process import privsep
from kore._process.eventloop import CallbackLoop
from kore._process.heap import trim_heap
from kore._process.ipc.messages import (
    ConfigLoaded,
    Draining,
    FatalError,
    Forked,
    Hello,
    LogLine,
    Message,
    NotForked,
    ProtocolError,
    Ready,
    Shutdown,
    StartTimeout,
    Stop,
)
from kore._process.log import handlers
from kore._process.log.handlers import log
from kore._process.parent.children import Children, describe_exit
from kore._process.parent.daemon import DEVELOPMENT_STOP, StartupPipe, Terminal
from kore._process.parent.generation import Child, Generation, WorkerSlot
from kore._process.parent.launcher import Launcher, LaunchOptions
from kore._process.parent.optional_tls import OptionalTls
from kore._process.parent.reload_requests import ReloadRequests
from kore._process.parent.resources import ParentResources
from kore._process.parent.shutdown import GracefulShutdown
from kore._process.parent.singletons import Singletons
from kore._process.parent.stuck_workers import StuckWorkers
from kore._process.parent.working_directory import WorkingDirectory
from kore._process.parent_config import ParentConfig, format_version_mismatch
from kore._process.roles import KEYMGR, RoleKind
from kore.errors import ConfigError

# Seconds to write the last log lines.
LOG_FLUSH_TIMEOUT: Final = 1.0
# A signal to the whole process group may reach a worker before the parent. If the parent is told to
# stop within so many seconds, a worker that drains gets no successor.
GROUP_SIGNAL_SECONDS: Final = 0.2


class Parent:
    """Supervises all other processes of the server."""

    def __init__(self, options: LaunchOptions, startup_pipe: StartupPipe | None = None) -> None:
        # Before any other descriptor is opened.
        privsep.open_standard_fds()
        self.terminal = Terminal(startup_pipe)
        # The configuration wants a daemon: the command starts again, in the background.
        self.wants_background = False
        self.options = options
        self.loop = CallbackLoop()
        self.children = Children(self.loop, self)
        self.tls = OptionalTls(self.children, self)
        self.launcher = Launcher(
            options, self.children, self.tls, self.on_start_timeout, self.fail_pending
        )
        self.singletons = Singletons(self.launcher, options.singletons)
        self.resources = ParentResources()
        self.shutdown = GracefulShutdown(self.children)
        # The generation that serves, and the one that is to replace it. Retiring generations are
        # known only to their children.
        self.active: Generation | None = None
        self.pending: Generation | None = None
        may_kill = not options.development
        self.stuck_workers = StuckWorkers(self.loop, self.children, may_kill=may_kill)
        self.reload_requests = ReloadRequests(self.loop, self.is_loading, self.reload)
        self.directory = WorkingDirectory()
        self.status = 0
        self.message_handlers: dict[type[Message], Callable[[Child, Any], None]] = {
            Hello: self._check_version,
            StartTimeout: self.launcher.set_start_timeout,
            ConfigLoaded: self._on_config,
            Forked: self._on_forked,
            NotForked: self._on_not_forked,
            Ready: self._on_ready,
            Draining: self._on_draining,
            Shutdown: self._on_shutdown,
            LogLine: self.resources.write_log_line,
            FatalError: self._on_fatal,
        }

    # Life cycle.

    def run(self) -> int:
        """Serve until told to stop. Returns the exit status."""
        handlers.log_to_writer(self.resources.log_writer, quiet=self.options.quiet)
        self.loop.trap_signals(self.list_signal_actions())
        privsep.adopt_orphans()
        privsep.set_comm("kore [parent]")
        privsep.raise_fd_limit()
        self.terminal.watch(self.loop, self.stop)
        self.stuck_workers.watch()
        try:
            self.load()
            # There may be no child for a moment, while all wait to be restarted.
            while self.children.all or not self.shutdown.stopping:
                self.loop.turn()
                self.resources.flush_log(self.loop)
        finally:
            self.finish()
        return self.status

    def list_signal_actions(self) -> dict[int, Callable[[], object]]:
        """Return the actions of signals; workers are told of those that C Kore forwards."""
        forwarded = {
            signal.SIGTERM: self.terminate,
            signal.SIGINT: self.terminate,
            signal.SIGQUIT: self.stop_immediately,
            signal.SIGHUP: self.hang_up,
            signal.SIGUSR1: self.reopen_files,
        }
        ignored = [signal.SIGALRM, signal.SIGVTALRM, signal.SIGPIPE]
        if self.options.background:
            ignored.append(signal.SIGINT)
        children, list_more = self.children, self.tls.list_status
        notify = children.notify_workers_then
        development: dict[int, Callable[[], object]] = {}
        if self.options.development:
            stop = notify(signal.SIGTERM, self.stop)
            development[DEVELOPMENT_STOP] = lambda: self.shutdown.stopping or stop()
        return {
            **{number: notify(number, action) for number, action in forwarded.items()},
            signal.SIGUSR2: lambda: self.resources.log_status(children.all, list_more()),
            signal.SIGCHLD: children.reap,
            **dict.fromkeys(ignored, lambda: None),
            **development,
        }

    def finish(self) -> None:
        """Kill what is left and release everything. Also runs after an error in the parent."""
        for child in self.children.all:
            self.children.kill(child)
        if self.active is not None:
            log.info("goodbye")
        self.resources.release(LOG_FLUSH_TIMEOUT)
        self.tls.close()
        self.loop.close()

    def reopen_files(self) -> None:
        """Open logs again that were moved away, and load certificates and keys again."""
        self.resources.reopen_logs(self.children)
        self.tls.load_all()

    # Loading the application: at the start, and for a reload.

    def load(self) -> None:
        """Start a pending generation."""
        self.reload_requests.clear()
        self.directory.enter()
        self.pending = Generation()
        self.start_template(self.pending)

    def is_loading(self) -> bool:
        """Return whether the template of the pending generation is loading the application."""
        return self.pending is not None and not self.pending.loaded

    def start_template(self, generation: Generation) -> None:
        """Start a template for a generation, the first or a later one."""
        if generation.retiring or generation.template is not None:
            return
        try:
            # Until the application sets its start-up time, that of the active one is used.
            timeout = (self.active or generation).start_timeout
            self.launcher.start_template(generation, timeout)
        except OSError as error:
            reason = f"cannot start {sys.executable}: {error.strerror}"
            self._on_template_failure(generation, reason)

    def _on_template_failure(self, generation: Generation, reason: str) -> None:
        """Abort a pending reload; restart the template of the active generation, with back-off."""
        if generation is self.pending:
            self.fail_pending(reason)
        elif not generation.retiring:
            self._restart_template(generation, reason)
        else:
            self.shutdown.end_if_last_worker_exited(generation)

    def _restart_template(self, generation: Generation, reason: str) -> None:
        """Start another template of the active generation, after a delay.

        Without workers the listening sockets are closed, so that clients are refused and do not
        wait; but first a template that has loaded the application before is replaced.
        """
        delay = generation.backoff.wait()
        if generation.workers or (generation.recoverable and not delay):
            handlers.log_multiline_error("%s; the workers go on", reason)
        else:
            self.resources.close_listeners(generation, self.pending)
            form = f"%s; no worker is left: not listening any more, trying again in {delay:.1f} s"
            handlers.log_multiline_error(form, reason, handlers.CRITICAL)
        self.loop.after(delay, lambda: self.start_template(generation))

    def _check_version(self, child: Child, message: Hello) -> None:
        """Kill a template of another version of kore: its messages may differ."""
        if message.version != VERSION:
            child.exit_reason = format_version_mismatch(message.version)
            if child.generation is self.pending:
                self.fail_pending(child.exit_reason)
            self.children.kill(child)

    def _on_config(self, child: Child, message: ConfigLoaded) -> None:
        """Start workers, now that a template has loaded the application."""
        generation = child.generation
        if generation.loaded:
            raise ProtocolError("second configuration message")
        child.ready = True
        try:
            config = ParentConfig.read(message.plain)
        except ProtocolError:
            # It sends no other one, and without a configuration nothing can go on.
            self.children.kill(child)
            raise
        if not generation.retiring and self._accept_config(child, config):
            generation.loaded = True
            if self.tls.is_complete(generation):
                self.launcher.start_vacant(generation)

    def _accept_config(self, child: Child, config: ParentConfig) -> bool:
        """Open what a generation needs. Returns False if it cannot have it."""
        generation = child.generation
        if generation is self.pending:
            first = self.active is None
            if first and config.background and self.options.background is None:
                # Before anything is opened: the server starts again, in the background.
                self.wants_background = self.shutdown.stopping = True
                self.fail_pending("")
                return False
            reason = self.resources.prepare(generation, config, self.options, first=first)
            if reason := reason or self.tls.prepare(generation):
                self.fail_pending(f"fatal: {reason}")
                return False
            if first:
                self.singletons.start_all()
            if generation.tls:
                self.singletons.start(KEYMGR)
        elif config != generation.config:
            # Its workers would fit neither the sockets nor the worker slots.
            log.warning("the application on disk has another configuration by now")
            self.children.kill(child)
            if self.pending is None:
                self.reload()
            return False
        try:
            self.resources.reopen_listeners(generation)
        except ConfigError as error:
            child.exit_reason = str(error)
            self.children.kill(child)
            return False
        return True

    def list_generations(self) -> set[Generation]:
        """Return the generations of which something is left."""
        owners = {child.owner for child in self.children.all} | {self.active, self.pending}
        return {owner for owner in owners if isinstance(owner, Generation)}

    def start_workers(self) -> None:
        """Start the workers of the pending generation: all of its domains can be served."""
        if self.pending is not None:
            self.launcher.start_vacant(self.pending)

    def fail_pending(self, reason: str) -> None:
        """Give up the pending generation; go on with the active one, or stop at the first start."""
        pending, self.pending = self.pending, None
        if pending is None:
            return
        if self.active is not None:
            state = "the old code goes on serving" if self.active.workers else "no worker is left"
            handlers.log_multiline_error(f"reload failed, {state}: %s", reason)
        elif not self.shutdown.stopping:
            self.shutdown.stopping = True
            self.status = 1
            if self.resources.log_writer.is_redirected:
                handlers.log_multiline_error("%s", reason)
            handlers.write_stderr(reason)
        self.resources.close_unused(self.active)
        self._retire(pending)
        self._stop_singletons_if_last()

    def activate(self, generation: Generation) -> None:
        """Make the pending generation, which is complete, the active one; retire the previous."""
        previous, self.active, self.pending = self.active, generation, None
        generation.was_active = True
        self.resources.close_unused(generation)
        if previous is not None and generation.config is not None:
            try:
                self.resources.apply_log_and_pidfile(generation.config, self.options)
            except ConfigError as error:
                log.error("%s, going on with the old one", error)
        self.resources.log_addresses(generation)
        log.info("all worker processes started")
        self.terminal.detach(self.loop, self.resources.log_writer)
        trim_heap()
        if previous is not None:
            self._retire(previous)

    def reload(self) -> None:
        """Load the application again, also if it is being loaded."""
        if self.shutdown.stopping:
            return
        log.info("reloading")
        if self.pending is not None:
            # Some of its files may have changed while they were loaded.
            self._retire(self.pending)
        self.load()

    def hang_up(self) -> None:
        """Reload on request; stop if the signal comes from a terminal that was closed."""
        if self.terminal.is_closed:
            log.info("the terminal is gone")
            self.stop()
        else:
            self.reload_requests.request()

    # Messages.

    def on_message(self, child: Child, message: Message) -> None:
        """Handle a message that the role of the child allows."""
        self.message_handlers.get(type(message), self.tls.handle_message)(child, message)

    def _on_forked(self, child: Child, message: Forked) -> None:
        self._on_start_progress(self.launcher.record_forked(child, message))

    def _on_not_forked(self, child: Child, message: NotForked) -> None:
        """Treat a worker that could not be forked like one that has exited."""
        worker = self.launcher.record_not_forked(child, message)
        self._on_worker_exit(worker, f"cannot be forked: {message.reason}")

    def _on_ready(self, child: Child, _: Ready) -> None:
        if child.ready:
            raise ProtocolError("ready twice")
        child.ready = True
        self.tls.handle_ready(child)
        self._on_start_progress(child)

    def _on_start_progress(self, child: Child) -> None:
        """Check whether a child has started: pid and readiness are reported in either order."""
        if not (child.ready and child.pid) or child.ended:
            return
        if not self.options.quiet:
            self.resources.log_writer.write(child.log_name, f"started (#{child.pid})")
        if child.owner is self.pending and child.generation.all_ready:
            self.activate(child.generation)

    def _on_fatal(self, child: Child, message: FatalError) -> None:
        """Give up a load that has failed, or stop the server."""
        child.exit_reason = message.text
        if self.pending is not None and child is self.pending.template:
            self.fail_pending(message.text)
        elif child.is_worker:
            self.resources.log_writer.write(child.log_name, f"fatal: {message.text}")
            if child.generation is self.active:
                self.stop(status=1)
        # The reason of another child is logged with its exit.

    def _on_shutdown(self, child: Child, _: Shutdown) -> None:
        """Stop because the application requests it."""
        log.info("shutdown requested by worker %d, going down", child.number)
        self.stop()

    def _on_draining(self, worker: Child, _: Draining) -> None:
        """Replace a worker that was sent a signal to end while it finishes what it has."""
        self.loop.after(GROUP_SIGNAL_SECONDS, lambda: self._replace_draining(worker))

    def _replace_draining(self, worker: Child) -> None:
        generation = worker.generation
        unwanted = self.shutdown.stopping or generation.retiring
        if unwanted or worker.ended or not worker.ready or generation is self.pending:
            return
        if (slot := generation.release_slot(worker)) is None:
            return
        log.info("%s drains", worker)
        # It stops by itself; this is for one that does not.
        message = Stop(drain=True, accept=False)
        self.children.stop(worker, generation.get_drain_timeout(patient=False), message)
        self._replace_worker(generation, slot)

    # Exits.

    def on_exit(self, child: Child, status: int) -> None:
        """Handle the exit of a child, expected or not."""
        how = describe_exit(status)
        self.tls.handle_exit(child, how)
        match child.role.kind:
            case RoleKind.TEMPLATE:
                self._on_template_exit(child, how)
            case RoleKind.WORKER:
                self._on_worker_exit(child, how)
            case RoleKind.SINGLETON:
                self.singletons.handle_exit(child, how)
        self._stop_singletons_if_last()

    def _on_template_exit(self, child: Child, how: str) -> None:
        """Have the workers that it has not forked yet started by the next template."""
        generation = child.generation
        generation.drop_template(self.children.forget_unstarted)
        reason = f": {child.exit_reason}" if child.exit_reason else ""
        self._on_template_failure(generation, f"{child} {how}{reason}")

    def _on_worker_exit(self, child: Child, how: str) -> None:
        """Replace a worker, or do what else its exit means."""
        generation = child.generation
        slot = generation.remove_worker(child)
        if generation.retiring:
            log.info("%s %s", child, how)
            self.shutdown.end_if_last_worker_exited(generation)
        elif generation is self.pending:
            self.fail_pending(self.resources.describe_failed_start(child, how))
        elif slot is None:
            log.info("%s %s after draining", child, how)
        else:
            log.error("%s %s %s", child, how, generation.describe_activity(child))
            self._replace_worker(generation, slot)
            if not generation.workers:
                # Start a template now: until there is one, clients would wait in vain.
                self.start_template(generation)

    def _replace_worker(self, generation: Generation, slot: WorkerSlot) -> None:
        """Start the successor of a worker, or stop if `worker_death_policy` says so.

        The exit status does not matter: a worker that exits with 0 is missing as well.
        """
        policy = generation.settings.worker_death_policy
        if policy == "terminate":
            log.error("worker policy is '%s', stopping", policy)
            self.stop(status=1)
        else:
            self.launcher.restart_worker(generation, slot)

    def on_start_timeout(self, child: Child, what: str) -> None:
        """Kill a child that has missed its start-up deadline, and give up a pending generation."""
        if child.owner is self.pending:
            self.fail_pending(what)
        else:
            log.error("%s", what)
        self.children.dump_stacks_and_kill(child)

    # Stopping.

    def terminate(self) -> None:
        """Stop gracefully; at the second request immediately."""
        if self.shutdown.stopping:
            self.stop_immediately()
        else:
            self.stop()

    def stop(self, status: int = 0) -> None:
        """Stop gracefully, after the requests in progress."""
        if self.shutdown.stopping:
            return
        self.shutdown.stopping = True
        self.status = status
        log.info("server shutting down")
        self.resources.close_unused(None)
        if self.active is not None and not self.shutdown.immediate:
            self.shutdown.log_progress()
        self.shutdown.stop_waiting_for_idle()
        for generation in (self.pending, self.active):
            if generation is not None:
                self._retire(generation)
        self.pending = None
        self._stop_singletons_if_last()

    def stop_immediately(self) -> None:
        """Stop without finishing the requests in progress."""
        self.shutdown.immediate = True
        self.stop()
        self.shutdown.terminate_all()

    def _retire(self, generation: Generation) -> None:
        """End a generation that is no longer wanted."""
        self.shutdown.retire(generation, self.active)

    def _stop_singletons_if_last(self) -> None:
        """Stop the singletons when the server stops and the last generation has exited."""
        remaining = (child.role.kind is not RoleKind.SINGLETON for child in self.children.all)
        if self.shutdown.stopping and not any(remaining):
            self.singletons.stop_all(immediate=self.shutdown.immediate)

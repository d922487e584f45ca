"""The parent: starts everything, outlives everything, serves nothing.

It binds, starts, restarts and stops. It never imports the application, nor what only a worker
needs: it may be root, so it gets the standard library and our own Python.
"""

import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from kore._conf.settings import VERSION
from kore._process import privsep
from kore._process.ipc.messages import (
    ConfigLoaded,
    Draining,
    Fatal,
    Forked,
    Hello,
    LogLine,
    Message,
    NotForked,
    ProtocolError,
    Ready,
    Shutdown,
    StartTimeout,
)
from kore._process.log import handlers
from kore._process.log.handlers import log
from kore._process.parent.children import Child, Children, fate
from kore._process.parent.daemon import StartupPipe
from kore._process.parent.eventloop import ParentLoop
from kore._process.parent.generation import Generation
from kore._process.parent.launcher import Launcher, LaunchOptions
from kore._process.parent.reload_requests import ReloadRequests
from kore._process.parent.resources import ParentResources
from kore._process.parent.respawner import Respawner
from kore._process.parent.shutdown import Shutdowns
from kore._process.parent.stuck_workers import StuckWorkers
from kore._process.parent.terminal import DEVELOPMENT_STOP, Terminal
from kore._process.parent.working_directory import WorkingDirectory
from kore._process.plan import ParentConfig, format_version_mismatch
from kore.errors import ConfigError

FLUSH_SECONDS: Final = 1.0


class Parent:
    """Starts the children and outlives them."""

    def __init__(self, options: LaunchOptions, witness: StartupPipe | None = None) -> None:
        # Before anything else is opened.
        privsep.open_standard_fds()
        self.terminal = Terminal(witness)
        self.to_background = False
        self.options = options
        self.loop = ParentLoop()
        self.children = Children(self.loop, self)
        self.nursery = Launcher(options, self.children, self.hangs)
        self.holdings = ParentResources()
        self.endings = Shutdowns(self.children)
        self.successors = Respawner(self, self.nursery, options.worker)
        # The generation that serves, and the one that is to replace it. Those before it are
        # known only to their children.
        self.current: Generation | None = None
        self.coming: Generation | None = None
        self.stuck = StuckWorkers(self.loop, self.children, may_kill=not options.development)
        self.reloads = ReloadRequests(self.loop, self.is_loading, self.reload)
        self.directory = WorkingDirectory()
        self.status = 0
        self.messages: dict[type[Message], Callable[[Child, Any], None]] = {
            Hello: self.greeted,
            StartTimeout: self.nursery.patience,
            ConfigLoaded: self.configured,
            Forked: self.forked,
            NotForked: self.not_forked,
            Ready: self.ready,
            Draining: self.successors.draining,
            Shutdown: self.shutdown,
            LogLine: self.relay,
            Fatal: self.last_words,
        }

    # Its life.

    def run(self) -> int:
        """Serve until somebody says stop. Returns the exit status."""
        handlers.log_to_writer(self.holdings.destination, quiet=self.options.quiet)
        self.loop.trap(self.signals())
        privsep.adopt_orphans()
        privsep.set_comm("kore [parent]")
        privsep.raise_fd_limit()
        self.terminal.watch(self.loop, self.stop)
        self.stuck.watch()
        try:
            self.load()
            # All of them may be dead at one moment, and each about to be replaced.
            while self.children.all or not self.endings.stopping:
                self.loop.turn()
                self.holdings.flush_log(self.loop)
        finally:
            self.finish()
        return self.status

    def signals(self) -> dict[int, Callable[[], object]]:
        """Return what each signal does; workers are told of those that C Kore forwards."""
        told = {
            signal.SIGTERM: self.terminate,
            signal.SIGINT: self.terminate,
            signal.SIGQUIT: self.stop_at_once,
            signal.SIGHUP: self.hang_up,
            signal.SIGUSR1: lambda: self.holdings.reopen_logs(self.children),
        }
        ignored = [signal.SIGALRM, signal.SIGVTALRM, signal.SIGPIPE]
        if self.options.background:
            ignored.append(signal.SIGINT)
        return {
            **{number: self.children.telling(number, do) for number, do in told.items()},
            signal.SIGUSR2: lambda: self.holdings.report(self.children.all),
            signal.SIGCHLD: self.children.reap,
            **dict.fromkeys(ignored, lambda: None),
            **(self.development_signals() if self.options.development else {}),
        }

    def development_signals(self) -> dict[int, Callable[[], object]]:
        """Return what the signals of `kodev run` do."""
        stop = self.children.telling(signal.SIGTERM, self.stop)
        return {DEVELOPMENT_STOP: lambda: self.endings.stopping or stop()}

    def finish(self) -> None:
        """Leave nothing behind. Also the way out of an error of our own."""
        for child in self.children.all:
            self.children.kill(child)
        if self.current is not None:
            log.info("goodbye")
        self.holdings.release(FLUSH_SECONDS)
        self.loop.close()

    # Loading: at the start, and for a reload.

    def load(self) -> None:
        """Start a new generation."""
        self.reloads.clear()
        self.directory.enter()
        self.coming = Generation()
        self.start_template(self.coming)

    def is_loading(self) -> bool:
        """Whether an application is being loaded that does not serve yet."""
        return self.coming is not None and not self.coming.loaded

    def start_template(self, generation: Generation) -> None:
        """Give a generation a template, its first or another one."""
        if generation.retired or generation.template is not None:
            return
        try:
            # Until the application says how long it takes, what serves is the best guess.
            self.nursery.template(generation, (self.current or generation).start_timeout)
        except OSError as error:
            self.no_template(generation, f"cannot start {sys.executable}: {error.strerror}")

    def no_template(self, generation: Generation, reason: str) -> None:
        """Do without: the coming generation cannot, the serving one can for a while."""
        if generation is self.coming:
            self.fail(reason)
        elif not generation.retired:
            self.successors.await_template(generation, reason)
        else:
            self.endings.after_last_worker(generation)

    def greeted(self, child: Child, message: Hello) -> None:
        """Do without a template of another version of kore: it speaks otherwise."""
        if message.version != VERSION:
            child.last_words = format_version_mismatch(message.version)
            if child.generation is self.coming:
                self.fail(child.last_words)
            self.children.kill(child)

    def configured(self, child: Child, message: ConfigLoaded) -> None:
        """Go on with what a template has loaded."""
        generation = child.generation
        if generation.loaded:
            raise ProtocolError("a configuration twice")
        child.ready = True
        try:
            plan = ParentConfig.read(message.plain)
        except ProtocolError:
            # It will not send another one, and nothing goes on without.
            self.children.kill(child)
            raise
        if generation.retired or not self.accepted(child, plan):
            return
        generation.loaded = True
        for seat in generation.seats.values():
            if seat.vacant:
                self.successors.start(generation, seat)

    def accepted(self, child: Child, plan: ParentConfig) -> bool:
        """Whether the generation of this template can have what it wants."""
        generation = child.generation
        if generation is self.coming:
            if self.current is None and plan.background and self.options.background is None:
                # Before anything is opened: this has to begin anew, in the background.
                self.to_background = self.endings.stopping = True
                self.fail("")
                return False
            first = self.current is None
            if reason := self.holdings.prepare(generation, plan, self.options, first=first):
                self.fail(f"fatal: {reason}")
                return False
        elif plan != generation.plan:
            # Its workers would fit neither the sockets nor the places there are.
            log.warning("the application on disk has another configuration by now")
            self.children.kill(child)
            if self.coming is None:
                self.reload()
            return False
        return self.successors.listening(generation, child)

    def fail(self, reason: str) -> None:
        """Do without the coming generation: go on with the old one, or end."""
        coming, self.coming = self.coming, None
        if coming is None:
            return
        if self.current is not None:
            going = "the old code goes on serving" if self.current.workers else "no worker is left"
            handlers.log_multiline_error(f"reload failed, {going}: %s", reason)
        elif not self.endings.stopping:
            self.endings.stopping = True
            self.status = 1
            if self.holdings.destination.is_redirected:
                handlers.log_multiline_error("%s", reason)
            handlers.write_stderr(reason)
        self.holdings.keep(self.current)
        self.retire(coming)

    def switch(self, generation: Generation) -> None:
        """Let the generation that is complete now be the one that serves."""
        old, self.current, self.coming = self.current, generation, None
        generation.served = True
        self.holdings.keep(generation)
        if old is not None and generation.plan is not None:
            try:
                self.holdings.adopt(generation.plan, self.options)
            except ConfigError as error:
                log.error("%s, going on with the old one", error)
        self.holdings.announce(generation)
        log.info("all worker processes started")
        self.terminal.leave(self.loop, self.holdings.destination)
        if old is not None:
            self.retire(old)

    def reload(self) -> None:
        """Load the application anew, whatever is being loaded."""
        if self.endings.stopping:
            return
        log.info("reloading")
        if self.coming is not None:
            # What it loads may be half old by now.
            self.retire(self.coming)
        self.load()

    def hang_up(self) -> None:
        """Load anew on request; stop when it is the closed terminal that sends the signal."""
        if self.terminal.gone:
            log.info("the terminal is gone")
            self.stop()
        else:
            self.reloads.request()

    # Workers.

    def forked(self, child: Child, message: Forked) -> None:
        """Take note of a worker's pid."""
        self.arrived(self.nursery.forked(child, message))

    def not_forked(self, child: Child, message: NotForked) -> None:
        """Treat a worker that could not be forked as one that has died."""
        worker = self.nursery.not_forked(child, message)
        self.worker_died(worker, f"cannot be forked: {message.reason}")

    def ready(self, child: Child, _: Ready) -> None:
        """Take note that a worker serves."""
        if child.ready:
            raise ProtocolError("ready twice")
        child.ready = True
        self.arrived(child)

    def arrived(self, child: Child) -> None:
        """Look whether a worker is complete: its pid and its readiness come in either order."""
        if not (child.ready and child.pid) or child.ended:
            return
        if not self.options.quiet:
            self.holdings.destination.write(child.who, f"started (#{child.pid})")
        if self.coming is child.generation and child.generation.complete:
            self.switch(child.generation)

    def relay(self, child: Child, message: LogLine) -> None:
        """Write a child's line."""
        self.holdings.destination.write(child.who, message.text, message.priority, message.detail)
        if (
            message.priority <= handlers.ERR
            and child.role is self.options.worker
            and not child.ready
        ):
            child.last_words = f"{message.detail}{message.text}"

    def last_words(self, child: Child, message: Fatal) -> None:
        """End what cannot go on: a load that has failed, or the whole server."""
        child.last_words = message.text
        if self.coming is not None and child is self.coming.template:
            self.fail(message.text)
            return
        # A template's end without its last words would be half the story: it is told when it ends.
        if child.role is self.options.worker:
            self.holdings.destination.write(child.who, f"fatal: {message.text}")
            if child.generation is self.current:
                self.stop(status=1)

    def shutdown(self, child: Child, _: Shutdown) -> None:
        """Stop because an application says so."""
        log.info("shutdown requested by worker %d, going down", child.number)
        self.stop()

    # Deaths.

    def heard(self, child: Child, message: Message) -> None:
        """Take what a child says; its role allows it to."""
        self.messages[type(message)](child, message)

    def died(self, child: Child, status: int) -> None:
        """Take note of an end, expected or not."""
        how = fate(status)
        if child.role is self.options.template:
            self.template_died(child, how)
        else:
            self.worker_died(child, how)

    def template_died(self, child: Child, how: str) -> None:
        """Have the workers that were on their way started by the next template."""
        generation = child.generation
        generation.without_template(self.children.give_up)
        words = f": {child.last_words}" if child.last_words else ""
        self.no_template(generation, f"{child} {how}{words}")

    def worker_died(self, child: Child, how: str) -> None:
        """Replace a worker, or do what else its end means."""
        generation = child.generation
        seat = generation.remove(child)
        if generation.retired:
            log.info("%s %s", child, how)
            self.endings.after_last_worker(generation)
        elif generation is self.coming:
            self.fail(self.holdings.failed_start(child, how))
        elif seat is None:
            log.info("%s %s after draining", child, how)
        else:
            log.error("%s %s %s", child, how, generation.whereabouts(child))
            self.successors.replace(generation, seat)
            if not generation.workers:
                # No clients must wait for a template that may not come: try now.
                self.start_template(generation)

    def hangs(self, child: Child, what: str) -> None:
        """Do without a child that does not get ready; in the serving generation try another one."""
        if child.generation is self.coming:
            self.fail(what)
        else:
            log.error("%s", what)
        self.children.end_hanging(child)

    # Stopping.

    def terminate(self) -> None:
        """Stop; at once when asked a second time."""
        if self.endings.stopping:
            self.stop_at_once()
        else:
            self.stop()

    def stop(self, status: int = 0) -> None:
        """Let the workers finish what they have, then end."""
        if self.endings.stopping:
            return
        self.endings.stopping = True
        self.status = status
        log.info("server shutting down")
        self.holdings.keep(None)
        if self.current is not None and not self.endings.hurry:
            self.endings.announce()
        self.endings.lose_patience()
        for generation in (self.coming, self.current):
            if generation is not None:
                self.retire(generation)
        self.coming = None

    def stop_at_once(self) -> None:
        """Let nobody finish anything."""
        self.endings.hurry = True
        self.stop()
        self.endings.at_once()

    def retire(self, generation: Generation) -> None:
        """End a generation that is not wanted any more."""
        self.endings.retire(generation, self.current)

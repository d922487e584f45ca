"""What the parent holds on behalf of all: listening sockets, the log, the pid file."""

import contextlib
import os
from collections.abc import Sequence
from typing import Final

from kore._conf.settings import VERSION
from kore._http.body.spool_directory import sweep_directory
from kore._process.ipc.messages import Reopened
from kore._process.log.handlers import log
from kore._process.log.writer import LogWriter
from kore._process.parent.accesslog_files import AccessLogFiles
from kore._process.parent.children import Child, Children
from kore._process.parent.eventloop import ParentLoop
from kore._process.parent.generation import Generation
from kore._process.parent.launcher import LaunchOptions
from kore._process.parent.listeners import Listeners, Named, shown
from kore._process.parent.parent_death import ParentDeathPipe
from kore._process.parent.pidfile import DirectoryMark, Pidfile
from kore._process.plan import ParentConfig
from kore.errors import ConfigError

# Between two tries to write what a slow reader of the log did not take.
LOG_RETRY: Final = 0.05


class ParentResources:
    """Opened for a generation, kept from one to the next, given back at the end."""

    def __init__(self) -> None:
        self.listeners = Listeners()
        self.accesslogs = AccessLogFiles()
        self.destination = LogWriter()
        self.pidfile = Pidfile()
        self.mark = DirectoryMark()
        self.leash = ParentDeathPipe()
        self._log_waits = False
        # Where workers keep bodies in files.
        self.bodies = ""

    def prepare(
        self, generation: Generation, plan: ParentConfig, options: LaunchOptions, *, first: bool
    ) -> str:
        """Open what a generation needs; for the *first* one log and pid file as well.

        Returns why that is not possible, or nothing.
        """
        try:
            plan.refuse_unsupported(same_user=options.same_user)
            self.equip(generation, plan)
            if first:
                self.adopt(plan, options)
                log.info("kore %s starting, process %d", VERSION, os.getpid())
        except ConfigError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - what is running goes on, whatever it is
            return f"cannot prepare the workers: {error}"
        return ""

    def equip(self, generation: Generation, plan: ParentConfig) -> None:
        """Open what a generation needs before its workers. ConfigError: it cannot be had."""
        plan.refuse_too_many()
        sockets = self._listen(plan)
        self.accesslogs.take(plan.accesslogs)
        generation.equip(plan, sockets)
        generation.leash = self.leash.fd
        generation.accesslogs = lambda: self.accesslogs.descriptors(plan.accesslogs)

    def _listen(self, plan: ParentConfig) -> dict[int, list[Named]]:
        """Return the sockets of each worker. Raises ConfigError if one cannot be had."""
        return self.listeners.take(
            plan.servers,
            plan.accepting,
            plan.settings.socket_backlog,
            shared=plan.settings.accept_mode == "shared",
        )

    def unlisten(self, generation: Generation, coming: Generation | None) -> None:
        """Close the sockets of a generation that has no workers, but for those of *coming*."""
        generation.sockets = {}
        self.listeners.keep(self.listeners.places(coming.sockets) if coming else ())

    def listen_again(self, generation: Generation) -> None:
        """Open sockets that unlisten() has closed. Raises ConfigError if that is not possible."""
        if generation.plan is not None and not generation.sockets:
            generation.sockets = self._listen(generation.plan)

    def adopt(self, plan: ParentConfig, options: LaunchOptions) -> None:
        """Write log and pid file where *plan* wants them. ConfigError: the log cannot be had."""
        settings, background = plan.settings, bool(options.background)
        try:
            if background and not settings.logfile:
                if notice := self.destination.open_syslog(settings, plan.name):
                    log.warning("%s", notice)
            else:
                self.destination.open(settings.logfile, settings.log_format)
        except OSError as error:
            raise ConfigError(f"logfile {settings.logfile}: {error.strerror}") from None
        if settings.http_body_disk_offload:
            self.bodies = settings.http_body_disk_path
        with contextlib.suppress(FileNotFoundError):  # the working directory is gone
            self.mark.take(options.directories())
        pidfile = options.pidfile or plan.pidfile(background=background)
        if warning := self.pidfile.write(pidfile):
            log.warning("%s", warning)

    def keep(self, generation: Generation | None) -> None:
        """Close the listening sockets and access logs that this generation does not use."""
        used = self.listeners.places(generation.sockets) if generation else set()
        self.listeners.keep(used)
        plan = generation.plan if generation else None
        self.accesslogs.keep(entry.path for entry in (plan.accesslogs if plan else ()))

    def announce(self, generation: Generation) -> None:
        """Say where a generation serves."""
        for named in generation.sockets.values():
            for server, sock in named:
                log.info("%s serving http on %s", server, shown(sock))
            # The others listen on the same addresses.
            break

    def failed_start(self, child: Child, how: str) -> str:
        """Say that a worker did not get ready, and why where the log does not."""
        summary = f"worker {child.number} failed to start: {how}"
        # Without a log file its lines have just been on standard output.
        why = child.last_words if self.destination.is_redirected else ""
        return f"{why}\n{summary}".lstrip()

    def report(self, children: Sequence[Child]) -> None:
        """Write the state of everything to the log."""
        self.destination.write("[parent]", f"status: {len(children)} children")
        for child in children:
            state = child.generation.report(child)
            self.destination.write("[parent]", f"status: {child} {state}")

    def reopen_logs(self, children: Children) -> None:
        """Open the log file and the access logs anew, after they have been moved away."""
        try:
            self.destination.reopen()
        except OSError as error:
            log.error("logfile %s: %s, going on with the old one", self.destination.path, error)
        writers = [(child, child.generation.plan) for child in children.all if child.number]
        held = set(self.accesslogs.open)
        used = {entry.path for _, plan in writers if plan for entry in plan.accesslogs}
        fresh = self.accesslogs.reopen(sorted(held | used))
        for child, plan in writers:
            for number, entry in enumerate(plan.accesslogs if plan else ()):
                if entry.path in fresh:
                    fd = self.accesslogs.open[entry.path]
                    children.send(child, Reopened(number, (fd,)))
        # The rest was for workers of earlier generations, which have theirs now.
        self.accesslogs.keep(held)

    def flush_log(self, loop: ParentLoop) -> None:
        """Write what waits; try again later when its reader is slow."""
        self.destination.flush()
        # One timer: another for each turn would end in nothing but turns.
        if self.destination.pending and not self._log_waits:
            self._log_waits = True
            loop.after(LOG_RETRY, self._log_waited)

    def _log_waited(self) -> None:
        """Let the turn that ends now try again."""
        self._log_waits = False

    def release(self, seconds: float) -> None:
        """Give all of it back; the last lines get so much time."""
        self.listeners.keep(())
        self.accesslogs.keep(())
        self.pidfile.remove()
        self.mark.remove()
        self.leash.close()
        if self.bodies:
            with contextlib.suppress(OSError):
                sweep_directory(self.bodies)
        self.destination.drain(seconds)

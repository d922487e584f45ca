"""Resources that the parent holds for all processes: sockets, log files, pid file, locks."""

import contextlib
import os
from collections.abc import Sequence
from typing import Final

from kore._conf.settings import VERSION
from kore._http.body.spool_directory import sweep_directory
from kore._process.eventloop import CallbackLoop
from kore._process.ipc.messages import LogLine, Reopened
from kore._process.log.handlers import ERR, log
from kore._process.log.writer import LogWriter
from kore._process.parent.accesslog_files import AccessLogFiles
from kore._process.parent.children import Children
from kore._process.parent.generation import Child, Generation
from kore._process.parent.launcher import LaunchOptions
from kore._process.parent.listeners import Listeners, NamedSocket, format_socket_address
from kore._process.parent.parent_death import ParentDeathPipe
from kore._process.parent.pidfile import DirectoryLocks, Pidfile
from kore._process.parent_config import ParentConfig
from kore.errors import ConfigError

# Seconds until log lines that a slow reader did not take are tried again.
LOG_RETRY_INTERVAL: Final = 0.05


class ParentResources:
    """Opened for a generation, kept from one to the next, released at the end."""

    def __init__(self) -> None:
        self.listeners = Listeners()
        self.accesslogs = AccessLogFiles()
        self.log_writer = LogWriter()
        self.pidfile = Pidfile()
        self.directory_locks = DirectoryLocks()
        self.death_pipe = ParentDeathPipe()
        self._is_log_retry_due = False
        # Where workers keep bodies in files.
        self.body_directory = ""

    def prepare(
        self, generation: Generation, config: ParentConfig, options: LaunchOptions, *, first: bool
    ) -> str:
        """Open what a generation needs; for the *first* one log and pid file as well.

        Returns the reason if that is not possible, else nothing.
        """
        try:
            config.refuse_unsupported(same_user=options.same_user)
            self._open_for(generation, config)
            if first:
                self.apply_log_and_pidfile(config, options)
                log.info("kore %s starting, process %d", VERSION, os.getpid())
        except ConfigError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - the active generation goes on in any case
            return f"cannot prepare the workers: {error}"
        return ""

    def _open_for(self, generation: Generation, config: ParentConfig) -> None:
        """Open what a generation needs before its workers. Raises ConfigError if that fails."""
        config.refuse_too_many()
        sockets = self._open_listeners(config)
        self.accesslogs.open_missing(config.accesslogs)
        generation.prepare(config, sockets)
        generation.death_pipe = self.death_pipe.fd
        generation.get_accesslogs = lambda: self.accesslogs.get_descriptors(config.accesslogs)

    def _open_listeners(self, config: ParentConfig) -> dict[int, list[NamedSocket]]:
        """Return the sockets of each worker. Raises ConfigError if one cannot be opened."""
        return self.listeners.open_missing(
            config.servers,
            config.accepting,
            config.settings.socket_backlog,
            shared=config.settings.accept_mode == "shared",
        )

    def close_listeners(self, generation: Generation, pending: Generation | None) -> None:
        """Close the sockets of a generation without workers, but for those of *pending*."""
        generation.sockets = {}
        keys = self.listeners.find_keys(pending.sockets) if pending else ()
        self.listeners.close_all_except(keys)

    def reopen_listeners(self, generation: Generation) -> None:
        """Open sockets that close_listeners() has closed. Raises ConfigError if that fails."""
        if generation.config is not None and not generation.sockets:
            generation.sockets = self._open_listeners(generation.config)

    def apply_log_and_pidfile(self, config: ParentConfig, options: LaunchOptions) -> None:
        """Write log and pid file as *config* says. Raises ConfigError if the log cannot be."""
        settings, background = config.settings, bool(options.background)
        try:
            if background and not settings.logfile:
                if notice := self.log_writer.open_syslog(settings, config.name):
                    log.warning("%s", notice)
            else:
                self.log_writer.open(settings.logfile, settings.log_format)
        except OSError as error:
            raise ConfigError(f"logfile {settings.logfile}: {error.strerror}") from None
        if settings.http_body_disk_offload:
            self.body_directory = settings.http_body_disk_path
        with contextlib.suppress(FileNotFoundError):  # the working directory is gone
            self.directory_locks.lock(options.list_directories())
        pidfile = options.pidfile or config.choose_pidfile(background=background)
        if warning := self.pidfile.write(pidfile):
            log.warning("%s", warning)

    def close_unused(self, generation: Generation | None) -> None:
        """Close the listening sockets and access logs that *generation* does not use."""
        self.listeners.close_all_except(
            self.listeners.find_keys(generation.sockets) if generation else ()
        )
        config = generation.config if generation else None
        self.accesslogs.close_all_except(
            entry.path for entry in (config.accesslogs if config else ())
        )

    def log_addresses(self, generation: Generation) -> None:
        """Log where a generation serves."""
        servers = generation.config.servers if generation.config else ()
        secure = {server.name for server in servers if server.tls}
        for sockets in generation.sockets.values():
            for server, sock in sockets:
                scheme = "https" if server in secure else "http"
                log.info("%s serving %s on %s", server, scheme, format_socket_address(sock))
            # The other workers listen on the same addresses.
            break

    def describe_failed_start(self, child: Child, how: str) -> str:
        """Return why a worker did not become ready, with its last line if the log has it not."""
        summary = f"worker {child.number} failed to start: {how}"
        # Without a log file its lines have just been on standard output.
        reason = child.exit_reason if self.log_writer.is_redirected else ""
        return f"{reason}\n{summary}".lstrip()

    def write_log_line(self, child: Child, message: LogLine) -> None:
        """Write a record of a child to the log; an error at its start is why it will exit."""
        self.log_writer.write(child.log_name, message.text, message.priority, message.detail)
        if message.priority <= ERR and child.is_worker and not child.ready:
            child.exit_reason = f"{message.detail}{message.text}"

    def log_status(self, children: Sequence[Child], more: Sequence[str] = ()) -> None:
        """Write the state of all children to the log, and *more* lines."""
        self.log_writer.write("[parent]", f"status: {len(children)} children")
        for child in children:
            state = child.owner.describe_child(child)
            self.log_writer.write("[parent]", f"status: {child} {state}")
        for line in more:
            self.log_writer.write("[parent]", f"status: {line}")

    def reopen_logs(self, children: Children) -> None:
        """Open the log file and the access logs again, after they have been moved away."""
        writer = self.log_writer
        try:
            writer.reopen()
        except OSError as error:
            log.error(
                "logfile %s: %s, going on with the old one", writer.path, error.strerror
            )
        users = [(child, child.generation.config) for child in children.all if child.is_worker]
        held = set(self.accesslogs.open)
        used = {entry.path for _, config in users if config for entry in config.accesslogs}
        fresh = self.accesslogs.reopen(sorted(held | used))
        for child, config in users:
            for number, entry in enumerate(config.accesslogs if config else ()):
                if entry.path in fresh:
                    fd = self.accesslogs.open[entry.path]
                    children.send(child, Reopened(number, (fd,)))
        # The others were for workers of earlier generations, which have received them now.
        self.accesslogs.close_all_except(held)

    def flush_log(self, loop: CallbackLoop) -> None:
        """Write log lines that wait; try again later if their reader is slow."""
        self.log_writer.flush()
        # A single timer: one for each turn of the loop would cause as many turns.
        if self.log_writer.pending and not self._is_log_retry_due:
            self._is_log_retry_due = True
            loop.after(LOG_RETRY_INTERVAL, self._end_log_retry)

    def _end_log_retry(self) -> None:
        """Have the end of this turn try again."""
        self._is_log_retry_due = False

    def release(self, log_timeout: float) -> None:
        """Close everything; write the last log lines, at most *log_timeout* seconds long."""
        self.listeners.close_all_except(())
        self.accesslogs.close_all_except(())
        self.pidfile.remove()
        self.directory_locks.release()
        self.death_pipe.close()
        if self.body_directory:
            with contextlib.suppress(OSError):
                sweep_directory(self.body_directory)
        self.log_writer.drain(log_timeout)

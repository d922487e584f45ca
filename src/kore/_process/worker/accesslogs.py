"""A worker's access logs: who writes where, when, and what becomes of lines that cannot be."""

import errno
import os
import select
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from kore._conf.schema import Config, Domain
from kore._core.accesslog import AccessLog
from kore._core.log_file import LogFile
from kore._process.log.handlers import log
from kore._values.accesslog_format import compile_format


@dataclass(slots=True)
class AccessLogFile:
    """A file, and what has been said about it."""

    path: str
    sink: LogFile
    failing: bool = False
    reported: int = 0


class AccessLogs:
    """Of each domain the one it writes to, of each file the one who writes."""

    def __init__(self, config: Config, descriptors: Sequence[int], number: int) -> None:
        logs = zip(config.accesslogs, descriptors, strict=True)
        self.files = [AccessLogFile(log.path, LogFile(fd, limit(fd))) for log, fd in logs]
        sinks = {file.path: file.sink for file in self.files}
        self.journals = {
            (domain.server, domain.name): journal(domain, sinks[domain.accesslog.path], number)
            for domain in config.domains
            if domain.accesslog is not None
        }

    def of(self, domain: Domain) -> AccessLog | None:
        """Return where the requests of a domain are logged."""
        return self.journals.get((domain.server, domain.name))

    def first(self, domains: Sequence[Domain]) -> AccessLog | None:
        """Return where to log what is meant for none of the domains of a server."""
        return next(filter(None, map(self.of, domains)), None)

    def flush(self) -> None:
        """Write what waits, and say when that fails, and when it works again."""
        for file in self.files:
            file.sink.flush()
            report(file)

    def switch(self, number: int, descriptor: int) -> None:
        """Write the file of that number to another descriptor from now on."""
        if number >= len(self.files):
            os.close(descriptor)
            return
        file = self.files[number]
        file.sink.switch(descriptor, limit(descriptor))
        report(file)

    def abandon(self) -> None:
        """Forget what waits, in a forked process: it is the worker that writes it."""
        for file in self.files:
            file.sink.discard()

    def finish(self) -> None:
        """Write what can still be written, at the end."""
        for file in self.files:
            file.sink.flush()
            lost = file.sink.lost - file.reported + file.sink.pending
            if lost:
                why = os.strerror(file.sink.error or errno.EIO)
                log.error("accesslog %s: %s, %d lines lost at the end", file.path, why, lost)


def journal(domain: Domain, sink: LogFile, number: int) -> AccessLog:
    """Return what logs the requests of a domain."""
    assert domain.accesslog is not None  # noqa: S101 - who calls has looked
    form = compile_format(domain.accesslog.format)
    constants = {"server_name": domain.name, "worker": str(number), "pid": str(os.getpid())}
    return AccessLog(sink, form.fill_constants(constants), json=form.json)


def report(file: AccessLogFile) -> None:
    """Say once that lines cannot be written, and later how many are lost."""
    sink = file.sink
    # A slow reader of a pipe: no harm until lines are lost.
    failing = bool(sink.error) and (sink.error != errno.EAGAIN or sink.lost > file.reported)
    if failing and not file.failing:
        log.error(
            "accesslog %s: %s; lines are kept for a while", file.path, os.strerror(sink.error)
        )
    elif not sink.error and sink.lost > file.reported:
        log.warning("accesslog %s: %d lines lost", file.path, sink.lost - file.reported)
        file.reported = sink.lost
    file.failing = failing or (file.failing and bool(sink.error))


def limit(descriptor: int) -> int:
    """Return how much one write may hold; 0: any number of bytes.

    More than PIPE_BUF could mix in a pipe with what others write.
    """
    return select.PIPE_BUF if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else 0

"""Access logs of a worker: which domain writes to which file, when, and errors of writing."""

import errno
import os
import select
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from kore._conf.schema import Config, Domain
from kore._conf.server_schema import AccessLogConfig
from kore._core.accesslog import AccessLog
from kore._core.log_file import LogFile
from kore._process.log.handlers import log
from kore._values.accesslog_format import compile_format


@dataclass(slots=True)
class AccessLogFile:
    """A file of access logs, and which of its errors have been reported."""

    path: str
    file: LogFile
    is_failing: bool = False
    # How many lost lines were reported.
    reported: int = 0


class AccessLogs:
    """The access log of each domain, and the files, which domains may share."""

    def __init__(self, config: Config, descriptors: Sequence[int], number: int) -> None:
        logs = zip(config.accesslogs, descriptors, strict=True)
        self.files = [
            AccessLogFile(log.path, LogFile(fd, _get_write_limit(fd))) for log, fd in logs
        ]
        files = {each.path: each.file for each in self.files}
        self.by_domain = {
            (domain.server, domain.name): _make_access_log(
                domain.name, domain.accesslog, files[domain.accesslog.path], number
            )
            for domain in config.domains
            if domain.accesslog is not None
        }

    def find(self, domain: Domain) -> AccessLog | None:
        """Return the access log of a domain, None if it has none."""
        return self.by_domain.get((domain.server, domain.name))

    def find_first(self, domains: Sequence[Domain]) -> AccessLog | None:
        """Return the first access log of *domains*, for requests that belong to none of them."""
        return next(filter(None, map(self.find, domains)), None)

    def flush(self) -> None:
        """Write buffered lines, and log when that fails or works again."""
        for each in self.files:
            each.file.flush()
            _report_errors(each)

    def switch(self, number: int, descriptor: int) -> None:
        """Write the file of that number to another descriptor from now on."""
        if number >= len(self.files):
            os.close(descriptor)
            return
        each = self.files[number]
        each.file.switch(descriptor, _get_write_limit(descriptor))
        _report_errors(each)

    def discard(self) -> None:
        """Discard buffered lines, in a process forked from the worker, which writes them."""
        for each in self.files:
            each.file.discard()

    def close(self) -> None:
        """Write what can still be written at the end, and log how many lines are lost."""
        for each in self.files:
            each.file.flush()
            lost = each.file.lost - each.reported + each.file.pending
            if lost:
                reason = os.strerror(each.file.error or errno.EIO)
                log.error("accesslog %s: %s, %d lines lost at the end", each.path, reason, lost)


def _make_access_log(
    domain: str, config: AccessLogConfig, file: LogFile, number: int
) -> AccessLog:
    """Return an access log of the requests of a domain."""
    form = compile_format(config.format)
    constants = {"server_name": domain, "worker": str(number), "pid": str(os.getpid())}
    return AccessLog(file, form.fill_constants(constants), json=form.json)


def _report_errors(each: AccessLogFile) -> None:
    """Log once that lines cannot be written, and later how many were lost."""
    file = each.file
    # EAGAIN is a slow reader of a pipe: no error until lines are lost.
    is_failing = bool(file.error) and (file.error != errno.EAGAIN or file.lost > each.reported)
    if is_failing and not each.is_failing:
        log.error(
            "accesslog %s: %s; lines are kept for a while", each.path, os.strerror(file.error)
        )
    elif not file.error and file.lost > each.reported:
        log.warning("accesslog %s: %d lines lost", each.path, file.lost - each.reported)
        each.reported = file.lost
    each.is_failing = is_failing or (each.is_failing and bool(file.error))


def _get_write_limit(descriptor: int) -> int:
    """Return the size limit of one write to a descriptor; 0 for none.

    A write to a pipe above PIPE_BUF could be mixed with those of other processes.
    """
    return select.PIPE_BUF if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else 0

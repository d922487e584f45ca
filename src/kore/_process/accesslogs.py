"""The files of access logs, as the parent opens them: its workers may not be able to."""

import os
from collections.abc import Iterable, Sequence
from typing import Final

from kore._conf.schema import AccessLog
from kore._process.logs import log
from kore._process.sinks import FILE_MODE
from kore.errors import ConfigError

# Never to wait for the reader of a pipe, neither now nor in a worker; never to get a terminal.
FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class AccessLogs:
    """One descriptor for each path, kept for the workers that are still to come."""

    def __init__(self) -> None:
        self.open: dict[str, int] = {}

    def take(self, wanted: Iterable[AccessLog]) -> None:
        """Open what is not open yet. ConfigError: one of them cannot be had."""
        for one in wanted:
            if one.path not in self.open:
                try:
                    self.open[one.path] = os.open(one.path, FLAGS, FILE_MODE)
                except OSError as error:
                    reason = f"{one.where}: accesslog {one.path}: {error.strerror}"
                    raise ConfigError(reason) from None

    def descriptors(self, logs: Sequence[AccessLog]) -> tuple[int, ...]:
        """Return the descriptors of these, which are open."""
        return tuple(self.open[one.path] for one in logs)

    def reopen(self, paths: Iterable[str]) -> set[str]:
        """Open files anew that have been moved away. Returns those that could be opened."""
        fresh = set()
        for path in paths:
            try:
                fd = os.open(path, FLAGS, FILE_MODE)
            except OSError as error:
                log.error("accesslog %s: %s, going on with the old one", path, error.strerror)
                continue
            if path in self.open:
                os.close(self.open[path])
            self.open[path] = fd
            fresh.add(path)
        return fresh

    def keep(self, paths: Iterable[str]) -> None:
        """Close all but these."""
        for path in self.open.keys() - set(paths):
            os.close(self.open.pop(path))

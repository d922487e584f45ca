"""The files of access logs, as the parent opens them: its workers may not be able to."""

import os
from collections.abc import Iterable, Sequence

from kore._conf.server_schema import AccessLogConfig
from kore._process.log.handlers import log
from kore._process.log.open_file import open_log
from kore.errors import ConfigError


class AccessLogFiles:
    """One descriptor for each path, kept for the workers that are still to come."""

    def __init__(self) -> None:
        self.open: dict[str, int] = {}

    def take(self, wanted: Iterable[AccessLogConfig]) -> None:
        """Open what is not open yet. ConfigError: one of them cannot be had."""
        for one in wanted:
            if one.path not in self.open:
                try:
                    self.open[one.path] = open_log(one.path, needs_reader=True)
                except OSError as error:
                    reason = f"{one.where}: accesslog {one.path}: {error.strerror}"
                    raise ConfigError(reason) from None

    def descriptors(self, logs: Sequence[AccessLogConfig]) -> tuple[int, ...]:
        """Return the descriptors of these, which are open."""
        return tuple(self.open[one.path] for one in logs)

    def reopen(self, paths: Iterable[str]) -> set[str]:
        """Open files anew that have been moved away. Returns those that could be opened."""
        fresh = set()
        for path in paths:
            try:
                fd = open_log(path, needs_reader=True)
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

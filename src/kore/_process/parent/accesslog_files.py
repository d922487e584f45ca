"""Files of access logs, opened by the parent: its workers may not be allowed to."""

import os
from collections.abc import Iterable, Sequence

from kore._conf.server_schema import AccessLogConfig
from kore._process.log.handlers import log
from kore._process.log.open_file import open_log
from kore.errors import ConfigError


class AccessLogFiles:
    """A descriptor for each path, kept for workers that are started later."""

    def __init__(self) -> None:
        self.open: dict[str, int] = {}

    def open_missing(self, wanted: Iterable[AccessLogConfig]) -> None:
        """Open the files that are not open yet. Raises ConfigError if one cannot be opened."""
        for entry in wanted:
            if entry.path not in self.open:
                try:
                    self.open[entry.path] = open_log(entry.path, needs_reader=True)
                except OSError as error:
                    reason = f"{entry.where}: accesslog {entry.path}: {error.strerror}"
                    raise ConfigError(reason) from None

    def get_descriptors(self, wanted: Sequence[AccessLogConfig]) -> tuple[int, ...]:
        """Return the descriptors of access logs that are open."""
        return tuple(self.open[entry.path] for entry in wanted)

    def reopen(self, paths: Iterable[str]) -> set[str]:
        """Open files again that have been moved away. Returns those that could be opened."""
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

    def close_all_except(self, paths: Iterable[str]) -> None:
        """Close all files but those at *paths*."""
        for path in self.open.keys() - set(paths):
            os.close(self.open.pop(path))

"""Requests to reload: many that come while the application is being loaded are one."""

from collections.abc import Callable
from typing import Final

from kore._process.log.handlers import log
from kore._process.parent.eventloop import ParentLoop

# How long no other request may come before the load in progress is given up for a new one.
QUIET_SECONDS: Final = 0.5


class ReloadRequests:
    """Calls *reload* for requests; once for all that come while something *is_loading*."""

    def __init__(
        self, loop: ParentLoop, is_loading: Callable[[], bool], reload: Callable[[], object]
    ) -> None:
        self.loop = loop
        self.is_loading = is_loading
        self.reload = reload
        self.count = 0
        self._waiting = False

    def request(self) -> None:
        """Reload now, or when no other request has come for a moment."""
        if not self.is_loading():
            self.reload()
            return
        self.count += 1
        count = self.count
        if not self._waiting:
            self._waiting = True
            log.info("reload requested while the application is being loaded: it begins anew")
        self.loop.after(QUIET_SECONDS, lambda: self._act(count))

    def _act(self, count: int) -> None:
        if count == self.count and self._waiting:
            self._waiting = False
            self.reload()

    def clear(self) -> None:
        """Forget the requests that wait: a load begins now."""
        self._waiting = False

"""Requests to reload: several that arrive while the application is being loaded count as one."""

from collections.abc import Callable
from typing import Final

from kore._process.eventloop import CallbackLoop
from kore._process.log.handlers import log

# Seconds without a further request after which the load in progress is started again.
QUIET_SECONDS: Final = 0.5


class ReloadRequests:
    """Calls *reload* on request; once for all requests made while something *is_loading*."""

    def __init__(
        self, loop: CallbackLoop, is_loading: Callable[[], bool], reload: Callable[[], object]
    ) -> None:
        self.loop = loop
        self.is_loading = is_loading
        self.reload = reload
        self.count = 0
        self._waiting = False

    def request(self) -> None:
        """Reload now; while the application is being loaded, after QUIET_SECONDS."""
        if not self.is_loading():
            self.reload()
            return
        self.count += 1
        count = self.count
        if not self._waiting:
            self._waiting = True
            log.info("reload requested while the application is being loaded: it begins anew")
        self.loop.after(QUIET_SECONDS, lambda: self._reload_if_quiet(count))

    def _reload_if_quiet(self, count: int) -> None:
        if count == self.count and self._waiting:
            self._waiting = False
            self.reload()

    def clear(self) -> None:
        """Forget waiting requests: a load begins now."""
        self._waiting = False

"""A listening socket; see listener.pyx."""

from collections.abc import Callable
from socket import socket
from typing import Any

from kore._core.accesslog import AccessLog
from kore._core.poller import Poller, Source
from kore._core.request import Request
from kore._core.service import Service

class Listener(Source):
    """A listening socket."""

    def __init__(
        self,
        poller: Poller,
        service: Service,
        sock: socket,
        resolve: Callable[[Request], Any],
        access_log: AccessLog | None = None,
    ) -> None: ...
    def resume(self) -> None: ...

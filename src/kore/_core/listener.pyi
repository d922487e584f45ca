"""A listening socket; see listener.pyx."""

from collections.abc import Callable
from socket import socket
from typing import Any

from kore._core.accesslog import AccessLog
from kore._core.poller import Poller, PollSource
from kore._core.protocol import Protocol
from kore._core.request import Request
from kore._core.server_context import ServerContext

class Listener(PollSource):
    """A listening socket."""

    def __init__(
        self,
        poller: Poller,
        context: ServerContext,
        sock: socket,
        resolve: Callable[[Request], Any],
        access_log: AccessLog | None = None,
        protocol: Callable[[Any, AccessLog | None], Protocol] | None = None,
    ) -> None: ...
    def resume(self) -> None: ...

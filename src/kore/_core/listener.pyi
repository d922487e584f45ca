"""A listening socket; see listener.pyx."""

from socket import socket

from kore._core.first_protocol import FirstProtocol
from kore._core.poller import Poller, PollSource
from kore._core.server_context import ServerContext
from kore._core.tls_layer import TlsFactory

class Listener(PollSource):
    """A listening socket."""

    def __init__(
        self,
        poller: Poller,
        context: ServerContext,
        sock: socket,
        protocol: FirstProtocol,
        *,
        tls: TlsFactory | None = None,
    ) -> None: ...
    def resume(self) -> None: ...

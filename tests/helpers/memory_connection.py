"""A TLS connection in memory: Python's client, and a server of the core that signs remotely."""

import contextlib
import select
import ssl

from kore._core.poller import Poller
from kore._core.testing_handshake import MemoryHandshake
from kore._core.tls_context import TlsServer
from tests.helpers.procs import PATIENCE

NAME = "localhost"
CIPHERS = ":".join(
    f"ECDHE-{kind}-{suite}"
    for kind in ("ECDSA", "RSA")
    for suite in ("AES128-GCM-SHA256", "AES256-GCM-SHA384")
)


class MemoryConnection:
    """A client and a server that have begun a handshake; nothing has been signed yet."""

    def __init__(self, server: TlsServer, context: ssl.SSLContext) -> None:
        self.server = MemoryHandshake(server)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = context.wrap_bio(self.incoming, self.outgoing, server_hostname=NAME)
        self.is_client_done = False
        self.carry()

    def carry(self) -> None:
        """Carry the bytes of both to the other, until both wait."""
        while True:
            if not self.is_client_done:
                with contextlib.suppress(ssl.SSLWantReadError):
                    self.client.do_handshake()
                    self.is_client_done = True
            if not self.outgoing.pending:
                return
            self.incoming.write(self.server.receive(self.outgoing.read()))

    def resume(self) -> None:
        """Have the server go on, as the callback of its signature asks for."""
        self.incoming.write(self.server.resume())
        self.carry()

    @property
    def is_done(self) -> bool:
        """Whether both sides have finished the handshake."""
        return self.is_client_done and self.server.state == "done"


def wait_for_events(poller: Poller) -> None:
    """Wait for an event, or for a time limit of a key channel, and handle it."""
    assert select.select([poller.fileno()], [], [], PATIENCE)[0]
    poller.dispatch()

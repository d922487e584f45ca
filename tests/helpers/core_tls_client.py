"""A TLS client of the core that never blocks, and the server's side of it with a local key."""

import contextlib
import functools
import socket
import ssl

from kore._core.testing_tls import LocalKey
from kore._core.tls_context import TlsContext, TlsServer
from tests.helpers.core_client import Client
from tests.helpers.remote_keys import CIPHERS, NAME, certificate, client_context

# OpenSSL's name of the end of a connection without close_notify.
UNEXPECTED_EOF = "UNEXPECTED_EOF_WHILE_READING"


def local_server(kind: str = "p256") -> TlsServer:
    """Return the TLS of a server whose key is in this process."""
    server = TlsServer(min_version="1.2", max_version="1.3", ciphers=CIPHERS)
    found = certificate(kind)
    context = TlsContext(server, NAME, [(found.chain, LocalKey(found.key_pem))])
    server.set_domain(NAME, context)
    return server


@functools.cache
def trusting_context(version: str = "1.3") -> ssl.SSLContext:
    """Return the context of clients that trust it."""
    return client_context(version)


class TlsCoreClient(Client):
    """One TLS connection to the core, read without blocking."""

    def __init__(
        self, sock: socket.socket, methods: tuple[str, ...], context: ssl.SSLContext
    ) -> None:
        super().__init__(sock, methods)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=NAME)
        self.unsent = b""
        self.established = False
        self.error: ssl.SSLError | None = None

    def step(self) -> None:
        """Go on with the handshake as far as it goes."""
        if self.error or self.established:
            return
        self.pull()
        try:
            self.tls.do_handshake()
            self.established = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.error = error
        self.flush()

    def seal(self, data: bytes, record_size: int = 1 << 14) -> bytes:
        """Return *data* in records that are not sent."""
        for at in range(0, len(data), record_size):
            self.tls.write(data[at : at + record_size])
        return self.outgoing.read()

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.unsent += data
        self.flush()

    def flush(self) -> None:
        """Send what is ready, as far as the socket takes it."""
        self.unsent += self.outgoing.read()
        self.unsent = self.unsent[super().send(self.unsent) :]

    def send(self, data: bytes) -> int:
        """Send what the socket takes at once, and say how much that was."""
        if self.unsent:
            self.flush()
        if self.unsent or not data:
            return 0
        taken = data[: 1 << 14]
        with contextlib.suppress(ssl.SSLError):
            self.tls.write(taken)
        self.flush()
        return len(taken)

    def pull(self) -> int:
        """Receive records; return how many bytes came."""
        data = super().take()
        self.incoming.write(data)
        if self.end and not self.incoming.eof:
            self.incoming.write_eof()
        return len(data)

    def take(self, most: int = 1 << 30) -> bytes:
        """Take what has come."""
        if self.end:
            return b""
        self.pull()
        end, self.end = self.end, ""
        taken = b""
        try:
            while data := self.tls.read(min(most - len(taken), 1 << 16)):
                taken += data
                if len(taken) == most:
                    return taken
            self.end = "closed"
        except ssl.SSLWantReadError:
            if end == "reset":
                self.end = end
        except ssl.SSLZeroReturnError:
            self.end = "closed"
        except ssl.SSLError as error:  # SSLEOFError, by newer versions of Python only
            if not isinstance(error, ssl.SSLEOFError) and error.reason != UNEXPECTED_EOF:
                raise
            self.end = end if end == "reset" else "truncated"
        return taken

    def close_notify(self) -> None:
        """End our direction of TLS, not of TCP."""
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLError):
            self.tls.unwrap()
        self.flush()

    def finish(self) -> None:
        """End our direction."""
        self.close_notify()
        super().finish()


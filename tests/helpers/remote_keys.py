"""A TLS server whose private keys are at the other end of a socket, and its clients, in memory.

The test carries the bytes of handshakes, and decides when the key process signs. `KeyPair` has the
signer in this process, `SigningProcess` starts one in another.
"""

import functools
import select
import socket
import ssl
from typing import Self

from kore._core.key_channel import KeyChannel
from kore._core.poller import Poller
from kore._core.remote_key import RemoteKey
from kore._core.signing_service import WorkerRequests
from kore._core.tls_context import TlsContext, TlsServer
from kore._process.keymgr.signer import Signer
from tests.helpers.certificates import Certificate, CertificateAuthority
from tests.helpers.memory_connection import CIPHERS, NAME, MemoryConnection, wait_for_events


@functools.cache
def authority() -> CertificateAuthority:
    """Return the authority of all certificates here."""
    return CertificateAuthority()


@functools.cache
def certificate(kind: str, number: int = 0) -> Certificate:
    """Return the certificate of a server with a key of that kind."""
    return authority().issue(NAME, kind=kind, number=number)


def client_context(version: str = "1.3") -> ssl.SSLContext:
    """Return the context of a client that has this version of TLS and no other."""
    context = ssl.create_default_context(cadata=authority().pem.decode())
    number = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
    context.minimum_version = context.maximum_version = number
    # Older versions of Python take the end of a connection for a close_notify.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    return context


class KeyPair:
    """A worker's channel, keys and TLS server, and the signer at the other end of the channel."""

    def __init__(self, *kinds: str, timeout_ms: int = 60_000) -> None:
        self.poller = Poller()
        own, self.other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel = KeyChannel(self.poller, own.detach(), timeout_ms)
        self.kinds = kinds
        self.signer = Signer()
        self.keys = []
        for key_id, kind in enumerate(kinds, 1):
            self.signer.set_key(key_id, certificate(kind).key)  # type: ignore[arg-type]
            self.keys.append(RemoteKey(self.channel, key_id, certificate(kind).chain))
        self.requests = WorkerRequests(self.other, self.signer, range(1, len(kinds) + 1))
        self.server = TlsServer(min_version="1.2", max_version="1.3", ciphers=CIPHERS)
        pairs = [(certificate(kind).chain, key) for kind, key in zip(kinds, self.keys, strict=True)]
        self.context = TlsContext(self.server, NAME, pairs)
        self.server.set_domain(NAME, self.context)

    def connect(self, context: ssl.SSLContext | None = None) -> MemoryConnection:
        """Return a connection whose server waits for its signature."""
        return MemoryConnection(self.server, context or client_context())

    def sign(self, *connections: MemoryConnection) -> None:
        """Sign what has been asked for, and have the handshakes of *connections* go on."""
        while select.select([self.other], [], [], 0)[0]:
            self.requests.serve()
        self.finish(*connections)

    def finish(self, *connections: MemoryConnection) -> None:
        """Handle events of the channel, and have *connections* go on whose callback was called."""
        self.poller.dispatch()
        for connection in connections:
            if connection.server.resumable_count:
                connection.resume()

    def wait(self) -> None:
        """Wait for an event of the channel, or for its time limit, and handle it."""
        wait_for_events(self.poller)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close everything."""
        self.poller.close()
        self.other.close()

"""TLS handshakes in memory: Python's ssl module as the client, contexts of `kore` as the server."""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field

from kore._core.testing_tls import LocalKey, MemoryConnection
from kore._core.tls_context import TlsContext, TlsServer
from tests.helpers.certificates import Certificate
from tests.helpers.tls_client import alert_of

CIPHERS = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def make_server(
    *,
    ticket_keys: Iterable[bytes] = (),
    versions: tuple[str, str] = ("1.2", "1.3"),
    ciphers: str = CIPHERS,
    domains: Iterable[str] = (),
) -> TlsServer:
    """Return a server without contexts."""
    lowest, highest = versions
    server = TlsServer(min_version=lowest, max_version=highest, ciphers=ciphers, domains=domains)
    server.set_ticket_keys(list(ticket_keys))
    return server


def add_domain(
    server: TlsServer,
    name: str,
    *certificates: Certificate,
    client_ca: bytes = b"",
    verify_depth: int = 1,
    crl: bytes = b"",
) -> TlsContext:
    """Give a domain of the server a new context."""
    pairs = [(one.chain, LocalKey(one.key_pem)) for one in certificates]
    context = TlsContext(
        server, name, pairs, client_ca=client_ca, verify_depth=verify_depth, crl=crl
    )
    server.set_domain(name, context)
    return context


def client_context(version: str = "1.3", ca: bytes = b"") -> ssl.SSLContext:
    """Return the context of a client that speaks this version; without *ca* it trusts all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = VERSIONS[version]
    if ca:
        context.load_verify_locations(cadata=ca.decode())
    else:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@dataclass
class Handshake:
    """A handshake in memory, and the connection that it has made or has not."""

    server: TlsServer
    context: ssl.SSLContext
    name: str | None = None
    session: ssl.SSLSession | None = None
    alert: str = field(init=False, default="")  # which the client was sent
    error: str = field(init=False, default="")  # of the client itself

    def __post_init__(self) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = self.context.wrap_bio(
            self.incoming, self.outgoing, server_hostname=self.name, session=self.session
        )
        self.connection = MemoryConnection(self.server)
        self._run()

    def _run(self) -> None:
        while self.connection.failure is None:
            try:
                self.client.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                self.error = str(error)
                return
            data = self.outgoing.read()
            if not data:
                break
            self.incoming.write(self.connection.shake_hands(data))
        self._exchange()

    def _exchange(self) -> None:
        """Have the client read a byte of the server, and the tickets or the alert before it."""
        if self.connection.established:
            self.incoming.write(self.connection.write(b"x"))
        try:
            self.client.read(1)
        except ssl.SSLWantReadError:
            self.error = "nothing came"
        except ssl.SSLError as error:
            self.alert = alert_of(error)

    @property
    def accepted(self) -> bool:
        """Whether the client would get a response."""
        return self.connection.established and not (self.alert or self.error)

    @property
    def resumed(self) -> bool:
        """Whether both ends have resumed a session."""
        return self.accepted and self.connection.reused and bool(self.client.session_reused)

    @property
    def new_session(self) -> ssl.SSLSession | None:
        """The session that the client can resume; None: it was given no ticket."""
        found = self.client.session
        return found if found is not None and found.has_ticket else None

"""TLS of servers and their domains; see tls_context.pyx."""

from collections.abc import Iterable

from kore._core.poller import Poller
from kore._core.tls_key import TlsKey
from kore._core.tls_layer import TlsFactory

class TlsServer(TlsFactory):
    """All TLS connections of one server in this worker."""

    def __init__(
        self, *, min_version: str, max_version: str, ciphers: str, domains: Iterable[str] = ()
    ) -> None: ...
    @property
    def groups(self) -> list[str]: ...
    def set_domain(self, name: str, context: TlsContext) -> None: ...
    def set_default(self, name: str) -> None: ...
    def close_revoked(self, poller: Poller) -> int: ...
    def set_ticket_keys(self, keys: Iterable[bytes]) -> None: ...

class TlsContext:
    """TLS of one domain: its certificates, and what it asks of clients."""

    name: str

    def __init__(
        self,
        server: TlsServer,
        name: str,
        certificates: Iterable[tuple[bytes, TlsKey]],
        *,
        client_ca: bytes = b"",
        verify_depth: int = 1,
        crl: bytes = b"",
    ) -> None: ...

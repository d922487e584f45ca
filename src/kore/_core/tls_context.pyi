"""The TLS settings of servers and their domains; see tls_context.pyx."""

from collections.abc import Sequence

from kore._core.tls_key import TlsKey

class TlsServer:
    """All TLS connections of one server in this worker."""

    def __init__(self, *, min_version: str, max_version: str, ciphers: str) -> None: ...
    def set_domain(self, name: str, context: TlsContext) -> None: ...

class TlsContext:
    """The certificates of a domain. Raises ValueError with OpenSSL's reason."""

    name: str

    def __init__(
        self, server: TlsServer, name: str, certificates: Sequence[tuple[bytes, TlsKey]]
    ) -> None: ...

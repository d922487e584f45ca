"""A server's side of a TLS handshake in memory, for tests; see testing_handshake.pyx."""

from kore._core.tls_context import TlsServer

class MemoryHandshake:
    """One TLS connection of a server, whose bytes the test carries."""

    state: str
    errors: list[str]
    resumable_count: int
    def __init__(self, server: TlsServer) -> None: ...
    def receive(self, data: bytes) -> bytes: ...
    def resume(self) -> bytes: ...
    def close(self) -> None: ...

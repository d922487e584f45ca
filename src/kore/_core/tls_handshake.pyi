"""A connection during its TLS handshake; see tls_handshake.pyx."""

from kore._core.protocol import Protocol

class HandshakeLog:
    """Logs failed handshakes of a listener: every cause once a minute."""

class TlsHandshake(Protocol):
    """A connection during its TLS handshake."""

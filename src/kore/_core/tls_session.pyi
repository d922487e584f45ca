"""The TLS of one connection, by OpenSSL; see tls_session.pyx."""

from kore._core.tls_layer import TlsLayer

class TlsSession(TlsLayer):
    """The TLS of one connection, by OpenSSL."""

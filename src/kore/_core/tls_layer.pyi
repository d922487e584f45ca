"""The seam between a socket's stream and TLS; see tls_layer.pyx."""

class TlsLayer:
    """The TLS of one connection."""

    server_name: str
    domain: str
    named: bool

class TlsFactory:
    """Makes the TLS of each connection that a listener accepts."""

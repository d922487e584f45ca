"""The key of a certificate, as OpenSSL is given it; see tls_key.pyx."""

class TlsKey:
    """A handle of OpenSSL's for a key, which signs handshakes."""

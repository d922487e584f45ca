"""Keys in the process that uses them, for tests; see testing_tls.pyx."""

from kore._core.tls_key import TlsKey

class LocalKey(TlsKey):
    """A private key from PEM, for `TlsContext`. Raises ValueError if it cannot be read."""

    def __init__(self, pem: bytes) -> None: ...

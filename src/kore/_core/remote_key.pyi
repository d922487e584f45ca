"""Private keys that are in the key process; see remote_key.pyx."""

from kore._core.key_channel import KeyChannel
from kore._core.tls_key import TlsKey

class RemoteKey(TlsKey):
    """A private key in the key process."""

    def __init__(self, channel: KeyChannel, key_id: int, certificate_pem: bytes) -> None: ...

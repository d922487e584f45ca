"""A client's socket from accept to close; see transport.pyx."""

from kore._core.socket_stream import SocketStream

class Transport(SocketStream):
    """Drives one connection; a `Protocol` says what its bytes mean."""

    def resume(self) -> None: ...

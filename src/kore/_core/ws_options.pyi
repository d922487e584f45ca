"""What may be said over a WebSocket; see ws_options.pyx."""

from typing_extensions import Buffer

class WebSocketOptions:
    """What one route allows its WebSockets."""

    def __init__(
        self,
        *,
        maxframe: int,
        maxmessage: int,
        buffer_max: int,
        timeout: float,
        ping: float,
        close_timeout: float,
        raises: bool,
        label: bytes,
    ) -> None: ...
    @property
    def maxmessage(self) -> int: ...

def build_frame(op: int, data: str | Buffer) -> bytes: ...

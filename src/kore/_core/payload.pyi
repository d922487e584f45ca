"""What may be sent over a WebSocket; see payload.pyx."""

from typing_extensions import Buffer

def frame(op: int, data: str | Buffer) -> bytes: ...

"""Send one WebSocket message to many connections; see broadcast.pyx."""

from kore._core.connection import Connection

def broadcast_frame(members: list[Connection], frame: bytes, source: Connection | None) -> None: ...

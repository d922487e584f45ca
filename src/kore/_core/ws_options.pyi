"""Limits of a route's WebSockets, and checks of what an application sends; see ws_options.pyx."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import Buffer

class WebSocketOptions:
    """Limits of the WebSockets of one route."""

    def __init__(self, limits: Mapping[str, Any], *, label: bytes) -> None: ...

def build_frame(op: int, data: str | Buffer) -> bytes: ...

"""A connection after its upgrade; see websocket.pyx."""

from asyncio import Task
from typing import Any

class Terms:
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

class WebSocket:
    """The WebSocket of one connection."""

    def spoiled(self, error: BaseException) -> None: ...
    def waits(self, task: Task[Any]) -> None: ...
    def carry_on(self, task: Task[Any]) -> None: ...

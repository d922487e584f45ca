"""A connection after its upgrade; see websocket.pyx."""

from asyncio import Task
from typing import Any

class WebSocket:
    """The WebSocket of one connection."""

    def spoiled(self, error: BaseException) -> None: ...
    def waits(self, task: Task[Any]) -> None: ...
    def carry_on(self, task: Task[Any]) -> None: ...

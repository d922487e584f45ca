"""A connection after its upgrade; see websocket.pyx."""

from asyncio import Task
from typing import Any

from kore._core.sender import MessageSender

class WebSocket(MessageSender):
    """The WebSocket of one connection."""

    def spoiled(self, error: BaseException) -> None: ...
    def waits(self, task: Task[Any]) -> None: ...
    def carry_on(self, task: Task[Any]) -> None: ...

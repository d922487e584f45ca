"""A connection after its upgrade; see websocket.pyx."""

from asyncio import Task
from typing import Any

from kore._core.sender import MessageSender

class WebSocket(MessageSender):
    """The WebSocket of one connection."""

    def report_callback_error(self, error: BaseException) -> None: ...
    def add_task(self, task: Task[Any]) -> None: ...
    def resume_after(self, task: Task[Any]) -> None: ...

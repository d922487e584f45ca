"""Outgoing WebSocket messages of one connection; see sender.pyx."""

from kore._core.protocol import Protocol

class MessageSender(Protocol):
    """Sends the messages of one WebSocket."""

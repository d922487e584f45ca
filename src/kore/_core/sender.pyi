"""Outgoing WebSocket messages of one connection; see sender.pyx."""

class MessageSender:
    """Sends the messages of one WebSocket."""

"""A worker's end of the channel to its parent, on the worker's event loop."""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from kore._process.ipc.channel import Channel
from kore._process.ipc.messages import Message, ProtocolError, RoutedMessage

MessageHandlers: TypeAlias = Mapping[type[Message], Callable[[Any], object]]


class ParentLink:
    """Sends messages to the parent at any time, receives them after open()."""

    def __init__(self, channel: Channel, loop: AbstractEventLoop) -> None:
        self.channel = channel
        self.loop = loop
        self.handlers: MessageHandlers = {}
        self.on_eof: Callable[[], object] = lambda: None

    def open(self, handlers: MessageHandlers, on_eof: Callable[[], object]) -> None:
        """Call *handlers* with messages of their types, and *on_eof* when the parent has ended."""
        self.handlers, self.on_eof = handlers, on_eof
        self.loop.add_reader(self.channel.fileno(), self.receive)

    def receive(self) -> None:
        """Handle a batch of messages; malformed ones, and types without a handler, are ignored."""
        for count in range(self.channel.batch_size()):
            try:
                message = self.channel.receive_one()
            except ProtocolError:
                continue
            if message is None:
                break
            handle = self.handlers.get(type(message))
            if handle is not None:
                handle(message)
            if count == 1:
                self.channel.saw_backlog()
        if self.channel.eof:
            self.on_eof()

    def send(self, message: Message) -> None:
        """Send a message to the parent; what does not fit is sent when there is room."""
        self.channel.send(message)
        self._watch_writable()

    def send_routed(self, message: RoutedMessage) -> None:
        """Send a message for another worker, after all messages for the parent itself."""
        self.channel.send_low_priority(message)
        self._watch_writable()

    def flush(self) -> None:
        """Send what did not fit before."""
        self.channel.flush()
        if not self.channel.wants_write:
            self.loop.remove_writer(self.channel.fileno())

    def _watch_writable(self) -> None:
        if self.channel.wants_write:
            self.loop.add_writer(self.channel.fileno(), self.flush)

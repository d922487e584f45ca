"""What a worker and its parent say to each other, on the worker's event loop."""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from kore._process.ipc.channel import Channel
from kore._process.ipc.messages import Message, ProtocolError, RoutedMessage

Takers: TypeAlias = Mapping[type[Message], Callable[[Any], object]]


class ParentLink:
    """The worker's end of the channel. Says at any time, hears after open()."""

    def __init__(self, channel: Channel, loop: AbstractEventLoop) -> None:
        self.channel = channel
        self.loop = loop
        self.takers: Takers = {}
        self.orphaned: Callable[[], object] = lambda: None

    def open(self, takers: Takers, orphaned: Callable[[], object]) -> None:
        """Have *takers* called with what the parent says, and *orphaned* when it is gone."""
        self.takers, self.orphaned = takers, orphaned
        self.loop.add_reader(self.channel.fileno(), self.hear)

    def hear(self) -> None:
        """Take what the parent says; what nobody here waits for is left alone."""
        for taken in range(self.channel.batch_size()):
            try:
                message = self.channel.receive_one()
            except ProtocolError:
                continue
            if message is None:
                break
            take = self.takers.get(type(message))
            if take is not None:
                take(message)
            if taken == 1:
                self.channel.saw_backlog()
        if self.channel.eof:
            self.orphaned()

    def say(self, message: Message) -> None:
        """Send the parent a message; what does not fit now goes when there is room."""
        self.channel.send(message)
        self._watch()

    def post(self, parcel: RoutedMessage) -> None:
        """Have the parent carry a parcel, after all that it is told itself."""
        self.channel.send_low_priority(parcel)
        self._watch()

    def flush(self) -> None:
        """Send the parent what did not fit at once."""
        self.channel.flush()
        if not self.channel.wants_write:
            self.loop.remove_writer(self.channel.fileno())

    def _watch(self) -> None:
        if self.channel.wants_write:
            self.loop.add_writer(self.channel.fileno(), self.flush)

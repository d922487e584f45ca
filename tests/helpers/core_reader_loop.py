"""The part of an event loop that a poller uses."""

from collections.abc import Callable


class Loop:
    """What a poller asks of an event loop: to be called soon."""

    def __init__(self, call_soon: Callable[..., object]) -> None:
        self.call_soon = call_soon
        self.reader = -1

    def add_reader(self, handle: int, call: object) -> None:
        self.reader = handle

    def remove_reader(self, handle: int) -> None:
        assert self.reader == handle
        self.reader = -1

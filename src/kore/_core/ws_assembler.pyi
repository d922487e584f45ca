"""WebSocket messages; see ws_assembler.pyx."""

from collections.abc import Callable

class MessageAssembler:
    """The messages of one client."""

    kind: int
    payload: str | bytes

class Messages:
    """Feed bytes, get messages."""

    rest: bytes
    def __init__(
        self,
        *,
        frame_max: int = 1048576,
        message_max: int = 1048576,
        inflate: Callable[[bytes, int], bytes] | None = None,
    ) -> None: ...
    def feed(self, data: bytes) -> list[tuple[int, str | bytes] | int]: ...

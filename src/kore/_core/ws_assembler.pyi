"""Assemble WebSocket messages from frames; see ws_assembler.pyx."""

class MessageAssembler:
    """The incoming messages of one WebSocket."""

    @property
    def opcode(self) -> int: ...
    @property
    def payload(self) -> str | bytes: ...

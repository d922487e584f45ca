"""The chunked transfer coding; see chunked.pyx."""

class ChunkReader:
    """Feed bytes, get the body's."""

    done: bool
    def feed(self, data: bytes) -> tuple[bytes, int]: ...

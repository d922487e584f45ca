"""A body on its way to somewhere else, as far as the core cares."""


class Sink:
    """Where a body goes that is not kept in memory; it takes so many pieces at a time."""

    def __init__(self, least: int, room: int) -> None:
        self.min_chunk = least
        self.room = room
        self.pieces: list[bytes] = []
        self.said: list[str] = []

    def feed(self, piece: bytes) -> bool:
        self.pieces.append(piece)
        return len(self.pieces) % self.room > 0

    def end(self) -> None:
        self.said.append("end")

    def stop(self) -> None:
        self.said.append("stop")

    def read(self, place: int, length: int) -> bytes:
        return b"".join(self.pieces)[place : place + length]

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

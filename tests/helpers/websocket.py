"""A WebSocket client that may do everything wrong: bytes out, checked frames in."""

import base64
import contextlib
import hashlib
import random
import socket
import time
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final, NamedTuple, Self

from tests.helpers.build import get
from tests.helpers.procs import PATIENCE

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK: Final = b"\x11\x22\x33\x44"
KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
MAGIC: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ACCEPT: Final = base64.b64encode(hashlib.sha1((KEY + MAGIC).encode()).digest()).decode()
# Limits of a route's WebSockets, as `WebSocketOptions` takes them.
LIMITS: Final = {
    "maxframe": 1 << 20,
    "maxmessage": 1 << 20,
    "buffer_max": 1 << 20,
    "timeout": 0,
    "ping": 0,
    "close_timeout": 5,
    "buffer_full": "close",
}
ASKING: Final = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    f"Sec-WebSocket-Key: {KEY}",
    "Sec-WebSocket-Version: 13",
)


def frame(
    op: int, data: bytes | str = b"", *, fin: bool = True, rsv: int = 0, mask: bytes = MASK
) -> bytes:
    """Return a frame; *rsv* as a number from 0 to 7, no *mask* for one that is not masked."""
    raw = data.encode() if isinstance(data, str) else data
    first = bytes([op | 0x80 * fin | rsv << 4])
    return first + length(len(raw), masked=bool(mask)) + mask + xored(raw, mask)


def length(size: int, *, masked: bool = True, form: int = 0) -> bytes:
    """Return a length in its shortest form, or in one of 2 or 8 bytes."""
    bit = 0x80 * masked
    if size < 126 and not form:
        return bytes([bit | size])
    if size < 1 << 16 and form < 8:
        return bytes([bit | 126]) + size.to_bytes(2, "big")
    return bytes([bit | 127]) + size.to_bytes(8, "big")


def xored(data: bytes, mask: bytes) -> bytes:
    """Mask, or undo that."""
    if not mask:
        return data
    whole = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(data), "big")


def fragments(op: int, *pieces: bytes | str) -> list[bytes]:
    """Return a message in several frames."""
    last = len(pieces) - 1
    return [frame(0 if n else op, piece, fin=n == last) for n, piece in enumerate(pieces)]


def closing(code: int | None = None, reason: bytes | str = b"") -> bytes:
    """Return a close frame."""
    raw = reason.encode() if isinstance(reason, str) else reason
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + raw)


def cut(data: bytes, rng: random.Random, pieces: int = 6) -> list[bytes]:
    """Return *data* in pieces of any sizes."""
    places = sorted(rng.randrange(len(data) + 1) for _ in range(pieces - 1))
    return [data[start:end] for start, end in pairwise([0, *places, len(data)]) if end > start]


class Got(NamedTuple):
    """A frame of the server: always whole, never masked, its length in the shortest form."""

    op: int
    data: bytes
    packed: bool = False

    @property
    def code(self) -> int | None:
        """The code of a close frame, None when it has none."""
        assert self.op == CLOSE, self
        return int.from_bytes(self.data[:2], "big") if self.data else None

    @property
    def reason(self) -> str:
        """The reason of a close frame."""
        assert self.op == CLOSE, self
        return self.data[2:].decode()


class Peer:
    """One WebSocket, from its handshake on. `end` says what became of the connection."""

    def __init__(
        self,
        address: tuple[str, int],
        path: str = "/",
        *fields: str,
        receive_buffer: int = 0,
        after: bytes = b"",
    ) -> None:
        """Shake hands; *after* is sent in the same segment."""
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)
        self.received = b""
        self.end = "open"
        self.send(get(path, *ASKING, *fields) + after)
        self.head = self._head()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def _head(self) -> str:
        while b"\r\n\r\n" not in self.received and self._receive():
            pass
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head + self.received
        return head.decode("latin-1")

    def field(self, name: str) -> str | None:
        """Return a field of the handshake's answer."""
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name:
                return value
        return None

    # ---- out

    def send(self, *pieces: bytes) -> None:
        """Send the pieces. A server that has hung up meanwhile is no error here."""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for piece in pieces:
                self.socket.sendall(piece)

    def send_apart(self, pieces: Iterable[bytes]) -> None:
        """Send pieces that the server mostly sees one by one."""
        for piece in pieces:
            self.send(piece)
            time.sleep(0.0002)

    def flood(self, piece: bytes, most: int = 64 << 20) -> int:
        """Send *piece* again and again until the server reads no more; return how often it went."""
        self.socket.settimeout(1)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent * len(piece) < most:
                self.socket.sendall(piece)
                sent += 1
        self.socket.settimeout(PATIENCE)
        assert sent * len(piece) < most, "it takes all there is"
        return sent

    def text(self, data: str) -> None:
        """Send a text."""
        self.send(frame(TEXT, data))

    def finish(self) -> None:
        """End our direction."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Go away with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    # ---- in

    def _receive(self) -> bool:
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionResetError:
            self.end = "reset"
            return False
        self.received += data
        self.end = self.end if data else "closed"
        return bool(data)

    def next(self) -> Got | None:
        """Return the next frame, None at the end of the connection."""
        while True:
            found = parsed(self.received)
            if found is not None:
                got, size = found
                self.received = self.received[size:]
                return got
            if not self._receive():
                assert not self.received, f"ended inside a frame: {self.received[:20]!r}"
                return None

    def got(self) -> Got:
        """Return the next frame: there has to be one."""
        found = self.next()
        assert found is not None, f"{self.end} without another frame"
        return found

    def hears(self) -> str:
        """Return the next frame, a text."""
        found = self.got()
        assert found.op == TEXT, found
        return found.data.decode()

    def take(self, count: int) -> list[str]:
        """Return so many texts."""
        return [self.hears() for _ in range(count)]

    def rest(self) -> list[Got]:
        """Return all frames up to the end of the connection."""
        return list(self)

    def __iter__(self) -> Iterator[Got]:
        while (found := self.next()) is not None:
            yield found

    def closed(self) -> Got:
        """Return the close frame, which is all that still comes; the end is no reset."""
        (found,) = self.rest()
        assert (found.op, self.end) == (CLOSE, "closed"), (found, self.end)
        return found

    def until_closed(self) -> Got:
        """Return the close frame, after whatever comes before it."""
        *_, found = self.rest()
        assert (found.op, self.end) == (CLOSE, "closed"), (found, self.end)
        return found

    def leaves(self, code: int | None = 1000) -> Got:
        """Close in good order; return the answer to that."""
        self.send(closing(code))
        return self.closed()

    def is_open(self) -> bool:
        """Whether a ping is answered, and nothing else comes before that."""
        self.send(frame(PING, b"open?"))
        return self.got() == Got(PONG, b"open?")


def parsed(data: bytes) -> tuple[Got, int] | None:
    """Return a server's frame and its size, None when it is not complete."""
    if len(data) < 2:
        return None
    first, second = data[0], data[1]
    assert first & 0x80, "a server's message is one frame here"
    assert not first & 0x30, "reserved bits"
    assert not second & 0x80, "a server does not mask: RFC 6455 section 5.1"
    wide = {126: 2, 127: 8}.get(second, 0)
    size = int.from_bytes(data[2 : 2 + wide], "big") if wide else second
    whole = 2 + wide + size
    if len(data) < 2 + wide or len(data) < whole:
        return None
    assert data[1 : 2 + wide] == length(size, masked=False), "not the shortest length"
    return Got(first & 0x0F, data[2 + wide : whole], bool(first & 0x40)), whole

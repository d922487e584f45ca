"""A client on a raw socket: sends any bytes in any pieces, and sees how the connection ended."""

import contextlib
import enum
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable
from typing import Self

from tests.helpers.procs import PATIENCE
from tests.helpers.response_reader import Answer, Reader


class Pause(float):
    """Seconds between two segments."""


class Mark(enum.Enum):
    """What can be done between two segments beside waiting."""

    HALF_CLOSE = "end our direction only"
    CORK = "hold the segments back until the end of our direction"
    QUIET = "nothing may have been answered so far"
    CONTINUE = "wait for the interim answer"


Segment = bytes | Pause | Mark
GAP = Pause(0.03)


class SilenceError(AssertionError):
    """The server owed bytes and sent none."""


class Client:
    """One connection. `end` says what became of it: open, closed (FIN) or reset."""

    def __init__(
        self,
        address: tuple[str, int],
        methods: Iterable[str] = (),
        *,
        receive_buffer: int = 0,
    ) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:  # before connect, or the window is already announced
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(PATIENCE)
        self.born = time.monotonic()
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        self.reader = Reader(methods)
        self.taken = 0
        self.end = "open"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def age(self) -> float:
        """The seconds since it began to connect: no less than any time the server has measured."""
        return time.monotonic() - self.born

    def close(self) -> None:
        """Go away with a FIN (a reset, when something was left unread)."""
        self.socket.close()

    def reset(self) -> None:
        """Go away with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, *segments: Segment) -> None:
        """Send the segments in order. A server that stops reading us is not an error here."""
        for segment in segments:
            if isinstance(segment, Pause):
                time.sleep(segment)
            elif isinstance(segment, Mark):
                self._do(segment)
            else:
                self._send(segment)

    def send_bytewise(self, data: bytes, piece: int = 1) -> None:
        """Send *data* in pieces that the server mostly sees one by one."""
        for at in range(0, len(data), piece):
            self._send(data[at : at + piece])
            time.sleep(0.0002)

    def _send(self, data: bytes) -> None:
        # What the server said before it stopped reading is still to be read.
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            self.socket.sendall(data)

    def _do(self, mark: Mark) -> None:
        match mark:
            case Mark.HALF_CLOSE:
                with contextlib.suppress(OSError):
                    self.socket.shutdown(socket.SHUT_WR)
            case Mark.CORK:
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            case Mark.QUIET:
                assert not self.hears(0.05), f"answered too early: {self.socket.recv(200)!r}"
            case Mark.CONTINUE:
                self.wait(lambda: any(a.status == 100 for a in self.reader.answers))

    def hears(self, seconds: float) -> bool:
        """Say whether anything (bytes or an end) comes within that time."""
        return bool(select.select([self.socket], [], [], seconds)[0])

    def wait(self, enough: Callable[[], object]) -> None:
        """Read until *enough()* is true or the server has ended the connection."""
        while not enough() and self.end == "open":
            self.receive()

    def receive(self, size: int = 1 << 18) -> None:
        """Read once."""
        try:
            data = self.socket.recv(size)
        except ConnectionResetError:
            self._ended("reset")
        except TimeoutError:
            so_far = [answer.status for answer in self.reader.answers]
            raise SilenceError(f"nothing came for {PATIENCE} s; so far {so_far}") from None
        else:
            self.reader.feed(data) if data else self._ended("closed")

    def _ended(self, how: str) -> None:
        self.end = how
        self.reader.finish()

    def answers(self, count: int) -> list[Answer]:
        """Return the next *count* final answers, fewer if the server ended before."""
        start = self.taken
        self.wait(lambda: len(self.reader.final) >= start + count)
        self.taken = min(start + count, len(self.reader.final))
        return self.reader.final[start : self.taken]

    def answer(self) -> Answer:
        """Return the next final answer."""
        found = self.answers(1)
        assert found, f"{self.end} without an answer"
        return found[0]

    def ask(self, request: bytes, method: str | None = None) -> Answer:
        """Send one request and return its answer."""
        self.reader.methods.append(method or request.split(b" ", 1)[0].decode("latin-1"))
        self.send(request)
        return self.answer()

    def until_ended(self) -> str:
        """Read until the server has ended the connection; say how."""
        self.wait(lambda: False)
        return self.end

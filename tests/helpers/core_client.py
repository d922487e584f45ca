"""Requests as bytes, and a client of the core that never blocks."""

import array
import fcntl
import socket
import struct
import termios
from typing import Final

from tests.helpers.response_reader import Answer, Reader

RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


def get(path: str = "/", *fields: str, version: str = "1.1", method: str = "GET") -> bytes:
    """Return a request without a body."""
    lines = [f"{method} {path} HTTP/{version}", "Host: h", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(body: bytes, path: str = "/", *fields: str) -> bytes:
    """Return a request with a body."""
    return get(path, f"Content-Length: {len(body)}", *fields, method="POST") + body


class Client:
    """One connection to the core, read without blocking."""

    def __init__(self, sock: socket.socket, methods: tuple[str, ...] = ()) -> None:
        self.socket = sock
        self.socket.setblocking(False)
        self.reader = Reader(methods)
        self.received = 0
        self.end = ""  # "closed" or "reset"

    def send(self, data: bytes) -> int:
        """Send what the socket takes at once, and say how much that was."""
        try:
            return self.socket.send(data) if data else 0
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return 0

    def read(self, most: int = 1 << 30) -> bytes:
        """Take what has come, and understand it."""
        taken = self.take(most)
        self.reader.feed(taken)
        if self.end:
            self.reader.finish()
        return taken

    def take(self, most: int = 1 << 30) -> bytes:
        """Take what has come."""
        taken = b""
        while len(taken) < most and not self.end:
            try:
                data = self.socket.recv(min(most - len(taken), 1 << 20))
            except BlockingIOError:
                break
            except ConnectionResetError:
                self.end = "reset"
            else:
                taken += data
                self.end = "" if data else "closed"
        self.received += len(taken)
        return taken

    @property
    def statuses(self) -> list[int]:
        """The statuses of all answers read so far, interim ones included."""
        return [answer.status for answer in self.reader.answers]

    @property
    def last(self) -> Answer:
        """The latest answer."""
        return self.reader.answers[-1]

    def finish(self) -> None:
        """End our direction."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self, *, reset: bool = False) -> None:
        """Go away, with a reset at will."""
        if reset and self.socket.fileno() >= 0:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()

    def queues(self) -> tuple[int, ...]:
        """Return what waits in the kernel on the way to the core, and back."""
        if self.socket.fileno() < 0:
            return ()
        found = array.array("i", [0])
        sizes = []
        for question in (termios.TIOCOUTQ, termios.FIONREAD):
            fcntl.ioctl(self.socket, question, found)
            sizes.append(found[0])
        return tuple(sizes)

"""A way by TCP to a server on a Unix socket; one that can be cut, or that leads nowhere."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Forwarder(threading.Thread):
    """Accepts on loopback, and leads on; a deaf one accepts, and says nothing."""

    def __init__(self, sockets: Path, *, deaf: bool) -> None:
        super().__init__(daemon=True)
        self.target = f"{sockets}/.s.PGSQL.5432"
        self.deaf = deaf
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.ends: list[socket.socket] = [self.listening]

    def run(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            self.ends.append(client)
            if not self.deaf:
                self.lead(client)

    def lead(self, client: socket.socket) -> None:
        """Lead a client on."""
        server = socket.socket(socket.AF_UNIX)
        self.ends.append(server)
        server.connect(self.target)
        for pair in ((client, server), (server, client)):
            threading.Thread(target=pump, args=pair, daemon=True).start()

    def cut(self) -> None:
        """Hang up on all."""
        for end in self.ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def pump(one: socket.socket, other: socket.socket) -> None:
    """Carry what one end says to the other."""
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_RDWR)


@contextmanager
def forwarding(sockets: Path, *, deaf: bool = False) -> Iterator[int]:
    """Lead from a TCP port to the server of a directory."""
    forwarder = Forwarder(sockets, deaf=deaf)
    forwarder.start()
    try:
        yield forwarder.listening.getsockname()[1]
    finally:
        forwarder.cut()
        forwarder.join()

"""What stands in for a syslogd: a real datagram socket at a path."""

import contextlib
import os
import socket
import threading
from pathlib import Path
from typing import Self

from tests.helpers.procs import until


class Syslogd:
    """Takes datagrams, as long as the `with` block lasts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[str] = []

    def __enter__(self) -> Self:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()
        return self

    def listen(self) -> None:
        while datagram := self.socket.recv(1 << 18):
            self.lines.append(datagram.decode())

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self.path))
        self.thread.join()
        self.socket.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)  # noqa: PTH108

    def wait(self, text: str) -> str:
        """Wait for a line, and return it."""
        until(lambda: any(text in line for line in self.lines), what=f"{text!r} in {self.lines}")
        return next(line for line in self.lines if text in line)

"""A body in a file: written elsewhere, piece by piece, and read like one in memory."""

import os
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from kore._http.body.spool_directory import SpoolDirectory, copy_range

# Worth a trip to the disk; a slow client's few bytes are not.
CHUNK_MIN: Final = 1 << 17
# Bytes read at a time where all are read.
READ_SIZE: Final = 1 << 18

# Do something that may take a while elsewhere, then call back with what went wrong, or None.
RunInThread = Callable[[Callable[[], None], Callable[[BaseException | None], None]], None]


class Spool:
    """One body in a file. *run* is who writes it, so that a slow disk keeps nobody else waiting.

    The client waits for the disk: there is one piece under way at a time. *take_more* is called
    after each, *failed* with what the disk says when it takes no more.
    """

    least = CHUNK_MIN

    def __init__(
        self,
        folder: SpoolDirectory,
        run: RunInThread,
        take_more: Callable[[], object],
        failed: Callable[[BaseException], object],
    ) -> None:
        self._folder = folder
        self._run = run
        self._take_more = take_more
        self._failed = failed
        self._fd = -1
        self._size = 0
        self._name = ""
        self._busy = False
        self._closed = False

    # From the client

    def feed(self, piece: bytes) -> bool:
        """Have a piece written. Always False: no more until it is."""
        self._busy = True
        self._run(lambda: self._write(piece), self._written)
        return False

    def _write(self, piece: bytes) -> None:
        # In a thread. Nobody else touches descriptor and size as long as it is busy.
        if self._fd < 0:
            self._fd = self._folder.open()
        left = memoryview(piece)
        while left:
            count = os.pwrite(self._fd, left, self._size)
            self._size += count
            left = left[count:]

    def _written(self, error: BaseException | None) -> None:
        self._busy = False
        if self._closed:
            self._let_go()
        elif error is not None:
            self._failed(error)
        else:
            self._take_more()

    def end(self) -> None:
        """Do nothing: the last piece has been written."""

    def stop(self) -> None:
        """Do nothing: what is there is nobody's business before the request is over."""

    def close(self) -> None:
        """Remove the file: the request is over."""
        if self._closed:
            return
        self._closed = True
        self._take_more = self._failed = _do_nothing
        if self._name:
            self._folder.forget(self._name)
        if not self._busy:
            self._let_go()

    def _let_go(self) -> None:
        # To free the blocks of a large file takes its time.
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._run(lambda: os.close(fd), _do_nothing)

    # To the handler

    def __len__(self) -> int:
        return self._size

    def read(self, place: int, length: int) -> bytes:
        """Return so many bytes from *place* on, fewer at the end."""
        if self._closed:
            raise RuntimeError("http_body_read() failed: the request is over, and so is its body")
        length = min(length, self._size - place)
        if length <= 0:
            return b""
        data = os.pread(self._fd, length, place)
        if len(data) == length:
            return data
        pieces = [data]  # over 2 GiB: Linux reads less at a time
        while pieces[-1]:
            place += len(pieces[-1])
            length -= len(pieces[-1])
            pieces.append(os.pread(self._fd, length, place))
        return b"".join(pieces)

    def digest(self) -> bytes:
        """Return the SHA-256 of the body."""
        found = sha256()
        for place in range(0, self._size, READ_SIZE):
            found.update(self.read(place, READ_SIZE))
        return found.digest()

    def path(self) -> str:
        """Return the path of the file, which has a name from now on."""
        if self._closed:
            raise RuntimeError("body_path: the request is over, and so is its body")
        if not self._name:
            self._name = self._folder.name(self._fd)
        return self._folder.path_of(self._name)

    def copy(self, target: int, place: int, length: int) -> None:
        """Write a part of the body to the descriptor *target*."""
        if self._closed:
            raise RuntimeError("the request is over, and so is its body")
        copy_range(self._fd, target, place, length)


def _do_nothing(_error: BaseException | None = None) -> None:
    """Be what is called when it does not matter any more."""

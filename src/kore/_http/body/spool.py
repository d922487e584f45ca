"""A request body in a file.

How a body gets there: once it is larger than http_body_disk_offload, the core asks
`_process/worker/bodies.py` for a Spool and feeds it pieces. A thread writes each piece, and the
core reads no further from the client until it is written. The file is an unnamed one from
`spool_directory.py`, so it is gone when the request ends, or its worker dies. A complete Spool is a
BodyStorage (`body_storage.py`): requests read it like a body in memory.
"""

import os
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from kore._http.body.spool_directory import SpoolDirectory, copy_range

# Bytes of a piece, at least, unless it is the last: fewer are not worth a change of threads.
CHUNK_MIN: Final = 1 << 17
# Bytes read at a time by digest().
READ_SIZE: Final = 1 << 18

# Calls its first argument in a thread, then the second one on the loop, with the error or None.
RunInThread = Callable[[Callable[[], None], Callable[[BaseException | None], None]], None]


class Spool:
    """A body in a file, written by the threads of *run*.

    One piece is written at a time. *take_more* is called after each, *failed* with the error if
    one cannot be written.
    """

    min_chunk = CHUNK_MIN

    def __init__(
        self,
        directory: SpoolDirectory,
        run: RunInThread,
        take_more: Callable[[], object],
        failed: Callable[[BaseException], object],
    ) -> None:
        self._directory = directory
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
        """Start to write a piece. Returns False: the next one may come when this is written."""
        self._busy = True
        self._run(lambda: self._write(piece), self._written)
        return False

    def _write(self, piece: bytes) -> None:
        # In a thread. Only it uses the descriptor and the size while `_busy` is set.
        if self._fd < 0:
            self._fd = self._directory.open()
        left = memoryview(piece)
        while left:
            count = os.pwrite(self._fd, left, self._size)
            self._size += count
            left = left[count:]

    def _written(self, error: BaseException | None) -> None:
        self._busy = False
        if self._closed:
            self._close_file()
        elif error is not None:
            self._failed(error)
        else:
            self._take_more()

    def end(self) -> None:
        """Do nothing: the last piece has been written."""

    def stop(self) -> None:
        """Do nothing: close() follows at the end of the request."""

    def close(self) -> None:
        """Remove the file, at the end of the request."""
        if self._closed:
            return
        self._closed = True
        self._take_more = self._failed = _do_nothing
        if self._name:
            self._directory.remove(self._name)
        if not self._busy:
            self._close_file()

    def _close_file(self) -> None:
        # In a thread, because freeing the blocks of a large file takes time.
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._run(lambda: os.close(fd), _do_nothing)

    # To the handler

    def __len__(self) -> int:
        return self._size

    def read(self, place: int, length: int) -> bytes:
        """Return *length* bytes from offset *place* on, fewer at the end."""
        if self._closed:
            raise RuntimeError("http_body_read() failed: the request is over, and so is its body")
        length = min(length, self._size - place)
        if length <= 0:
            return b""
        data = os.pread(self._fd, length, place)
        if len(data) == length:
            return data
        pieces = [data]  # Linux reads less than 2 GiB at a time
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
        """Return the path of the file, which gets a name by this."""
        if self._closed:
            raise RuntimeError("body_path: the request is over, and so is its body")
        if not self._name:
            self._name = self._directory.name(self._fd)
        return self._directory.path_of(self._name)

    def copy(self, target: int, place: int, length: int) -> None:
        """Write *length* bytes from offset *place* on to the descriptor *target*."""
        if self._closed:
            raise RuntimeError("the request is over, and so is its body")
        copy_range(self._fd, target, place, length)


def _do_nothing(_error: BaseException | None = None) -> None:
    """Replace a callback at the end of a request."""

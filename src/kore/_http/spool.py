"""Bodies in files: without a name until somebody asks for one, so that none is ever left behind.

A file that was never in a directory is gone with its last descriptor, whatever ends the process
that holds it. One with a name is locked by the worker it belongs to: a name that is not locked has
been left by a worker that died, and whoever starts or ends next removes it.
"""

import contextlib
import errno
import fcntl
import os
import re
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Final

# Worth a trip to the disk; a slow client's few bytes are not.
LEAST: Final = 1 << 17
# Bytes read at a time where all are read.
BATCH: Final = 1 << 18
NAME: Final = re.compile(r"body-\d+-[0-9a-f]{16}")
PRIVATE: Final = 0o600
OURS_ALONE: Final = 0o700
# What file systems say that have no files without names, and kernels that do not know them.
UNKNOWN: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT})

# Do something that may take a while elsewhere, then call back with what went wrong, or None.
Run = Callable[[Callable[[], None], Callable[[BaseException | None], None]], None]


class Folder:
    """The directory for bodies, by descriptor: what happens to its path later changes nothing."""

    def __init__(self, path: str) -> None:
        with contextlib.suppress(FileExistsError):
            Path(path).mkdir(OURS_ALONE)
        self.path = Path(path).resolve()
        self.fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._unnamed = True

    def open(self) -> int:
        """Return a new file without a name, for us alone."""
        if self._unnamed:
            try:
                flags = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC
                return os.open(".", flags, PRIVATE, dir_fd=self.fd)
            except OSError as error:
                if error.errno not in UNKNOWN:
                    raise
                self._unnamed = False
        name = self._new_name()
        fd = self._create(name)
        os.unlink(name, dir_fd=self.fd)
        return fd

    def name(self, fd: int) -> str:
        """Give the file *fd* a name, and return it."""
        name = self._new_name()
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            os.link(f"/proc/self/fd/{fd}", name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        except OSError:
            # Without /proc, and where names cannot come later: a copy takes its place.
            self._copy(fd, name)
        return name

    def forget(self, name: str) -> None:
        """Remove a name, unless the application has moved the file away."""
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self.fd)

    def sweep(self) -> None:
        """Remove the names that workers left when they died."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self.fd):  # noqa: PTH208 - pathlib knows no descriptors
                if NAME.fullmatch(name) and not self._in_use(name):
                    self.forget(name)

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self.fd)

    def _new_name(self) -> str:
        # The number is for whoever looks into the directory.
        return f"body-{os.getpid()}-{token_hex(8)}"

    def _create(self, name: str) -> int:
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, PRIVATE, dir_fd=self.fd)

    def _copy(self, fd: int, name: str) -> None:
        copy = self._create_locked(name)
        try:
            transfer(fd, copy, 0, os.fstat(fd).st_size)
            os.dup2(copy, fd, inheritable=False)
        except OSError:
            self.forget(name)
            raise
        finally:
            os.close(copy)

    def _create_locked(self, name: str) -> int:
        while True:
            fd = self._create(name)
            fcntl.flock(fd, fcntl.LOCK_EX)
            # Before the lock somebody may have taken it for a left one.
            if os.fstat(fd).st_nlink:
                return fd
            os.close(fd)

    def _in_use(self, name: str) -> bool:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(name, flags, dir_fd=self.fd)
        except OSError:
            return True
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return True
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(fd)
        return False


class Spool:
    """One body in a file. *run* is who writes it, so that a slow disk keeps nobody else waiting.

    The client waits for the disk: there is one piece under way at a time. *take_more* is called
    after each, *failed* with what the disk says when it takes no more.
    """

    least = LEAST

    def __init__(
        self,
        folder: Folder,
        run: Run,
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
        self._take_more = self._failed = nothing
        if self._name:
            self._folder.forget(self._name)
        if not self._busy:
            self._let_go()

    def _let_go(self) -> None:
        # To free the blocks of a large file takes its time.
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._run(lambda: os.close(fd), nothing)

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
        for place in range(0, self._size, BATCH):
            found.update(self.read(place, BATCH))
        return found.digest()

    def path(self) -> str:
        """Return the path of the file, which has a name from now on."""
        if self._closed:
            raise RuntimeError("body_path: the request is over, and so is its body")
        if not self._name:
            self._name = self._folder.name(self._fd)
        return str(self._folder.path / self._name)

    def copy(self, target: int, place: int, length: int) -> None:
        """Write a part of the body to the descriptor *target*."""
        if self._closed:
            raise RuntimeError("the request is over, and so is its body")
        transfer(self._fd, target, place, length)


def sweep(path: str) -> None:
    """Remove what workers that died have left, when none is left to do it."""
    if Path(path).is_dir():
        folder = Folder(path)
        folder.sweep()
        folder.close()


def transfer(source: int, target: int, place: int, length: int) -> None:
    """Copy bytes from file to file, by the kernel, which may have them share blocks."""
    while length > 0:
        count = os.sendfile(target, source, place, min(length, 1 << 30))
        if count == 0:
            raise OSError(errno.EIO, "the file is shorter than it was")
        place += count
        length -= count


def nothing(_error: BaseException | None = None) -> None:
    """Be what is called when it does not matter any more."""

"""The file that holds a server's pid, and whom it is about.

A lock on it says more than the number in it: the kernel knows who holds one, and it goes with its
holder. A file left behind by a crash is therefore about nobody, whoever has that pid now.
"""

import contextlib
import errno
import fcntl
import os
import signal
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kore._process.log.open_file import open_pidfile

# What a lock of another process is answered with.
LOCKED: Final = frozenset({errno.EACCES, errno.EAGAIN})
# How often a file is opened that another server removes at that moment.
ATTEMPTS: Final = 20
# struct flock of Linux: type, whence, start, length, pid.
FLOCK: Final = struct.Struct("hhqqi4x")


class Pidfile:
    """The file that holds the parent's pid."""

    def __init__(self) -> None:
        # As configured, and where that is, whatever the working directory is later.
        self.given = ""
        self.path: Path | None = None
        # Only a lock that nobody closes is one: POSIX drops it with any descriptor of the file.
        self._fd = -1

    def write(self, path: str) -> str:
        """Put our pid in *path*, and remove an earlier file. Returns a warning, or nothing."""
        if path and self._has_path(path) and self._is_ours():
            return ""
        self.remove()
        if not path:
            return ""
        try:
            wanted = Path(path).absolute()
            self._lock(wanted)
            self._fill(wanted)
        except OSError as error:
            other = owner(Path(path)) if error.errno in LOCKED else 0
            self._close()
            reason = f"process {other} is a server with that file" if other else error.strerror
            return f"couldn't write pid to {path} ({reason})"
        self.given, self.path = path, wanted
        return ""

    def remove(self) -> None:
        """Remove the file, unless it is another server's by now."""
        if self.path is not None and self._is_ours():
            with contextlib.suppress(OSError):
                self.path.unlink()
        self.given, self.path = "", None
        self._close()

    def _has_path(self, path: str) -> bool:
        """Whether *path* is the one in use, also when the working directory is gone."""
        try:
            return Path(path).absolute() == self.path
        except FileNotFoundError:
            return path == self.given

    def _lock(self, path: Path) -> None:
        """Open and lock the file. Raises OSError if it cannot be had.

        The file may be removed by a server that ends, after it was opened here and before it is
        locked: then the lock is on a file that nobody else finds.
        """
        for _ in range(ATTEMPTS):
            self._fd = open_pidfile(str(path))
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._is_at(path):
                return
            self._close()
        raise OSError(errno.EBUSY, "it is removed again and again")

    def _fill(self, path: Path) -> None:
        """Write our pid into the locked file. Raises OSError, and leaves no empty file then."""
        line = b"%d\n" % os.getpid()
        try:
            # In this order the old content stays if the disk is full.
            written = os.pwrite(self._fd, line, 0)
            os.ftruncate(self._fd, written)
            # Less than all of it is written only if the disk is full; this says so.
            os.pwrite(self._fd, line[written:], written)
        except OSError:
            if self._is_at(path):
                path.unlink()
            raise

    def _is_at(self, path: Path) -> bool:
        """Whether the open file is the one at *path*."""
        try:
            return os.path.samestat(os.fstat(self._fd), path.lstat())
        except OSError:
            return False

    def _is_ours(self) -> bool:
        """Whether the file at the path is the one we have locked, and has our pid."""
        if self.path is None or self._fd < 0 or not self._is_at(self.path):
            return False
        return os.pread(self._fd, 32, 0).strip() == b"%d" % os.getpid()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class DirectoryMark:
    """Locks on the directories of an application: `kodev` finds its server there, without pid file.

    Shared ones, so that several servers may serve one application. A lock needs no file and goes
    with the process that holds it.
    """

    def __init__(self) -> None:
        # By device and inode: a link may lead elsewhere at the next reload.
        self._fds: dict[tuple[int, int], int] = {}

    def take(self, directories: Iterable[Path]) -> None:
        """Lock these directories and no others.

        As far as they can be read and their file system has locks.
        """
        wanted: set[tuple[int, int]] = set()
        for directory in directories:
            with contextlib.suppress(OSError):
                wanted.add(self._lock(directory))
        for identity in self._fds.keys() - wanted:
            os.close(self._fds.pop(identity))

    def _lock(self, directory: Path) -> tuple[int, int]:
        """Lock a directory, if it is not locked yet, and return its identity."""
        status = directory.stat()
        identity = status.st_dev, status.st_ino
        # Not opened twice: with any of its descriptors the lock would be closed.
        if identity not in self._fds:
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._fds[identity] = fd
            fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return identity

    def remove(self) -> None:
        """Give the locks back."""
        self.take(())


def owner(path: Path) -> int:
    """Return the pid of the server that holds the file at *path*; 0: none does."""
    try:
        # Whatever is at that path, a pipe nobody writes to for one, holds nobody up.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return 0
    try:
        asked = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    except OSError:  # a file system without locks
        return 0
    finally:
        os.close(fd)
    # A holder that this container cannot see has no number here.
    return pid if kind != fcntl.F_UNLCK and pid > 0 else 0


def tell(path: Path, number: signal.Signals) -> int:
    """Send a signal to the server that holds the file at *path*. Returns its pid; 0: none does.

    PermissionError: it is somebody else's.
    """
    pid = owner(path)
    if not pid:
        return 0
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return 0
    try:
        # It may have ended before, and its number be another's: now we have got hold of it.
        if owner(path) != pid:
            return 0
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return 0
    finally:
        os.close(handle)
    return pid

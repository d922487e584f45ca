"""The pid file, its lock, and which process holds it.

A server locks its pid file. The kernel knows the process that holds a lock and releases it when
that process exits, so the pid in a file that a crash has left is never taken for a server's.
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

# Errors of a lock that another process holds.
LOCKED: Final = frozenset({errno.EACCES, errno.EAGAIN})
# Attempts to open a file that another server removes at that moment.
ATTEMPTS: Final = 20
# struct flock of Linux: type, whence, start, length, pid.
FLOCK: Final = struct.Struct("hhqqi4x")


class Pidfile:
    """The file that holds the parent's pid."""

    def __init__(self) -> None:
        # As configured, and absolute, since the working directory may change.
        self.configured = ""
        self.path: Path | None = None
        # Stays open: POSIX releases a lock when any descriptor of the file is closed.
        self._fd = -1

    def write(self, path: str) -> str:
        """Write our pid to *path*, and remove a previous file. Returns a warning, or nothing."""
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
            other = find_owner(Path(path)) if error.errno in LOCKED else 0
            self._close()
            reason = f"process {other} is a server with that file" if other else error.strerror
            return f"couldn't write pid to {path} ({reason})"
        self.configured, self.path = path, wanted
        return ""

    def remove(self) -> None:
        """Remove the file, unless it is another server's by now."""
        if self.path is not None and self._is_ours():
            with contextlib.suppress(OSError):
                self.path.unlink()
        self.configured, self.path = "", None
        self._close()

    def _has_path(self, path: str) -> bool:
        """Return whether *path* is the one in use, also if the working directory is gone."""
        try:
            return Path(path).absolute() == self.path
        except FileNotFoundError:
            return path == self.configured

    def _lock(self, path: Path) -> None:
        """Open and lock the file. Raises OSError if that fails.

        A server that ends may remove the file after it was opened here and before it is locked:
        then the lock is on a file that has no name any more, and the file is opened again.
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
        """Return whether the open file is the one at *path*."""
        try:
            return os.path.samestat(os.fstat(self._fd), path.lstat())
        except OSError:
            return False

    def _is_ours(self) -> bool:
        """Return whether the file at the path is the one we have locked, and has our pid."""
        if self.path is None or self._fd < 0 or not self._is_at(self.path):
            return False
        return os.pread(self._fd, 32, 0).strip() == b"%d" % os.getpid()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class DirectoryLocks:
    """Locks on the directories of an application, by which `kodev` finds a server without pid file.

    They are shared locks, so that several servers may serve one application.
    """

    def __init__(self) -> None:
        # By device and inode: a link may lead elsewhere at the next reload.
        self._fds: dict[tuple[int, int], int] = {}

    def lock(self, directories: Iterable[Path]) -> None:
        """Lock these directories and no others, if they are readable and can be locked."""
        wanted: set[tuple[int, int]] = set()
        for directory in directories:
            with contextlib.suppress(OSError):
                wanted.add(self._lock_directory(directory))
        for identity in self._fds.keys() - wanted:
            os.close(self._fds.pop(identity))

    def _lock_directory(self, directory: Path) -> tuple[int, int]:
        """Lock a directory, if it is not locked yet, and return its identity."""
        status = directory.stat()
        identity = status.st_dev, status.st_ino
        # Not opened twice: closing either descriptor would release the lock.
        if identity not in self._fds:
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._fds[identity] = fd
            fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return identity

    def release(self) -> None:
        """Release all locks."""
        self.lock(())


def find_owner(path: Path) -> int:
    """Return the pid of the server that has locked the file at *path*, or 0."""
    try:
        # Does not block, whatever is at that path: a FIFO without a writer, for example.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return 0
    try:
        request = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, request))
    except OSError:  # a file system without locks
        return 0
    finally:
        os.close(fd)
    # The pid is 0 if the process is outside of this container.
    return pid if kind != fcntl.F_UNLCK and pid > 0 else 0


def signal_owner(path: Path, number: signal.Signals) -> int:
    """Send a signal to the server that has locked the file at *path*. Returns its pid, or 0.

    Raises PermissionError if it belongs to another user.
    """
    pid = find_owner(path)
    if not pid:
        return 0
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return 0
    try:
        # The pid may have been reused before pidfd_open(); from then on the handle is stable.
        if find_owner(path) != pid:
            return 0
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return 0
    finally:
        os.close(handle)
    return pid

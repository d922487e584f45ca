"""The file that holds a server's pid, and whom it is about.

A lock on it says more than the number in it: the kernel knows who holds one, and it goes with its
holder. A file left behind by a crash is therefore about nobody, whoever has that pid now.
"""

import contextlib
import fcntl
import os
import signal
import struct
from pathlib import Path
from typing import Final

MODE: Final = 0o644
# struct flock of Linux: type, whence, start, length, pid.
FLOCK: Final = struct.Struct("hhqqi4x")


class Pidfile:
    """The file that holds the parent's pid."""

    def __init__(self) -> None:
        self.path: Path | None = None
        # Only a lock that nobody closes is one: POSIX drops it with any descriptor of the file.
        self._fd = -1

    def write(self, path: str) -> str:
        """Put our pid in *path*, and remove an earlier file. Returns a warning, or nothing."""
        wanted = Path(path).absolute() if path else None
        if wanted is not None and wanted == self.path and self._is_ours():
            return ""
        self.remove()
        if wanted is None:
            return ""
        try:
            self._fd = os.open(wanted, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._fd, 0)
            os.write(self._fd, f"{os.getpid()}\n".encode())
        except OSError as error:
            other = owner(wanted)
            self._close()
            reason = f"process {other} is a server with that file" if other else error.strerror
            return f"couldn't write pid to {path} ({reason})"
        self.path = wanted
        return ""

    def remove(self) -> None:
        """Remove the file, unless it is another server's by now."""
        if self.path is not None and self._is_ours():
            with contextlib.suppress(OSError):
                self.path.unlink()
        self.path = None
        self._close()

    def _is_ours(self) -> bool:
        """Whether the file at the path is the one we have locked, and has our pid."""
        if self.path is None or self._fd < 0:
            return False
        try:
            same = os.path.samestat(os.fstat(self._fd), self.path.stat())
        except OSError:
            return False
        return same and os.pread(self._fd, 32, 0).strip() == b"%d" % os.getpid()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


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

"""The directory for request bodies in files.

Files have no names (O_TMPFILE): a file is gone with its last descriptor, however its worker ends.
A file gets a name when the application asks for its path; then its worker holds a lock on it. A
named file without a lock was left by a worker that died, and is removed by the next worker that
starts, and by the parent at its end.
"""

import contextlib
import errno
import fcntl
import os
import re
import stat
from pathlib import Path
from typing import Final

FILE_NAME: Final = re.compile(r"body-\d+-[0-9a-f]{16}")
FILE_MODE: Final = 0o600
DIRECTORY_MODE: Final = 0o700
WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
# Errors of file systems and kernels without O_TMPFILE.
UNSUPPORTED: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT})
DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Bytes copied by one sendfile(2).
COPY_MAX: Final = 1 << 30


class SpoolDirectory:
    """The open directory; made again if it has been removed."""

    def __init__(self, path: str) -> None:
        _make_private_directory(Path(path))
        self.path = Path(path).resolve()
        self.fd = _open_trusted(self.path)
        self._unnamed = True

    def open(self) -> int:
        """Return the descriptor of a new file without a name, for this user only."""
        self._renew()
        if self._unnamed:
            try:
                flags = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC
                return os.open(".", flags, FILE_MODE, dir_fd=self.fd)
            except OSError as error:
                if error.errno not in UNSUPPORTED:
                    raise
                self._unnamed = False
        name = self._new_name()
        fd = self._create(name)
        os.unlink(name, dir_fd=self.fd)
        return fd

    def name(self, fd: int) -> str:
        """Give the file *fd* a name, lock it, and return the name."""
        self._renew()
        name = self._new_name()
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            os.link(f"/proc/self/fd/{fd}", name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        except OSError:
            # Without /proc, or on a file system that cannot link unnamed files.
            self._copy(fd, name)
        return name

    def path_of(self, name: str) -> str:
        """Return the path of a file, also if the directory has been renamed."""
        try:
            place = Path(f"/proc/self/fd/{self.fd}").readlink()
        except OSError:  # no /proc
            place = self.path
        return str(place / name)

    def remove(self, name: str) -> None:
        """Remove a file, unless the application has moved it."""
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self.fd)

    def sweep(self) -> None:
        """Remove the files of workers that died."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self.fd):  # noqa: PTH208 - pathlib knows no descriptors
                if FILE_NAME.fullmatch(name) and not self._in_use(name):
                    self.remove(name)

    def close(self) -> None:
        """Close the directory."""
        os.close(self.fd)

    def _renew(self) -> None:
        """Make the directory again if it has been removed."""
        if os.fstat(self.fd).st_nlink:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _make_private_directory(self.path)
        fresh = _open_trusted(self.path)
        os.dup2(fresh, self.fd, inheritable=False)
        os.close(fresh)

    def _new_name(self) -> str:
        # The process id is there for administrators.
        return f"body-{os.getpid()}-{os.urandom(8).hex()}"

    def _create(self, name: str) -> int:
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, FILE_MODE, dir_fd=self.fd)

    def _copy(self, fd: int, name: str) -> None:
        copy = self._create_locked(name)
        try:
            copy_range(fd, copy, 0, os.fstat(fd).st_size)
            os.dup2(copy, fd, inheritable=False)
        except OSError:
            self.remove(name)
            raise
        finally:
            os.close(copy)

    def _create_locked(self, name: str) -> int:
        while True:
            fd = self._create(name)
            fcntl.flock(fd, fcntl.LOCK_EX)
            # Before it was locked, another worker's sweep() may have removed it.
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


def _make_private_directory(path: Path) -> None:
    """Make a directory for this user only, unless it exists."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(DIRECTORY_MODE)


def _open_trusted(path: Path) -> int:
    """Open a directory. Raises PermissionError if others can replace the files in it."""
    fd = os.open(path, DIRECTORY_FLAGS)
    if reason := describe_distrust(os.fstat(fd)):
        os.close(fd)
        raise PermissionError(errno.EPERM, reason, str(path))
    return fd


def describe_distrust(found: os.stat_result) -> str:
    """Return why a directory is not safe for bodies; "" if it is."""
    if found.st_uid not in {0, os.geteuid()}:
        return f"it belongs to another user ({found.st_uid})"
    if found.st_mode & WRITABLE_BY_OTHERS and not found.st_mode & stat.S_ISVTX:
        mode = stat.S_IMODE(found.st_mode)
        return f"other users may write to it (mode {mode:o}), and it has no sticky bit"
    return ""


def check_writable(place: Path) -> None:
    """Raise OSError if no file can be made in a directory. Leaves nothing there.

    Permissions are not enough: root has all, and some file systems are read-only.
    """
    try:
        os.close(os.open(place, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, FILE_MODE))
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        probe = place / f".kore-{os.urandom(8).hex()}"
        probe.mkdir(DIRECTORY_MODE)
        probe.rmdir()


def sweep_directory(path: str) -> None:
    """Remove the files of workers that died, when no worker runs any more."""
    if Path(path).is_dir():
        directory = SpoolDirectory(path)
        directory.sweep()
        directory.close()


def copy_range(source: int, target: int, place: int, length: int) -> None:
    """Copy bytes between files by sendfile(2)."""
    while length > 0:
        count = os.sendfile(target, source, place, min(length, COPY_MAX))
        if count == 0:
            raise OSError(errno.EIO, "the file is shorter than it was")
        place += count
        length -= count

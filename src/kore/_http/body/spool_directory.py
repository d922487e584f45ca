"""The directory for bodies in files, which have no names until somebody asks for one.

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
from pathlib import Path
from typing import Final

FILE_NAME: Final = re.compile(r"body-\d+-[0-9a-f]{16}")
FILE_MODE: Final = 0o600
DIRECTORY_MODE: Final = 0o700
WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
# What file systems say that have no files without names, and kernels that do not know them.
UNSUPPORTED: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT})
DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Bytes copied by one call.
COPY_MAX: Final = 1 << 30


class SpoolDirectory:
    """The directory for bodies, by descriptor: made anew when it has been removed."""

    def __init__(self, path: str) -> None:
        _make_private_directory(Path(path))
        self.path = Path(path).resolve()
        self.fd = _open_trusted(self.path)
        self._unnamed = True

    def open(self) -> int:
        """Return a new file without a name, for us alone."""
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
        """Give the file *fd* a name, and return it."""
        self._renew()
        name = self._new_name()
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            os.link(f"/proc/self/fd/{fd}", name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        except OSError:
            # Without /proc, and where names cannot come later: a copy takes its place.
            self._copy(fd, name)
        return name

    def path_of(self, name: str) -> str:
        """Return the path of a file in it, also when the directory has been renamed."""
        try:
            place = Path(f"/proc/self/fd/{self.fd}").readlink()
        except OSError:  # no /proc here
            place = self.path
        return str(place / name)

    def forget(self, name: str) -> None:
        """Remove a name, unless the application has moved the file away."""
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self.fd)

    def sweep(self) -> None:
        """Remove the names that workers left when they died."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self.fd):  # noqa: PTH208 - pathlib knows no descriptors
                if FILE_NAME.fullmatch(name) and not self._in_use(name):
                    self.forget(name)

    def close(self) -> None:
        """Let go of the directory."""
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
        # The number is for whoever looks into the directory.
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


def _make_private_directory(path: Path) -> None:
    """Make a directory for us alone, unless it is there."""
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
    """Return why a directory is not safe to keep bodies in, or nothing."""
    if found.st_uid not in {0, os.geteuid()}:
        return f"it belongs to another user ({found.st_uid})"
    if found.st_mode & WRITABLE_BY_OTHERS and not found.st_mode & stat.S_ISVTX:
        mode = stat.S_IMODE(found.st_mode)
        return f"other users may write to it (mode {mode:o}), and it has no sticky bit"
    return ""


def check_writable(place: Path) -> None:
    """Raise OSError if nothing can be made in a directory. Nothing is left there.

    Permissions do not say it: root has them all, and there are file systems that let nobody.
    """
    try:
        os.close(os.open(place, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, FILE_MODE))
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        trial = place / f".kore-{os.urandom(8).hex()}"
        trial.mkdir(DIRECTORY_MODE)
        trial.rmdir()


def sweep_directory(path: str) -> None:
    """Remove what workers that died have left, when none is left to do it."""
    if Path(path).is_dir():
        folder = SpoolDirectory(path)
        folder.sweep()
        folder.close()


def copy_range(source: int, target: int, place: int, length: int) -> None:
    """Copy bytes from file to file, by the kernel, which may have them share blocks."""
    while length > 0:
        count = os.sendfile(target, source, place, min(length, COPY_MAX))
        if count == 0:
            raise OSError(errno.EIO, "the file is shorter than it was")
        place += count
        length -= count

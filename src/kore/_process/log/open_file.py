"""Open files for writing without blocking: log files, access logs, pid files.

A path may name anything: a FIFO without a reader, a device, a link to a file of another owner.
"""

import contextlib
import errno
import fcntl
import os
import stat
from typing import Final

FILE_MODE: Final = 0o644
# Never wait for the reader of a FIFO, never acquire a controlling terminal.
NO_WAIT: Final = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | NO_WAIT
# Names of the standard descriptors. These are duplicated: a socket cannot be opened by its name,
# nor another user's pipe, and a file opened twice would have two file positions.
STANDARD_STREAMS: Final = {
    f"{directory}{name}": number
    for number, words in ((1, ("1", "stdout")), (2, ("2", "stderr")))
    for directory, name in (
        ("/dev/fd/", words[0]),
        ("/proc/self/fd/", words[0]),
        ("/dev/", words[1]),
    )
}
# Bytes of a pid file that may be overwritten.
PID_MAX: Final = 32
# Types of files that cannot be appended to, and the errors of open(2) for them.
UNSUITABLE: Final = {
    stat.S_IFDIR: errno.EISDIR,
    stat.S_IFBLK: errno.EINVAL,
    stat.S_IFSOCK: errno.ENXIO,
}


def open_log(path: str, *, create: bool = True, needs_reader: bool = False) -> int:
    """Return a descriptor that appends to *path*. Raises OSError if that is not possible.

    Unless a FIFO *needs_reader*, it is opened for reading as well: then lines written before a
    reader comes wait in the pipe.
    """
    if path in STANDARD_STREAMS:
        return _open_standard(STANDARD_STREAMS[path])
    try:
        fd = os.open(path, APPEND if create else APPEND & ~os.O_CREAT, FILE_MODE)
    except OSError as error:
        if error.errno != errno.ENXIO or needs_reader:
            raise
        return _open_fifo(path)
    kind = stat.S_IFMT(os.fstat(fd).st_mode)
    if kind in UNSUITABLE:
        os.close(fd)
        raise OSError(UNSUITABLE[kind], os.strerror(UNSUITABLE[kind]))
    if kind == stat.S_IFIFO and not needs_reader:
        os.close(fd)
        return _open_fifo(path)
    return fd


def open_pidfile(path: str) -> int:
    """Return a descriptor of a file for a pid. Raises OSError if *path* is any other file.

    It is overwritten and removed later, so it must be a regular file, no link to one, and hold a
    number or nothing.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | NO_WAIT, FILE_MODE)
    except OSError as error:
        if error.errno != errno.ELOOP or not os.path.islink(path):  # noqa: PTH114 - kept as text
            raise
        raise OSError(errno.ELOOP, "it is a symbolic link") from None
    if reason := _why_not_pidfile(fd):
        os.close(fd)
        raise OSError(errno.EEXIST, reason)
    return fd


def _why_not_pidfile(fd: int) -> str:
    """Return why an open file cannot be overwritten with a pid, or nothing."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        return "it is not a regular file"
    if found.st_nlink > 1:
        return "it has other names (hard links)"
    content = os.pread(fd, PID_MAX + 1, 0)
    if len(content) > PID_MAX or (content.strip() and not content.strip().isdigit()):
        return "the file exists and does not hold a pid"
    return ""


def _open_standard(number: int) -> int:
    """Return a descriptor that writes where standard output or error does."""
    if stat.S_IFMT(os.fstat(number).st_mode) in (stat.S_IFIFO, stat.S_IFCHR):
        # A new open file description, for O_NONBLOCK must not be set on the shared one.
        with contextlib.suppress(OSError):
            return os.open(f"/proc/self/fd/{number}", os.O_WRONLY | os.O_APPEND | NO_WAIT)
    return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)


def _open_fifo(path: str) -> int:
    """Return a FIFO, with or without a reader. Raises OSError if *path* is none."""
    try:
        fd = os.open(path, os.O_RDWR | NO_WAIT)
    except PermissionError:  # writable only: then it needs a reader
        fd = os.open(path, os.O_WRONLY | NO_WAIT)
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
    return fd

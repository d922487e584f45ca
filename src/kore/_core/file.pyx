# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Open files beneath a directory, and ranges of them that are to be sent.

`open_beneath` cannot leave its directory, even if names in it are replaced by symbolic links at
the same moment: the kernel checks it (openat2(2) with RESOLVE_BENEATH). Where openat2 is missing,
the path is opened name by name, and symbolic links are not followed.
"""

from libc.errno cimport (
    EAGAIN, EINTR, ELOOP, ENAMETOOLONG, ENODEV, ENOENT, ENOSYS, ENOTDIR, ENXIO, EPERM, EXDEV, errno)
from libc.stdint cimport INT64_MAX

from kore._core.libc cimport (
    AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, S_ISDIR, S_ISREG,
    close, fstat, openat, pread, stat_t)

import logging
import os

# <linux/openat2.h> is missing on older systems, whose kernel may be newer: so by numbers.
cdef extern from * nogil:
    """
    #include <fcntl.h>
    #include <stdint.h>
    #include <unistd.h>
    #include <sys/syscall.h>
    #ifndef O_PATH
    #define O_PATH 010000000
    #endif
    #ifndef SYS_openat2
    #define SYS_openat2 437
    #endif
    struct kore_open_how { uint64_t flags, mode, resolve; };
    enum { KORE_RESOLVE_NO_MAGICLINKS = 2, KORE_RESOLVE_BENEATH = 8 };
    static int kore_openat2(int directory, const char *name, uint64_t flags) {
        struct kore_open_how how = { flags, 0,
                                     KORE_RESOLVE_BENEATH | KORE_RESOLVE_NO_MAGICLINKS };
        return (int)syscall(SYS_openat2, directory, name, &how, sizeof how);
    }
    """
    int O_PATH
    int openat2 "kore_openat2" (int directory, const char *name, uint64_t flags)

log = logging.getLogger("kore")

cdef int64_t SECOND_MAX = INT64_MAX // 1000000000   # whose nanoseconds fit into 64 bits

cdef enum:
    OPEN_ATTEMPTS = 16      # EAGAIN: a rename elsewhere disturbed the look-up; see openat2(2)

# Errors that mean: there is no such file in this directory.
cdef frozenset MISSING = frozenset((ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP, EXDEV, ENXIO, ENODEV))


cdef bint has_openat2():
    # It is there since Linux 5.6, and some sandboxes forbid it.
    cdef int fd = openat2(AT_FDCWD, b".", O_PATH | O_CLOEXEC)
    if fd >= 0:
        close(fd)
    return fd >= 0 or errno not in (ENOSYS, EPERM)


cdef bint HAS_OPENAT2 = has_openat2()


cdef int open_by_openat2(int directory, bytes name, int flags) noexcept:
    cdef int fd = openat2(directory, name, flags)
    return fd if fd >= 0 else -errno


cdef int open_by_walking(int directory, bytes name, int flags) except? -1:
    """Open a path name by name, without following symbolic links; return the fd or minus errno."""
    cdef list names = name.split(b"/")
    cdef bytes last = names.pop()
    cdef int parent = directory
    cdef int child
    for step in names:
        child = open_step(parent, step, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        if parent != directory:
            close(parent)
        if child < 0:
            return child
        parent = child
    child = open_step(parent, last, flags | O_NOFOLLOW)
    if parent != directory:
        close(parent)
    return child


cdef int open_step(int directory, bytes name, int flags) except? -1:
    cdef int fd
    if name in (b"", b".", b".."):
        return -ENOENT
    fd = openat(directory, name, flags)
    return fd if fd >= 0 else -errno


def open_beneath(int directory, str name not None, *, bint walking=False):
    """Open the file *name* beneath a directory; return None if there is no such file.

    Symbolic links are followed as long as they do not leave the directory; with *walking*, or
    without openat2, none is followed. A FIFO, socket or device is opened without waiting. Raises
    OSError if there is a file that cannot be opened.
    """
    cdef bytes raw = name.encode("utf-8", "surrogateescape")
    cdef int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
    cdef int fd = -1
    cdef int _attempt
    cdef OpenFile file
    walking = walking or not HAS_OPENAT2
    for _attempt in range(OPEN_ATTEMPTS):
        if walking:
            fd = open_by_walking(directory, raw, flags)
        else:
            fd = open_by_openat2(directory, raw, flags)
        if fd not in (-EAGAIN, -EINTR):
            break
    if fd < 0:
        if -fd in MISSING:
            return None
        raise OSError(-fd, os.strerror(-fd), name)
    file = OpenFile.__new__(OpenFile)
    file.fd = fd
    file.read_status()
    return file


def open_file(path):
    """Open a file by its path, anywhere. Raises OSError if that fails."""
    cdef OpenFile file = OpenFile.__new__(OpenFile)
    file.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    file.read_status()
    return file


cdef class OpenFile:
    """An open file, with its status when `refresh` was last called. Closed when it is freed."""

    def __cinit__(self):
        self.fd = -1

    def __init__(self):
        raise TypeError("open_beneath() and open_file() make these")

    def __dealloc__(self):
        if self.fd >= 0:
            close(self.fd)

    cdef int read_status(self) except -1:
        """Read size, times and type; return whether the file has a name. Raises OSError."""
        cdef stat_t status
        if fstat(self.fd, &status) < 0:
            raise OSError(errno, os.strerror(errno))
        self.size = status.st_size
        self.mtime_second = status.st_mtim.tv_sec
        self.mtime_nanosecond = status.st_mtim.tv_nsec
        self.inode = status.st_ino
        self.is_regular = S_ISREG(status.st_mode)
        self.is_directory = S_ISDIR(status.st_mode)
        return status.st_nlink > 0

    @property
    def mtime_ns(self):
        """Time of the last change, in nanoseconds since 1970; negative before."""
        if -SECOND_MAX < self.mtime_second < SECOND_MAX:
            return self.mtime_second * 1000000000 + self.mtime_nanosecond
        # File systems have times that 64 bits do not hold, as beyond the year 2262.
        return int(self.mtime_second) * 1000000000 + self.mtime_nanosecond

    def refresh(self):
        """Read the status again; return False if the file was deleted or replaced."""
        return self.read_status() > 0

    def fileno(self):
        """Return the descriptor, which still belongs to this object."""
        return self.fd

    def get_range(self, int64_t start, int64_t size):
        """Return the range of *size* bytes from *start*, to be sent."""
        cdef FileRange part = FileRange.__new__(FileRange)
        if start < 0 or size < 0:
            raise ValueError(f"no part of a file: {size} bytes from {start}")
        part.file = self
        part.offset = start
        part.remaining = size
        return part


cdef class FileRange:
    """A range of a file that is to be sent."""

    def __init__(self):
        raise TypeError("OpenFile.get_range() makes these")

    def __len__(self):
        return self.remaining

    cdef int read_all(self, char *data) except -1:
        """Read all remaining bytes; return whether that was possible in one read."""
        return self.read_some(data, self.remaining) == self.remaining

    cdef bint advance(self, int64_t size) noexcept:
        """Count *size* bytes as sent; return whether none remain."""
        self.offset += size
        self.remaining -= size
        return self.remaining == 0

    cdef ssize_t read_some(self, char *data, size_t size) except -3:
        """Read up to *size* of the remaining bytes; return how many, or -2 if none can be read."""
        cdef ssize_t count
        while True:
            count = pread(self.file.fd, data, min(size, <size_t>self.remaining), self.offset)
            if count > 0:
                return count
            if count == 0 or errno != EINTR:
                return -2


def log_truncation(FileRange part not None):
    """Log that a file ended before the length that was announced to the client."""
    log.error("a file ended %d bytes early while it was sent: it was truncated, or cannot be read; "
              "its client is disconnected", part.remaining)

# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Open files without leaving a directory; know what is left of them to be sent."""

from libc.errno cimport (
    EAGAIN, EINTR, ELOOP, ENAMETOOLONG, ENODEV, ENOENT, ENOSYS, ENOTDIR, ENXIO, EPERM, EXDEV, errno)
from libc.stdint cimport INT64_MAX

from kore._core.libc cimport (
    AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, S_ISDIR, S_ISREG,
    close, fstat, openat, pread, stat_t)

import logging
import os

# Not from <linux/openat2.h>, which older systems lack: the kernel decides, when it is asked.
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
    enum { KORE_NO_MAGICLINKS = 2, KORE_BENEATH = 8 };
    static int kore_openat2(int directory, const char *name, uint64_t flags) {
        struct kore_open_how how = { flags, 0, KORE_BENEATH | KORE_NO_MAGICLINKS };
        return (int)syscall(SYS_openat2, directory, name, &how, sizeof how);
    }
    """
    int O_PATH
    int open_in "kore_openat2" (int directory, const char *name, uint64_t flags)

log = logging.getLogger("kore")

cdef int64_t SECONDS_MAX = INT64_MAX // 1000000000     # whose nanoseconds 64 bits hold

cdef enum:
    TRIES = 16      # of a look-up that somebody else's renaming disturbs

# What asks for something that is not there, or not a file of this directory.
cdef frozenset MISSING = frozenset((ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP, EXDEV, ENXIO, ENODEV))


cdef bint knows_beneath():
    # openat2() is there since Linux 5.6, and some sandboxes forbid it.
    cdef int fd = open_in(AT_FDCWD, b".", O_PATH | O_CLOEXEC)
    if fd >= 0:
        close(fd)
    return fd >= 0 or errno not in (ENOSYS, EPERM)


cdef bint BENEATH = knows_beneath()


cdef int walk(int directory, bytes name, int flags) except? -1:
    """Open name by name, following no symbolic link at all: a descriptor, or minus an errno."""
    cdef list names = name.split(b"/")
    cdef bytes last = names.pop()
    cdef int at = directory
    cdef int below
    for step in names:
        below = step_to(at, step, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        if at != directory:
            close(at)
        if below < 0:
            return below
        at = below
    below = step_to(at, last, flags | O_NOFOLLOW)
    if at != directory:
        close(at)
    return below


cdef int step_to(int directory, bytes name, int flags) except? -1:
    cdef int fd
    if name in (b"", b".", b".."):
        return -ENOENT
    fd = openat(directory, name, flags)
    return fd if fd >= 0 else -errno


cdef int beneath(int directory, bytes name, int flags) noexcept:
    cdef int fd = open_in(directory, name, flags)
    return fd if fd >= 0 else -errno


def open_beneath(int directory, str name not None, *, bint walking=False):
    """Open what is called *name* beneath a directory, whatever anybody does there meanwhile.

    Symbolic links are followed as long as they stay beneath it; with *walking*, or on a kernel
    without openat2(), none is. Returns None when there is no such thing, and raises OSError when
    there is one that cannot be opened. A FIFO, a socket, a device is opened, never waited for.
    """
    cdef bytes raw = name.encode("utf-8", "surrogateescape")
    cdef int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
    cdef int fd = -1
    cdef int _tried
    cdef OpenFile file
    walking = walking or not BENEATH
    for _tried in range(TRIES):
        fd = walk(directory, raw, flags) if walking else beneath(directory, raw, flags)
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
    """Open a file by its path, anywhere. Raises OSError."""
    cdef OpenFile file = OpenFile.__new__(OpenFile)
    file.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    file.read_status()
    return file


cdef class OpenFile:
    """An open file, as it was when it was last looked at. Closed when nobody knows it any more."""

    def __cinit__(self):
        self.fd = -1

    def __init__(self):
        raise TypeError("open_beneath() and open_file() make these")

    def __dealloc__(self):
        if self.fd >= 0:
            close(self.fd)

    cdef int read_status(self) except -1:
        # how many names it has
        cdef stat_t about
        if fstat(self.fd, &about) < 0:
            raise OSError(errno, os.strerror(errno))
        self.size = about.st_size
        self.mtime_second = about.st_mtim.tv_sec
        self.mtime_nanosecond = about.st_mtim.tv_nsec
        self.inode = about.st_ino
        self.is_regular = S_ISREG(about.st_mode)
        self.is_directory = S_ISDIR(about.st_mode)
        return about.st_nlink > 0

    @property
    def mtime_ns(self):
        """When it was changed, in nanoseconds since 1970; before that the number is negative."""
        if -SECONDS_MAX < self.mtime_second < SECONDS_MAX:
            return self.mtime_second * 1000000000 + self.mtime_nanosecond
        # More than 64 bits hold: file systems have times beyond the year 2262.
        return int(self.mtime_second) * 1000000000 + self.mtime_nanosecond

    def refresh(self):
        """See how it is now; say whether it has a name still, or was deleted or replaced."""
        return self.read_status() > 0

    def fileno(self):
        """Return its descriptor, which stays its own."""
        return self.fd

    def get_range(self, int64_t start, int64_t size):
        """Return a part of it, to be sent."""
        cdef FileRange piece = FileRange.__new__(FileRange)
        if start < 0 or size < 0:
            raise ValueError(f"no part of a file: {size} bytes from {start}")
        piece.file = self
        piece.offset = start
        piece.remaining = size
        return piece


cdef class FileRange:
    """A part of a file."""

    def __init__(self):
        raise TypeError("OpenFile.get_range() makes these")

    def __len__(self):
        return self.remaining

    cdef int read_all(self, char *data) except -1:
        """Read all that is left: 1, or 0 when it is not to be had at once."""
        return self.read_some(data, self.remaining) == self.remaining

    cdef bint advance(self, int64_t size) noexcept:
        """Forget what was sent; say whether that was all."""
        self.offset += size
        self.remaining -= size
        return self.remaining == 0

    cdef ssize_t read_some(self, char *data, size_t size) except -3:
        """Read what comes next, which is not taken from what is left; -2 when there is nothing."""
        cdef ssize_t count
        while True:
            count = pread(self.file.fd, data, min(size, <size_t>self.remaining), self.offset)
            if count > 0:
                return count
            if count == 0 or errno != EINTR:
                return -2


def log_truncation(FileRange piece not None):
    """Say that a file ended before what had been announced of it."""
    log.error("a file ended %d bytes early while it was sent: it was truncated, or cannot be read; "
              "its client is disconnected", piece.remaining)

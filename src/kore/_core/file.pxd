"""An open file, and pieces of it on their way out."""

from libc.stdint cimport int64_t, uint64_t


cdef class OpenFile:
    cdef int fd                 # its own: closed when the last piece is gone
    cdef readonly int64_t size
    cdef int64_t mtime_second
    cdef int64_t mtime_nanosecond
    cdef readonly uint64_t inode
    cdef readonly bint is_regular
    cdef readonly bint is_directory

    cdef int read_status(self) except -1


cdef class FileRange:
    cdef OpenFile file
    cdef int64_t offset           # the first byte that is still to be sent
    cdef int64_t remaining
    cdef bint use_copy          # through memory: sendfile() cannot do it here

    cdef int read_all(self, char *data) except -1
    cdef bint advance(self, int64_t size) noexcept
    cdef ssize_t read_some(self, char *data, size_t size) except -3

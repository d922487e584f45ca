"""An open file, and pieces of it on their way out."""

from libc.stdint cimport int64_t, uint64_t


cdef class File:
    cdef int fd                 # its own: closed when the last piece is gone
    cdef readonly int64_t size
    cdef int64_t mtime_second
    cdef int64_t mtime_nanosecond
    cdef readonly uint64_t inode
    cdef readonly bint is_regular
    cdef readonly bint is_directory

    cdef int look(self) except -1


cdef class Piece:
    cdef File file
    cdef int64_t at             # the first byte that is still to be sent
    cdef int64_t left
    cdef bint copied            # through memory: sendfile() cannot do it here

    cdef int read(self, char *data) except -1
    cdef bint take(self, int64_t size) noexcept
    cdef ssize_t next(self, char *data, size_t size) except -3

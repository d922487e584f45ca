"""Open files, and ranges of them that are to be sent; see file.pyx."""

from libc.stdint cimport int64_t, uint64_t


cdef class OpenFile:
    cdef int fd                     # owned: closed with this object, so after its last range
    cdef readonly int64_t size
    cdef int64_t mtime_second
    cdef int64_t mtime_nanosecond
    cdef readonly uint64_t inode
    cdef readonly bint is_regular
    cdef readonly bint is_directory

    cdef int read_status(self) except -1


cdef class FileRange:
    cdef OpenFile file
    cdef int64_t offset             # of the first byte that is not yet sent
    cdef int64_t remaining          # bytes that are not yet sent
    cdef bint use_copy              # read and send, because sendfile(2) does not work here

    cdef int read_all(self, char *data) except -1
    cdef bint advance(self, int64_t size) noexcept
    cdef ssize_t read_some(self, char *data, size_t size) except -3

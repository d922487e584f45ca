"""A request body on its way in."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from kore._core.chunked cimport Chunks


cdef class BodyReader:
    cdef PyObject *data         # bytes that nobody else knows yet
    cdef size_t capacity
    cdef size_t size            # bytes of it that are there
    cdef size_t batch_size   # taken in pieces of about so many bytes; 0: as a whole
    cdef readonly int64_t total      # in all, taken or not
    cdef int64_t length         # announced, or -1 for chunked
    cdef int64_t size_max
    cdef readonly bint complete
    cdef Chunks chunks

    cdef int start(self, int64_t length, int64_t most) except -1
    cdef Py_ssize_t feed(self, const char *data, size_t size) except? -1
    cdef char *reserve_tail(self, size_t *size) except NULL
    cdef int add_received(self, size_t size) except -1
    cdef int64_t remaining(self) noexcept
    cdef bytes take(self)
    cdef int reserve(self, size_t size) except -1
    cdef int keep(self, const char *data, size_t size) except -1
    cdef Py_ssize_t feed_chunked(self, const char *data, size_t size) except? -1

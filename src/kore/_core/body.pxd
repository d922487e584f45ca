"""A request body while it is being received; see body.pyx."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from kore._core.chunked cimport ChunkDecoder


cdef class BodyReader:
    cdef PyObject *data             # a bytes object of which we hold the only reference
    cdef size_t capacity            # its size
    cdef size_t size                # bytes of it that are filled
    cdef size_t batch_size          # bytes after which `take` is called; 0: at the end
    cdef readonly int64_t total     # bytes received so far, taken or not
    cdef int64_t length             # the announced length, or -1 for chunked
    cdef int64_t size_max           # larger bodies are refused
    cdef readonly bint complete
    cdef size_t refused_at          # offset, in the data last fed, of the bytes that were refused
    cdef ChunkDecoder chunks

    cdef int start(self, int64_t length, int64_t size_max) except -1
    cdef Py_ssize_t feed(self, const char *data, size_t size) except? -1
    cdef char *reserve_tail(self, size_t *size) except NULL
    cdef int add_received(self, size_t size) except -1
    cdef int64_t remaining(self) noexcept
    cdef bytes take(self)
    cdef int reserve(self, size_t size) except -1
    cdef int copy_in(self, const char *data, size_t size) except -1
    cdef Py_ssize_t feed_chunked(self, const char *data, size_t size) except? -1

"""Response heads, as bytes."""

from libc.stdint cimport int64_t

from kore._core.buffer cimport Buffer, Pool


cdef struct Reply:
    int status
    bint keep           # the connection goes on
    bint chunked
    int64_t length      # Content-Length; negative for none
    bint secure         # the client came over TLS


cdef class Writer:
    cdef bytes server
    cdef bytes alive
    cdef int64_t second
    cdef bytes date
    cdef bytes kept
    cdef bytes closed
    cdef bytes hsts

    cdef int head(self, Buffer *out, Pool *pool, Reply *reply, list fields) except -1
    cdef int interim(self, Buffer *out, Pool *pool, int status, list fields) except -1
    cdef int upgrade(self, Buffer *out, Pool *pool, list fields) except -1
    cdef int put_fields(self, Buffer *out, Pool *pool, Reply *reply, list fields) except -1
    cdef int tick(self, int64_t second) except -1


cdef tuple apology(int status, bint pretty)
cdef int check_final(int status) except -1

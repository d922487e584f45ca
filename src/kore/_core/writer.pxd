"""Response heads, as bytes."""

from libc.stdint cimport int64_t

from kore._core.buffer cimport Buffer, Pool


cdef struct ResponseHead:
    int status
    bint keep           # the connection goes on
    bint chunked
    int64_t length      # Content-Length; negative for none
    bint secure         # the client came over TLS


cdef class HeadWriter:
    cdef bytes server
    cdef bytes alive
    cdef int64_t second
    cdef bytes date
    cdef bytes kept
    cdef bytes closed
    cdef bytes hsts

    cdef int write_head(self, Buffer *out, Pool *pool, ResponseHead *reply, list fields) except -1
    cdef int write_interim(self, Buffer *out, Pool *pool, int status, list fields) except -1
    cdef int write_upgrade(self, Buffer *out, Pool *pool, list fields) except -1
    cdef int write_fields(self, Buffer *out, Pool *pool, ResponseHead *reply,
                          list fields) except -1
    cdef int update_date(self, int64_t second) except -1


cdef tuple error_page(int status, bint pretty)
cdef int check_final_status(int status) except -1

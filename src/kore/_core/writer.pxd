"""Write response heads, as bytes of HTTP/1; see writer.pyx."""

from libc.stdint cimport int64_t

from kore._core.buffer cimport Buffer, Pool


cdef struct ResponseHead:
    int status
    bint keep           # the connection stays open for another request
    bint chunked
    int64_t length      # Content-Length; negative: none
    bint hsts           # Strict-Transport-Security is to be sent


cdef class HeadWriter:
    cdef bytes server_line
    cdef bytes keep_alive_lines
    cdef bytes hsts_line
    cdef int64_t second             # that the lines below are of
    cdef bytes date_line
    cdef bytes keep_alive_block     # server, date and connection: keep-alive
    cdef bytes close_block          # server, date and connection: close

    cdef int write_head(self, Buffer *out, Pool *pool, ResponseHead *head, list fields) except -1
    cdef int write_interim(self, Buffer *out, Pool *pool, int status, list fields) except -1
    cdef int write_hsts(self, Buffer *out, Pool *pool, list fields) except -1
    cdef int write_upgrade(self, Buffer *out, Pool *pool, list fields, bint hsts) except -1
    cdef int write_fields(self, Buffer *out, Pool *pool, ResponseHead *head, list fields) except -1
    cdef int update_date(self, int64_t second) except -1


cdef bytes PLAIN_TEXT           # media type of a text

cdef tuple error_page(int status, bint pretty)
cdef int check_final_status(int status) except -1

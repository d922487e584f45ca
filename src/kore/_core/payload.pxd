"""What may be said over a WebSocket."""

from libc.stdint cimport int64_t


cdef class Terms:
    cdef readonly int64_t maxframe      # bytes
    cdef readonly int64_t maxmessage
    cdef readonly int64_t buffer_max
    cdef readonly int64_t idle_ms       # 0: for ever
    cdef readonly int64_t ping_ms       # 0: never
    cdef readonly int64_t close_ms
    cdef readonly bint raises           # a send that does not fit, instead of closing
    cdef readonly bytes label           # of the route


cdef int checked(op) except -1
cdef bytes payload_of(int op, object data)
cdef bytes close_payload(int code, str reason)
cdef int check_code(code, reason) except -1

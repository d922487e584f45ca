"""What may be said over a WebSocket."""

from libc.stdint cimport int64_t


cdef class WebSocketOptions:
    cdef readonly int64_t maxframe      # bytes
    cdef readonly int64_t maxmessage
    cdef readonly int64_t buffer_max
    cdef readonly int64_t idle_timeout_ms       # 0: for ever
    cdef readonly int64_t ping_interval_ms       # 0: never
    cdef readonly int64_t close_timeout_ms
    cdef readonly bint raise_when_full           # a send that does not fit, instead of closing
    cdef readonly bytes label           # of the route


cdef int check_opcode(op) except -1
cdef bytes encode_payload(int op, object data)
cdef bytes build_close_payload(int code, str reason)
cdef int check_close_code(code, reason) except -1

"""Limits of a route's WebSockets, and checks of what an application sends; see ws_options.pyx."""

from libc.stdint cimport int64_t


cdef class WebSocketOptions:
    cdef readonly int64_t frame_max             # bytes
    cdef readonly int64_t message_max           # bytes
    cdef readonly int64_t buffer_max            # bytes that wait to be sent
    cdef readonly int64_t idle_timeout_ms       # 0: no limit
    cdef readonly int64_t ping_interval_ms      # 0: no pings
    cdef readonly int64_t close_timeout_ms
    cdef readonly bint raise_when_full          # a send beyond buffer_max raises, else it closes
    cdef readonly bytes label                   # of the route


cdef int check_opcode(op) except -1
cdef bytes encode_payload(int op, object data)
cdef bytes build_close_payload(int code, str reason)
cdef int check_close_code(code, reason) except -1

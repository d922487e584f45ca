"""What may be sent over a WebSocket."""

cdef int checked(op) except -1
cdef bytes payload_of(int op, object data)
cdef bytes close_payload(int code, str reason)
cdef int check_code(code, reason) except -1

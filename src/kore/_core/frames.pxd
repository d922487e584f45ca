"""WebSocket frames (RFC 6455 section 5), as spans of the buffer they are in; see frames.pyx."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef enum Opcode:
    OP_CONTINUATION = 0
    OP_TEXT = 1
    OP_BINARY = 2
    OP_CLOSE = 8
    OP_PING = 9
    OP_PONG = 10

cdef enum:
    FRAME_HEAD_MAX = 10     # bytes before the payload of a frame that is not masked
    UTF8_STATE_MAX = 7      # the highest state of `check_utf8`

cdef enum CloseCode:        # RFC 6455 section 7.4.1
    CLOSE_PROTOCOL_ERROR = 1002
    CLOSE_NO_STATUS = 1005
    CLOSE_INVALID_DATA = 1007
    CLOSE_TOO_BIG = 1009


cdef struct Frame:
    int opcode
    bint fin
    bint compressed         # RSV1 is set in a message's first frame, RFC 7692 section 6
    uint8_t mask[4]
    uint64_t length         # of the payload


cdef int parse_frame_head(const char *data, size_t size, bint compression,
                          Frame *frame) noexcept nogil
cdef void unmask_payload(char *data, size_t size, const uint8_t *mask, size_t offset) noexcept nogil
cdef int write_frame_head(char *out, int opcode, bint compressed, uint64_t length) noexcept nogil
cdef bint check_utf8(uint32_t *state, const char *data, size_t size) noexcept nogil
cdef int parse_close_code(const char *payload, size_t size) noexcept nogil

"""WebSocket frames, RFC 6455 section 5, as spans of somebody else's bytes."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef enum Opcode:
    OP_CONTINUATION = 0
    OP_TEXT = 1
    OP_BINARY = 2
    OP_CLOSE = 8
    OP_PING = 9
    OP_PONG = 10

cdef enum:
    FRAME_HEAD_MAX = 10       # bytes before the payload of a frame that is not masked


cdef struct Frame:
    int op
    bint fin
    bint packed         # RSV1 of its first frame: the message is compressed, RFC 7692 6
    uint8_t key[4]      # what masks the payload
    uint64_t length     # of the payload


cdef int parse_frame_head(const char *data, size_t size, bint packing, Frame *frame) noexcept nogil
cdef void unmask(char *data, size_t size, const uint8_t *key, size_t at) noexcept nogil
cdef int write_frame_head(char *place, int op, bint packed, uint64_t length) noexcept nogil
cdef bint check_utf8(uint32_t *state, const char *data, size_t size) noexcept nogil
cdef int parse_close_code(const char *payload, size_t size) noexcept nogil

"""WebSocket frames, RFC 6455 section 5, as spans of somebody else's bytes."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef enum Op:
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10

cdef enum:
    HEAD_MAX = 10       # bytes before the payload of a frame that is not masked


cdef struct Frame:
    int op
    bint fin
    bint packed         # RSV1 of its first frame: the message is compressed, RFC 7692 6
    uint8_t key[4]      # what masks the payload
    uint64_t length     # of the payload


cdef int next_frame(const char *data, size_t size, bint packing, Frame *frame) noexcept nogil
cdef void unmask(char *data, size_t size, const uint8_t *key, size_t at) noexcept nogil
cdef int frame_head(char *place, int op, bint packed, uint64_t length) noexcept nogil
cdef bint utf8_goes_on(uint32_t *state, const char *data, size_t size) noexcept nogil
cdef int close_code(const char *payload, size_t size) noexcept nogil

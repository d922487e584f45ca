# cython: language_level=3, boundscheck=False, wraparound=False
"""Read and write WebSocket frames (RFC 6455 section 5): heads, masks, UTF-8, close codes.

Functions on bytes and a few numbers; no I/O, no allocation, no Python objects. What is refused is
returned as minus the code that the connection has to be closed with (section 7.4.1).

   0                   1                   2                   3
   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
  +-+-+-+-+-------+-+-------------+-------------------------------+
  |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
  |I|S|S|S|  (4)  |A|     (7)     |             (16/64)           |
  |N|V|V|V|       |S|             |   (if payload len==126/127)   |
  | |1|2|3|       |K|             |                               |
  +-+-+-+-+-------+-+-------------+-------------------------------+
"""

from libc.string cimport memcpy

cdef enum:
    FIN = 0x80
    RSV1 = 0x40
    RSV_BITS = 0x70
    OPCODE_BITS = 0x0f
    CONTROL_BIT = 0x08
    MASK_BIT = 0x80
    CONTROL_SIZE_MAX = 125      # bytes of a control frame's payload, section 5.5
    LENGTH_16 = 126             # the length is in the next 2 bytes
    LENGTH_64 = 127             # the length is in the next 8 bytes

# States of the UTF-8 decoder (RFC 3629 section 4): how many continuation bytes the character still
# needs, and after some first bytes a narrower range for the next one, which excludes overlong
# forms, surrogates, and code points above U+10FFFF.
cdef enum Utf8State:
    UTF8_ACCEPT = 0
    UTF8_NEEDS_1 = 1
    UTF8_NEEDS_2 = 2
    UTF8_NEEDS_3 = 3
    UTF8_AFTER_E0 = 4
    UTF8_AFTER_ED = 5
    UTF8_AFTER_F0 = 6
    UTF8_AFTER_F4 = 7


cdef int parse_frame_head(const char *data, size_t size, bint compression,
                          Frame *frame) noexcept nogil:
    """Parse a client's frame head: return its size, 0 if it is incomplete, or minus a close code.

    A client's frame must be masked (section 5.1). *compression*: permessage-deflate was agreed on,
    so RSV1 is allowed in the first frame of a message.
    """
    cdef const uint8_t *raw = <const uint8_t *>data
    cdef int used = 2
    cdef int i
    if size < 2:
        return 0
    frame.opcode = raw[0] & OPCODE_BITS
    frame.fin = raw[0] & FIN != 0
    frame.compressed = raw[0] & RSV1 != 0
    frame.length = raw[1] & ~MASK_BIT
    if not is_valid_head(raw[0], raw[1], compression):
        return -CLOSE_PROTOCOL_ERROR
    if frame.length >= LENGTH_16:
        used = 4 if frame.length == LENGTH_16 else 10
        if size < <size_t>used:
            return 0
        frame.length = 0
        for i in range(2, used):
            frame.length = frame.length << 8 | raw[i]
        # Section 5.2: the shortest form must be used, and the highest bit must be 0.
        if frame.length <= (CONTROL_SIZE_MAX if used == 4 else 0xffff) or frame.length >> 63:
            return -CLOSE_PROTOCOL_ERROR
    if size < <size_t>used + 4:
        return 0
    memcpy(frame.mask, raw + used, 4)
    return used + 4


cdef bint is_valid_head(uint8_t first, uint8_t second, bint compression) noexcept nogil:
    cdef int opcode = first & OPCODE_BITS
    cdef uint8_t allowed = 0
    if compression and (opcode == OP_TEXT or opcode == OP_BINARY):
        allowed = RSV1
    if first & RSV_BITS & ~allowed or not second & MASK_BIT:
        return False
    if opcode & CONTROL_BIT:
        return opcode <= OP_PONG and first & FIN and second & ~MASK_BIT <= CONTROL_SIZE_MAX
    return opcode <= OP_BINARY


cdef void unmask_payload(char *data, size_t size, const uint8_t *mask,
                         size_t offset) noexcept nogil:
    """Remove the mask in place (section 5.3); *data* begins at byte *offset* of the payload."""
    cdef uint8_t rotated[8]
    cdef uint64_t wide, word
    cdef size_t i
    for i in range(8):
        rotated[i] = mask[(offset + i) & 3]
    memcpy(&wide, rotated, 8)
    for i in range(size >> 3):      # 8 bytes at a time; the compiler makes 16 or more of it
        memcpy(&word, data + i * 8, 8)
        word ^= wide
        memcpy(data + i * 8, &word, 8)
    for i in range(size & ~<size_t>7, size):
        data[i] = <char>(<uint8_t>data[i] ^ rotated[i & 7])


cdef int write_frame_head(char *out, int opcode, bint compressed, uint64_t length) noexcept nogil:
    """Write the head of a message in one frame, not masked; return its size."""
    cdef uint8_t *raw = <uint8_t *>out
    cdef int size = 2
    cdef int i
    raw[0] = <uint8_t>(FIN | (RSV1 if compressed else 0) | opcode)
    if length < LENGTH_16:
        raw[1] = <uint8_t>length
        return size
    size = 4 if length <= 0xffff else 10
    raw[1] = LENGTH_16 if size == 4 else LENGTH_64
    for i in range(size - 1, 1, -1):
        raw[i] = <uint8_t>(length & 0xff)
        length >>= 8
    return size


cdef bint check_utf8(uint32_t *state, const char *data, size_t size) noexcept nogil:
    """Return whether *data* continues a text in UTF-8 (RFC 3629 section 4), and advance *state*.

    The state of a text is 0 at its beginning, and again between two characters.
    """
    cdef const uint8_t *raw = <const uint8_t *>data
    cdef uint64_t word
    cdef size_t i = 0
    while i < size:
        if state[0] == UTF8_ACCEPT:
            while i + 8 <= size:    # 8 bytes of ASCII at a time
                memcpy(&word, raw + i, 8)
                if word & 0x8080808080808080ULL:
                    break
                i += 8
            if i == size:
                break
        if not check_utf8_byte(state, raw[i]):
            return False
        i += 1
    return True


cdef inline bint check_utf8_byte(uint32_t *state, uint8_t c) noexcept nogil:
    cdef uint32_t now = state[0]
    if now == UTF8_ACCEPT:
        return check_utf8_first(state, c)
    if c & 0xc0 != 0x80:
        return False
    if (now == UTF8_AFTER_E0 and c < 0xa0) or (now == UTF8_AFTER_ED and c > 0x9f):
        return False
    if (now == UTF8_AFTER_F0 and c < 0x90) or (now == UTF8_AFTER_F4 and c > 0x8f):
        return False
    if now <= UTF8_NEEDS_3:
        state[0] = now - 1
    else:
        state[0] = UTF8_NEEDS_1 if now <= UTF8_AFTER_ED else UTF8_NEEDS_2
    return True


cdef inline bint check_utf8_first(uint32_t *state, uint8_t c) noexcept nogil:
    if c < 0x80:
        return True
    if 0xc2 <= c <= 0xdf:
        state[0] = UTF8_NEEDS_1
    elif c == 0xe0:
        state[0] = UTF8_AFTER_E0
    elif c == 0xed:
        state[0] = UTF8_AFTER_ED
    elif 0xe1 <= c <= 0xef:
        state[0] = UTF8_NEEDS_2
    elif c == 0xf0:
        state[0] = UTF8_AFTER_F0
    elif 0xf1 <= c <= 0xf3:
        state[0] = UTF8_NEEDS_3
    elif c == 0xf4:
        state[0] = UTF8_AFTER_F4
    else:
        return False
    return True


cdef int parse_close_code(const char *payload, size_t size) noexcept nogil:
    """Return the code of a close frame, 1005 if it has none, or minus the code to refuse it with.

    Section 7.4: 1004 to 1006 and 1015 are never sent, 1000 to 2999 are for the protocol, 3000 to
    4999 for libraries and applications. Of the codes that were registered later, up to 1014 are
    known.
    """
    cdef const uint8_t *raw = <const uint8_t *>payload
    cdef uint32_t state = UTF8_ACCEPT
    cdef int code
    if size == 0:
        return CLOSE_NO_STATUS
    if size == 1:
        return -CLOSE_PROTOCOL_ERROR
    code = raw[0] << 8 | raw[1]
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        return -CLOSE_PROTOCOL_ERROR
    if not check_utf8(&state, payload + 2, size - 2) or state != UTF8_ACCEPT:
        return -CLOSE_INVALID_DATA
    return code

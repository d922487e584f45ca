# cython: language_level=3, boundscheck=False, wraparound=False
"""Read and write WebSocket frames, RFC 6455 section 5: heads, masks, UTF-8, close codes. Pure."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

cdef enum:
    FIN = 0x80
    RSV1 = 0x40
    RSV = 0x70
    OP = 0x0f
    CONTROL = 0x08
    MASKED = 0x80
    CONTROL_MAX = 125   # bytes of a control frame's payload, 5.5

    PROTOCOL_ERROR = 1002

    ACCEPT = 0          # between two characters

    # What a character needs yet: the rest of its bytes, and the range of the next one where that
    # is not all continuation bytes: overlong forms, surrogates, what is above U+10FFFF end there.
    ONE = 1
    TWO = 2
    THREE = 3
    AFTER_E0 = 4
    AFTER_ED = 5
    AFTER_F0 = 6
    AFTER_F4 = 7


cdef int parse_frame_head(const char *data, size_t size, bint packing, Frame *frame) noexcept nogil:
    """Read a frame's head: its size, 0 when more must come, or minus a close code.

    Only what a client may send: it has to mask (5.1). *packing*: RSV1 has a meaning.
    """
    cdef const uint8_t *raw = <const uint8_t *>data
    cdef int used = 2
    cdef int i
    if size < 2:
        return 0
    frame.op = raw[0] & OP
    frame.fin = raw[0] & FIN != 0
    frame.packed = raw[0] & RSV1 != 0
    frame.length = raw[1] & ~MASKED
    if not proper(raw[0], raw[1], packing):
        return -PROTOCOL_ERROR
    if frame.length > CONTROL_MAX:
        used = 4 if frame.length == 126 else 10
        if size < <size_t>used:
            return 0
        frame.length = 0
        for i in range(2, used):
            frame.length = frame.length << 8 | raw[i]
        # The shortest form must be used, and the highest bit be 0: 5.2.
        if frame.length <= (CONTROL_MAX if used == 4 else 0xffff) or frame.length >> 63:
            return -PROTOCOL_ERROR
    if size < <size_t>used + 4:
        return 0
    memcpy(frame.key, raw + used, 4)
    return used + 4


cdef bint proper(uint8_t first, uint8_t second, bint packing) noexcept nogil:
    cdef int op = first & OP
    cdef uint8_t allowed = RSV1 if packing and (op == OP_TEXT or op == OP_BINARY) else 0
    if first & RSV & ~allowed or not second & MASKED:
        return False
    if op & CONTROL:
        return op <= OP_PONG and first & FIN and second & ~MASKED <= CONTROL_MAX
    return op <= OP_BINARY


cdef void unmask(char *data, size_t size, const uint8_t *key, size_t at) noexcept nogil:
    """Undo the mask in place; *data* begins at byte *at* of the payload."""
    cdef uint8_t turned[8]
    cdef uint64_t wide, word
    cdef size_t i
    for i in range(8):
        turned[i] = key[(at + i) & 3]
    memcpy(&wide, turned, 8)
    for i in range(size >> 3):      # eight at a time, which compilers make sixteen or more
        memcpy(&word, data + i * 8, 8)
        word ^= wide
        memcpy(data + i * 8, &word, 8)
    for i in range(size & ~<size_t>7, size):
        data[i] = <char>(<uint8_t>data[i] ^ turned[i & 7])


cdef int write_frame_head(char *place, int op, bint packed, uint64_t length) noexcept nogil:
    """Write the head of a whole message in one frame, not masked; return its size."""
    cdef uint8_t *out = <uint8_t *>place
    cdef int size = 2
    cdef int i
    out[0] = <uint8_t>(FIN | (RSV1 if packed else 0) | op)
    if length <= CONTROL_MAX:
        out[1] = <uint8_t>length
        return size
    size = 4 if length <= 0xffff else 10
    out[1] = 126 if size == 4 else 127
    for i in range(size - 1, 1, -1):
        out[i] = <uint8_t>(length & 0xff)
        length >>= 8
    return size


cdef bint check_utf8(uint32_t *state, const char *data, size_t size) noexcept nogil:
    """Check that *data* goes on a text in UTF-8 (RFC 3629 section 4), which is at *state*.

    At the end of a text the state is 0.
    """
    cdef const uint8_t *raw = <const uint8_t *>data
    cdef uint64_t word
    cdef size_t i = 0
    while i < size:
        if state[0] == ACCEPT:
            while i + 8 <= size:    # as long as it is all ASCII
                memcpy(&word, raw + i, 8)
                if word & 0x8080808080808080ULL:
                    break
                i += 8
            if i == size:
                break
        if not utf8_step(state, raw[i]):
            return False
        i += 1
    return True


cdef inline bint utf8_step(uint32_t *state, uint8_t c) noexcept nogil:
    cdef uint32_t now = state[0]
    if now == ACCEPT:
        return utf8_first(state, c)
    if c & 0xc0 != 0x80:
        return False
    if (now == AFTER_E0 and c < 0xa0) or (now == AFTER_ED and c > 0x9f):
        return False
    if (now == AFTER_F0 and c < 0x90) or (now == AFTER_F4 and c > 0x8f):
        return False
    if now <= THREE:
        state[0] = now - 1
    else:
        state[0] = ONE if now <= AFTER_ED else TWO
    return True


cdef inline bint utf8_first(uint32_t *state, uint8_t c) noexcept nogil:
    if c < 0x80:
        return True
    if 0xc2 <= c <= 0xdf:
        state[0] = ONE
    elif c == 0xe0:
        state[0] = AFTER_E0
    elif c == 0xed:
        state[0] = AFTER_ED
    elif 0xe1 <= c <= 0xef:
        state[0] = TWO
    elif c == 0xf0:
        state[0] = AFTER_F0
    elif 0xf1 <= c <= 0xf3:
        state[0] = THREE
    elif c == 0xf4:
        state[0] = AFTER_F4
    else:
        return False
    return True


cdef int parse_close_code(const char *payload, size_t size) noexcept nogil:
    """Return the code of a close frame, 1005 when it has none, or minus the one that refuses it.

    Section 7.4: 1004 to 1006 and 1015 are never sent, and 1000 to 2999 are for the protocol. The
    codes after 1011 were registered later, up to 1014.
    """
    cdef const uint8_t *raw = <const uint8_t *>payload
    cdef uint32_t state = ACCEPT
    cdef int code
    if size == 0:
        return 1005
    if size == 1:
        return -PROTOCOL_ERROR
    code = raw[0] << 8 | raw[1]
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        return -PROTOCOL_ERROR
    if not check_utf8(&state, payload + 2, size - 2) or state != ACCEPT:
        return -1007
    return code


# The same for Python: for tests, and for what happens once in a connection's life.


def read_frame(bytes data not None, *, bint packing=False):
    """Return `(used, op, fin, packed, key, length)` of a frame's head, or a close code, or None."""
    cdef Frame frame
    cdef int used = parse_frame_head(PyBytes_AS_STRING(data), len(data), packing, &frame)
    if used <= 0:
        return -used or None
    key = (<char *>frame.key)[:4]
    return used, frame.op, bool(frame.fin), bool(frame.packed), key, frame.length


def masked(bytes data not None, bytes key not None, size_t at=0):
    """Return *data* with a mask of four bytes put on, or taken off."""
    cdef bytes copy = PyBytes_FromStringAndSize(PyBytes_AS_STRING(data), len(data))
    if len(key) != 4:
        raise ValueError(f"a mask has 4 bytes, not {len(key)}")
    if len(data) < 2:   # Python keeps one object for each of these
        return bytes(c ^ key[(at + i) & 3] for i, c in enumerate(data))
    unmask(PyBytes_AS_STRING(copy), len(copy), <const uint8_t *>PyBytes_AS_STRING(key), at)
    return copy


def built_frame(int op, data not None, *, bint packed=False):
    """Return a message as one frame, as a server sends it."""
    cdef char head[FRAME_HEAD_MAX]
    cdef int size = write_frame_head(head, op, packed, len(data))
    return head[:size] + bytes(data)


def utf8_state(bytes data not None, uint32_t state=0):
    """Return where a text in UTF-8 is after *data*: 0 between characters, None for what is none."""
    if state > AFTER_F4:
        raise ValueError(f"there is no state {state}")
    return state if check_utf8(&state, PyBytes_AS_STRING(data), len(data)) else None


def code_of(bytes payload not None):
    """Return the code of a close frame, 1005 for none; negative when it must be refused."""
    return parse_close_code(PyBytes_AS_STRING(payload), len(payload))

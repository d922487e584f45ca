# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Put WebSocket messages together, RFC 6455 section 5.4: bytes in, whole messages out. Pure.

Nothing is set aside for what a frame announces: memory grows with what has come, and a length over
a limit is refused before the first byte of it. Text is checked as it comes, section 8.1.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdlib cimport free

from kore._core.buffer cimport Pool, append_bytes, buffered_size, drain_pool, return_block
from kore._core.frames cimport (
    OP_BINARY, OP_CLOSE, OP_CONTINUATION, OP_TEXT, check_utf8, parse_close_code, parse_frame_head,
    unmask)

cdef enum:
    CONTROL_BIT = 0x08
    PROTOCOL_ERROR = 1002
    NOT_UTF8 = 1007
    TOO_BIG = 1009

    # What deflate may add to data that it cannot make smaller: an eighth, which is zlib's bound for
    # the worst that can be asked of it, and something for each end of a block.
    ADDED = 128

# What a compressed message ends with and does not say, RFC 7692 section 7.2.2.
cdef bytes TAIL = b"\x00\x00\xff\xff"


cdef inline uint64_t on_the_wire(uint64_t limit, bint packed) noexcept nogil:
    """Return how many bytes may come for *limit* of them that a compressed message stands for."""
    return limit + (limit >> 3) + ADDED if packed else limit


cdef class MessageAssembler:
    """The messages of one client."""

    def __dealloc__(self):
        free(self.pile.data)        # to the heap: the pool may be gone already

    cdef int begin(self, uint64_t frame_max, uint64_t message_max, object inflate,
                   Pool *pool) except -1:
        """Refuse longer frames and messages with 1009.

        *inflate(data, most)* decompresses a message, to at most so many bytes, or raises
        ValueError; None: no message may be compressed. *pool* has to live as long as messages
        are read.
        """
        self.frame_max = frame_max
        self.message_max = message_max
        self.inflate = inflate
        self.pool = pool
        return 0

    cdef int feed(self, char *data, size_t size, size_t *used) except? -1:
        """Go on with *size* bytes, which are changed: an Event, or minus a close code.

        *used* says how many bytes are done with; the others are for the next call.
        """
        cdef size_t at = 0
        cdef size_t part
        cdef int event
        while True:
            if not self.inside:
                event = parse_frame_head(
                    data + at, size - at, self.inflate is not None, &self.frame)
                if event <= 0:
                    used[0] = at
                    return event
                at += event
                event = self.enter()
                if event < 0:
                    return event
            part = <size_t>min(<uint64_t>(size - at), self.left)
            event = self.take(data + at, part)
            at += part
            used[0] = at
            if event != MORE or self.inside:
                return event

    cdef int enter(self) except? -1:
        """Begin a frame: does it stand where it may, and is it not too long?"""
        cdef Frame *frame = &self.frame
        cdef bint packed
        self.left = frame.length
        self.inside = True
        if frame.op & CONTROL_BIT:
            self.controlled = 0
            return MORE
        if (frame.op == OP_CONTINUATION) != (self.op != 0):
            return -PROTOCOL_ERROR
        packed = frame.packed if frame.op != OP_CONTINUATION else self.packed
        if frame.length > on_the_wire(self.frame_max, packed):
            return -TOO_BIG
        if frame.length > on_the_wire(self.message_max, packed) - buffered_size(&self.pile):
            return -TOO_BIG
        if frame.op != OP_CONTINUATION:
            self.op = frame.op
            self.packed = packed
            self.text = 0
        return MORE

    cdef int take(self, char *data, size_t size) except? -1:
        cdef size_t done = <size_t>(self.frame.length - self.left)
        cdef bint ends
        unmask(data, size, self.frame.key, done)
        self.left -= size
        self.inside = self.left > 0
        if self.frame.op & CONTROL_BIT:
            return self.take_control(data, size)
        ends = self.frame.fin and not self.inside
        if ends and not buffered_size(&self.pile) and not self.packed:
            return self.whole(data, size)
        if self.op == OP_TEXT and not self.packed and not check_utf8(&self.text, data, size):
            return -NOT_UTF8
        if size:
            append_bytes(&self.pile, data, size, self.pool)
        if not ends:
            return MORE
        if self.packed:
            return self.whole_packed()
        return self.whole(self.pile.data + self.pile.start, buffered_size(&self.pile))

    cdef int take_control(self, char *data, size_t size) except? -1:
        cdef size_t i
        cdef int code
        for i in range(size):
            self.control[self.controlled + i] = data[i]
        self.controlled += size
        if self.inside:
            return MORE
        self.kind = self.frame.op
        self.payload = PyBytes_FromStringAndSize(self.control, self.controlled)
        if self.kind == OP_CLOSE:
            code = parse_close_code(self.control, self.controlled)
            if code < 0:
                return code
        return CONTROL

    cdef int whole(self, char *data, size_t size) except? -1:
        """The message is complete: make an object of it."""
        self.kind = self.op
        if self.op == OP_BINARY:
            self.payload = PyBytes_FromStringAndSize(data, size)
        else:
            try:
                self.payload = PyUnicode_DecodeUTF8(data, size, NULL)
            except UnicodeDecodeError:
                return -NOT_UTF8
        self.drop()
        return MESSAGE

    cdef int whole_packed(self) except? -1:
        cdef bytes packed, data
        append_bytes(&self.pile, PyBytes_AS_STRING(TAIL), PyBytes_GET_SIZE(TAIL), self.pool)
        packed = PyBytes_FromStringAndSize(
            self.pile.data + self.pile.start, buffered_size(&self.pile))
        try:
            data = self.inflate(packed, self.message_max + 1)
        except ValueError:
            return -NOT_UTF8    # 1007: data that are not consistent with the type of the message
        if <uint64_t>len(data) > self.message_max:
            return -TOO_BIG
        return self.whole(PyBytes_AS_STRING(data), len(data))

    cdef void drop(self) noexcept:
        """Forget what was read of a message."""
        return_block(&self.pile, self.pool)
        self.op = 0


cdef class Messages:
    """The same for Python, for tests: feed bytes, get a list of what they hold."""

    cdef MessageAssembler reader
    cdef Pool pool

    def __init__(self, *, uint64_t frame_max=1 << 20, uint64_t message_max=1 << 20, inflate=None):
        self.reader = MessageAssembler()
        self.reader.begin(frame_max, message_max, inflate, &self.pool)
        self.rest = b""

    def __dealloc__(self):
        drain_pool(&self.pool)

    cdef public bytes rest      # what is for the next call

    def feed(self, bytes data not None):
        """Return `(kind, payload)` of each message; a close code, alone, ends the list."""
        cdef bytearray work = bytearray(self.rest + data)
        cdef size_t at = 0
        cdef size_t used = 0
        cdef int event = MESSAGE
        found = []
        while event > 0:
            event = self.reader.feed(<char *>work + at, len(work) - at, &used)
            at += used
            if event > 0:
                found.append((self.reader.kind, self.reader.payload))
        self.rest = bytes(work[at:])
        return [*found, -event] if event < 0 else found

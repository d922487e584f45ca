# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Assemble WebSocket messages from frames (RFC 6455 section 5.4): bytes in, messages out. No I/O.

No memory is allocated for an announced length: it grows with what has arrived, and a length above
a limit is refused before its first byte. Text is checked while it arrives, as section 8.1 asks.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdlib cimport free

from kore._core.buffer cimport Pool, append_bytes, buffered_size, return_block
from kore._core.frames cimport (
    CLOSE_INVALID_DATA, CLOSE_PROTOCOL_ERROR, CLOSE_TOO_BIG, OP_BINARY, OP_CLOSE, OP_CONTINUATION,
    OP_TEXT, check_utf8, parse_close_code, parse_frame_head, unmask_payload)

cdef enum:
    CONTROL_BIT = 0x08
    # Deflate can make incompressible data larger: by an eighth at most, zlib's bound for its worst
    # parameters, and by some bytes for the end of each block.
    DEFLATE_OVERHEAD = 128

# Removed by the sender from the end of each compressed message, RFC 7692 section 7.2.2.
cdef bytes DEFLATE_TAIL = b"\x00\x00\xff\xff"


cdef inline uint64_t wire_limit(uint64_t limit, bint compressed) noexcept nogil:
    """Return how many bytes may arrive for a payload of at most *limit* bytes."""
    return limit + (limit >> 3) + DEFLATE_OVERHEAD if compressed else limit


cdef class MessageAssembler:
    """The incoming messages of one WebSocket."""

    def __dealloc__(self):
        free(self.fragments.data)       # not to the pool, which may have been freed before

    cdef int start(self, uint64_t frame_max, uint64_t message_max, object inflate,
                   Pool *pool) except -1:
        """Set the limits, in bytes; what is larger is refused with 1009.

        *inflate(data, size_max)* decompresses a message to at most so many bytes, or raises
        ValueError; None if messages must not be compressed. *pool* must live as long as `feed` is
        called.
        """
        self.frame_max = frame_max
        self.message_max = message_max
        self.inflate = inflate
        self.pool = pool
        return 0

    cdef int feed(self, char *data, size_t size, size_t *used) except? -1:
        """Process received bytes, which are unmasked in place; stop at the first complete message.

        Return an AssemblerEvent, or minus the code to close with. *used* is set to the number of
        bytes that were consumed; the rest must be passed again.
        """
        cdef size_t at = 0
        cdef size_t part
        cdef int event
        while True:
            if not self.in_frame:
                event = parse_frame_head(
                    data + at, size - at, self.inflate is not None, &self.frame)
                if event <= 0:
                    used[0] = at
                    return event
                at += event
                event = self.begin_frame()
                if event < 0:
                    return event
            part = <size_t>min(<uint64_t>(size - at), self.left)
            event = self.add_payload(data + at, part)
            at += part
            used[0] = at
            if event != MORE or self.in_frame:
                return event

    cdef int begin_frame(self) except? -1:
        """Check the head of a frame against the current message and the limits."""
        cdef Frame *frame = &self.frame
        cdef bint compressed
        self.left = frame.length
        self.in_frame = True
        if frame.opcode & CONTROL_BIT:
            self.control_size = 0
            return MORE
        if (frame.opcode == OP_CONTINUATION) != (self.message_opcode != 0):
            return -CLOSE_PROTOCOL_ERROR
        compressed = frame.compressed if frame.opcode != OP_CONTINUATION else self.compressed
        if frame.length > wire_limit(self.frame_max, compressed):
            return -CLOSE_TOO_BIG
        if (frame.length
                > wire_limit(self.message_max, compressed) - buffered_size(&self.fragments)):
            return -CLOSE_TOO_BIG
        if frame.opcode != OP_CONTINUATION:
            self.message_opcode = frame.opcode
            self.compressed = compressed
            self.utf8_state = 0
        return MORE

    cdef int add_payload(self, char *data, size_t size) except? -1:
        """Add the next bytes of the current frame's payload."""
        cdef size_t offset = <size_t>(self.frame.length - self.left)
        cdef bint ends
        unmask_payload(data, size, self.frame.mask, offset)
        self.left -= size
        self.in_frame = self.left > 0
        if self.frame.opcode & CONTROL_BIT:
            return self.add_control(data, size)
        ends = self.frame.fin and not self.in_frame
        if ends and not buffered_size(&self.fragments) and not self.compressed:
            return self.finish_message(data, size)      # without a copy
        if (self.message_opcode == OP_TEXT and not self.compressed
                and not check_utf8(&self.utf8_state, data, size)):
            return -CLOSE_INVALID_DATA
        if size:
            append_bytes(&self.fragments, data, size, self.pool)
        if not ends:
            return MORE
        if self.compressed:
            return self.finish_compressed()
        return self.finish_message(
            self.fragments.data + self.fragments.start, buffered_size(&self.fragments))

    cdef int add_control(self, char *data, size_t size) except? -1:
        cdef size_t i
        cdef int code
        for i in range(size):
            self.control[self.control_size + i] = data[i]
        self.control_size += size
        if self.in_frame:
            return MORE
        self.opcode = self.frame.opcode
        self.payload = PyBytes_FromStringAndSize(self.control, self.control_size)
        if self.opcode == OP_CLOSE:
            code = parse_close_code(self.control, self.control_size)
            if code < 0:
                return code
        return CONTROL

    cdef int finish_message(self, char *data, size_t size) except? -1:
        """Make the object of a complete message."""
        self.opcode = self.message_opcode
        if self.opcode == OP_BINARY:
            self.payload = PyBytes_FromStringAndSize(data, size)
        else:
            try:
                self.payload = PyUnicode_DecodeUTF8(data, size, NULL)
            except UnicodeDecodeError:
                return -CLOSE_INVALID_DATA
        self.drop()
        return MESSAGE

    cdef int finish_compressed(self) except? -1:
        cdef bytes compressed, data
        append_bytes(&self.fragments, PyBytes_AS_STRING(DEFLATE_TAIL),
                     PyBytes_GET_SIZE(DEFLATE_TAIL), self.pool)
        compressed = PyBytes_FromStringAndSize(
            self.fragments.data + self.fragments.start, buffered_size(&self.fragments))
        try:
            data = self.inflate(compressed, self.message_max + 1)
        except ValueError:
            return -CLOSE_INVALID_DATA
        if <uint64_t>len(data) > self.message_max:
            return -CLOSE_TOO_BIG
        return self.finish_message(PyBytes_AS_STRING(data), len(data))

    cdef void drop(self) noexcept:
        """Discard the current message."""
        return_block(&self.fragments, self.pool)
        self.message_opcode = 0

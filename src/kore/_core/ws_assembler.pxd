"""WebSocket messages, put together from frames."""

from libc.stdint cimport uint32_t, uint64_t

from kore._core.buffer cimport Buffer, Pool
from kore._core.frames cimport Frame


cdef enum Event:
    MORE = 0            # all input is used
    MESSAGE = 1         # `kind` and `payload` are a whole message
    CONTROL = 2         # the same for a ping, a pong or a close


cdef class MessageAssembler:
    cdef readonly int kind          # of what was read last, as an Opcode
    cdef readonly object payload    # str of a text, else bytes
    cdef uint64_t frame_max, message_max
    cdef object inflate             # decompresses a message, None where none is compressed
    cdef Pool *pool                 # of somebody who outlives what is read
    cdef Frame frame                # the one that is being read
    cdef bint inside                # its head has been read
    cdef uint64_t left              # bytes of its payload that are missing
    cdef int op                     # of the message that is being read, 0 between messages
    cdef bint packed
    cdef uint32_t text              # where the text is in a character
    cdef Buffer pile                # what was read of the message
    cdef char control[125]
    cdef size_t controlled

    cdef int begin(self, uint64_t frame_max, uint64_t message_max, object inflate,
                   Pool *pool) except -1
    cdef int feed(self, char *data, size_t size, size_t *used) except? -1
    cdef int enter(self) except? -1
    cdef int take(self, char *data, size_t size) except? -1
    cdef int take_control(self, char *data, size_t size) except? -1
    cdef int whole(self, char *data, size_t size) except? -1
    cdef int whole_packed(self) except? -1
    cdef void drop(self) noexcept

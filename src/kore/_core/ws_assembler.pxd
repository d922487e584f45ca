"""Assemble WebSocket messages from frames; see ws_assembler.pyx."""

from libc.stdint cimport uint32_t, uint64_t

from kore._core.buffer cimport Buffer, Pool
from kore._core.frames cimport Frame


cdef enum AssemblerEvent:
    MORE = 0            # all input is used
    MESSAGE = 1         # `opcode` and `payload` are those of a complete message
    CONTROL = 2         # ... of a ping, a pong or a close


cdef class MessageAssembler:
    cdef readonly int opcode            # of the latest event
    cdef readonly object payload        # of the latest event: str of a text, else bytes
    cdef uint64_t frame_max, message_max
    cdef object inflate                 # decompresses a message; None: compression is not agreed on
    cdef Pool *pool                     # must live longer than messages are assembled
    cdef Frame frame                    # the current frame
    cdef bint in_frame                  # its head was read, its payload is not complete
    cdef uint64_t left                  # bytes of its payload that are still to come
    cdef int message_opcode             # of the current message, 0 between messages
    cdef bint compressed                # the current message is
    cdef uint32_t utf8_state            # of its text so far
    cdef Buffer fragments               # its payload so far
    cdef char control[125]              # payload of the current control frame
    cdef size_t control_size

    cdef int start(self, uint64_t frame_max, uint64_t message_max, object inflate,
                   Pool *pool) except -1
    cdef int feed(self, char *data, size_t size, size_t *used) except? -1
    cdef int begin_frame(self) except? -1
    cdef int add_payload(self, char *data, size_t size) except? -1
    cdef int add_control(self, char *data, size_t size) except? -1
    cdef int finish_message(self, char *data, size_t size) except? -1
    cdef int finish_compressed(self) except? -1
    cdef void drop(self) noexcept

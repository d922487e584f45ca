"""Outgoing WebSocket messages."""

from libc.stdint cimport int64_t

from kore._core.protocol cimport Protocol
from kore._core.transport cimport Transport
from kore._core.ws_options cimport WebSocketOptions


cdef enum WebSocketPhase:
    OPEN            # both sides may send
    CLOSING         # we have sent a close frame, and wait for the client's
    OVER            # nothing more is sent or understood


cdef class MessageSender(Protocol):
    cdef Transport transport
    cdef WebSocketOptions options
    cdef object deflater        # compresses, None: nothing is compressed
    cdef list compressing       # messages to compress after the one at hand; None: there is none
    cdef WebSocketPhase phase
    cdef int64_t before         # bytes that were queued before this began
    cdef int64_t queued_size    # bytes queued since
    cdef Protocol http          # as long as its last responses are not sent and logged, or None
    cdef int64_t due            # when `on_deadline` is due; 0: never

    cdef int64_t buffered(self) noexcept
    cdef bint send(self, object given_op, object data) except -1
    cdef bint send_compressed(self, int op, bytes payload) except -1
    cdef bint put_compressed(self, int op, bytes payload) except -1
    cdef bint put_message(self, int op, bint compressed, const char *data, size_t size,
                          bytes owner) except -1
    cdef int send_frame(self, const char *head, size_t length, const char *data, size_t size,
                        bytes owner) except -1
    cdef bint has_room(self, int64_t size) except -1
    cdef bint send_prepared_frame(self, bytes frame) except -1
    cdef int put_control(self, int op, bytes payload) except -1
    cdef int note_sent(self) except -1
    cdef bint leave(self, int code, str reason, int64_t wait_ms) except -1

"""Outgoing WebSocket messages of one connection."""

from libc.stdint cimport int64_t

from kore._core.intake cimport Intake
from kore._core.ws_options cimport WebSocketOptions


cdef enum Phase:
    OPEN            # both sides may send
    CLOSING         # we have sent a close frame, and wait for the client's
    OVER            # nothing more is sent or understood


cdef class MessageSender:
    cdef Intake peer
    cdef WebSocketOptions options
    cdef object deflater        # compresses, None: nothing is compressed
    cdef list packing           # messages to compress after the one at hand; None: there is none
    cdef Phase phase
    cdef int64_t before         # bytes of the connection that are not of this
    cdef int64_t said           # bytes queued in all

    cdef int64_t buffered(self) noexcept
    cdef bint send(self, object asked, object data) except -1
    cdef bint send_packed(self, int op, bytes payload) except -1
    cdef bint put_packed(self, int op, bytes payload) except -1
    cdef bint put(self, int op, bint packed, const char *data, size_t size, object owner) except -1
    cdef int say(self, const char *head, size_t length, const char *data, size_t size,
                 object owner) except -1
    cdef bint has_room(self, int64_t size) except -1
    cdef bint post(self, bytes frame) except -1
    cdef int put_control(self, int op, bytes payload) except -1
    cdef int alive(self) except -1
    cdef bint leave(self, int code, str reason, int64_t wait_ms) except -1

"""A connection after its upgrade."""

from libc.stdint cimport int64_t

from kore._core.intake cimport Intake
from kore._core.messages cimport MessageReader
from kore._core.payload cimport Terms


cdef enum Phase:
    OPEN            # both sides may send
    CLOSING         # we have sent a close frame, and wait for the client's
    OVER            # nothing more is sent or understood


cdef class WebSocket:
    cdef Intake peer
    cdef Terms terms
    cdef object onmsg
    cdef object ondisconnect
    cdef object deflater        # compresses, None: nothing is compressed
    cdef object protocol        # the name of the sub-protocol, or None
    cdef MessageReader reader
    cdef Phase phase
    cdef bint deaf              # what still comes is for nobody
    cdef bint parted            # the application knows of the end
    cdef bint delivering
    cdef list tasks             # callbacks that wait for something; None: there was none so far
    cdef list backlog           # messages that came meanwhile, as (op, payload)
    cdef Py_ssize_t held_back   # bytes of these
    cdef readonly int code      # why it is closed; 0: it is not
    cdef readonly str reason
    cdef int64_t heard          # when the client last sent something
    cdef int64_t asked          # when it was pinged since then for the first time; 0: it was not
    cdef int64_t before         # bytes of the connection that are not of this
    cdef int64_t said           # bytes queued in all

    cdef int open(self, object onconnect) except -1
    cdef bint step(self) except -1
    cdef bint idle(self) noexcept
    cdef bint held_up(self) noexcept
    cdef void hears(self) noexcept
    cdef int64_t given_up_at(self) noexcept
    cdef int ask(self) except -1
    cdef int control(self, int op, bytes payload) except -1
    cdef int message(self, int op, object payload) except -1
    cdef int deliver(self, int op, object payload) except -1
    cdef int call(self, object callback, tuple arguments) except -1
    cdef int deliver_rest(self) except -1
    cdef int64_t buffered(self) noexcept
    cdef bint send(self, object asked, object data) except -1
    cdef bint put(self, int op, bint packed, const char *data, size_t size, object owner) except -1
    cdef int say(self, const char *head, size_t length, const char *data, size_t size,
                 object owner) except -1
    cdef bint has_room(self, int64_t size) except -1
    cdef bint post(self, bytes frame) except -1
    cdef int put_control(self, int op, bytes payload) except -1
    cdef int64_t patience(self) noexcept
    cdef int alive(self) except -1
    cdef bint leave(self, int code, str reason, int64_t wait_ms) except -1
    cdef bint disconnect(self, object code, object reason) except -1
    cdef int fail(self, int code, str reason) except -1
    cdef int on_deadline(self) except -1
    cdef int gone(self) except -1

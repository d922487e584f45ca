"""A connection after its upgrade."""

from libc.stdint cimport int64_t

from kore._core.ws_assembler cimport MessageAssembler
from kore._core.sender cimport MessageSender


cdef class WebSocket(MessageSender):
    cdef object onmsg
    cdef object ondisconnect
    cdef object protocol        # the name of the sub-protocol, or None
    cdef MessageAssembler reader
    cdef bint deaf              # what still comes is for nobody
    cdef bint parted            # the application knows of the end
    cdef bint unlisted          # the registry of the worker has forgotten it
    cdef bint delivering
    cdef list tasks             # callbacks that wait for something; None: there was none so far
    cdef list backlog           # messages that came meanwhile, as (op, payload)
    cdef Py_ssize_t held_back   # bytes of these
    cdef readonly int code      # why it is closed; 0: it is not
    cdef readonly str reason
    cdef int64_t heard          # when the client last sent something
    cdef int64_t asked          # when it was pinged since then for the first time; 0: it was not

    cdef int begin(self) except -1
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
    cdef int64_t patience(self) noexcept
    cdef bint disconnect(self, object code, object reason) except -1
    cdef int end(self) except -1
    cdef int unlist(self) except -1
    cdef int fail(self, int code, str reason) except -1
    cdef int on_deadline(self) except -1
    cdef void cut(self) noexcept
    cdef int gone(self) except -1

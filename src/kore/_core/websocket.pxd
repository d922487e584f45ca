"""A connection after its upgrade."""

cimport cython
from libc.stdint cimport int64_t

from kore._core.protocol cimport Protocol
from kore._core.sender cimport MessageSender
from kore._core.server_context cimport ServerContext
from kore._core.transport cimport Transport
from kore._core.ws_assembler cimport MessageAssembler


@cython.final
cdef class WebSocket(MessageSender):
    cdef object connection      # as applications see it
    cdef object onmsg
    cdef object ondisconnect
    cdef object subprotocol     # its name, or None
    cdef MessageAssembler assembler
    cdef bint paused            # the client has to wait for callbacks
    cdef bint ignores_input     # further messages are dropped
    cdef bint disconnect_called     # `ondisconnect` was called, or there is none
    cdef bint unregistered      # it was removed from the worker's groups
    cdef bint delivering
    cdef list tasks             # of callbacks that are awaited; None: there was none so far
    cdef list backlog           # messages received meanwhile, as (op, payload)
    cdef Py_ssize_t backlog_size    # bytes of these
    cdef readonly int code      # close code; 0: it is open
    cdef readonly str reason
    cdef int64_t received_at    # when the client last sent something
    cdef int64_t pinged_at      # when it was pinged since then for the first time; 0: it was not

    cdef int prepare(self, Transport transport, object connection) except -1
    cdef int open(self, object onconnect) except -1
    cdef ServerContext context(self)
    cdef bint parse_frame(self) except -1
    cdef bint idle(self) noexcept
    cdef bint is_backlog_full(self) noexcept
    cdef int note_received(self) except -1
    cdef int64_t reply_deadline(self) noexcept
    cdef int control(self, int op, bytes payload) except -1
    cdef int hang_up(self, bint linger) except -1
    cdef int message(self, int op, object payload) except -1
    cdef int deliver(self, int op, object payload) except -1
    cdef int call(self, object callback, tuple arguments) except -1
    cdef int deliver_rest(self) except -1
    cdef int64_t quiet_limit(self) noexcept
    cdef bint disconnect(self, object code, object reason) except -1
    cdef int end(self) except -1
    cdef int unregister(self) except -1
    cdef int fail(self, int code, str reason) except -1
    cdef int drop_connection(self) except -1

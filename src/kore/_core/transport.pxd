"""A client's socket from accept to close, and the protocol that runs on it."""

cimport cython
from libc.stdint cimport int64_t, uint32_t

from kore._core.libc cimport sockaddr_in6
from kore._core.poller cimport Poller
from kore._core.protocol cimport Protocol
from kore._core.server_context cimport ServerContext
from kore._core.socket_stream cimport FlushResult, SocketStream


cdef enum TransportPhase:
    OPEN
    FLUSHING        # nothing more will be queued: close when all that waits has been sent
    LINGERING       # all is sent: read what is left, so that no reset destroys it


@cython.final
cdef class Transport(SocketStream):
    cdef Protocol protocol
    cdef ServerContext context
    cdef TransportPhase phase
    cdef bint linger            # something may still be on its way to us
    cdef bint advancing         # `advance` is on the stack
    cdef bint yielded           # other connections have their turn before it goes on
    cdef bint resume_planned    # `resume` will be called
    cdef bint peer_leaving      # the peer has sent its last byte, read or not
    cdef bint probed            # it was asked whether it is still there
    cdef int64_t moment         # when the clock was read before the input at hand
    cdef int64_t write_deadline     # when the peer has taken too long to read; 0: nothing waits
    cdef int64_t acked_size     # bytes it had acknowledged when that was set
    cdef int64_t probed_at
    cdef int64_t probed_behind  # bytes that had been sent by then
    cdef int64_t gone_at        # when it is taken for gone; 0: it is known to wait
    cdef list waiters           # futures of those who wait until all is sent, or None
    cdef bytes network          # where it counts among the connections of one address, or None
    cdef sockaddr_in6 address

    cdef int open(self, Poller poller, ServerContext context, int fd, Protocol protocol) except -1
    cdef int set_protocol(self, Protocol protocol) except -1
    cdef int read(self) except -1
    cdef bint read_once(self) except -1
    cdef int read_and_advance(self) except -1
    cdef int end_input(self) except -1
    cdef int discard_input(self) except -1
    cdef int advance(self) except -1
    cdef int flush_and_rearm(self) except -1
    cdef int plan_resume(self) except -1
    cdef bint is_settled(self) noexcept
    cdef FlushResult pump(self) except *
    cdef int after_flush(self, FlushResult sent) except -1
    cdef int send(self, const char *head, size_t length, const char *data, size_t size,
                  bytes owner) except -1
    cdef object when_sent(self)
    cdef int resolve_waiters(self, bint sent) except -1
    cdef bint is_closing(self) noexcept
    cdef int close_after_flush(self, bint linger) except -1
    cdef int finish(self) except -1
    cdef int check_reader(self) except -1
    cdef int probe_peer(self) except -1
    cdef void forget_probe(self) noexcept
    cdef int check_presence(self) except -1
    cdef bint is_inet(self) noexcept
    cdef bint has_unacknowledged(self) noexcept
    cdef bint wants_input(self) noexcept
    cdef bint has_hidden_input(self) noexcept
    cdef bint has_unfinished_input(self) noexcept
    cdef int update_interest(self, FlushResult sent) except -1
    cdef int await_last_input(self, uint32_t events) except -1
    cdef int64_t idle_since(self) noexcept
    cdef int make_room(self, int64_t since) except -1

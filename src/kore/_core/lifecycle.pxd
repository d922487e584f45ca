"""One client, from accept to close."""

from libc.stdint cimport int64_t, uint32_t

from kore._core.intake cimport Intake
from kore._core.poller cimport Poller
from kore._core.service cimport Service
from kore._core.websocket cimport WebSocket


cdef enum:
    NEW_MS = 1000       # a client that was let in since then is about to send its first request
    LAST_MS = 250       # for a request that was sent before its client hears of a drain


cdef class Lifecycle(Intake):
    cdef bytes network          # where it counts among the connections of one address, or None
    cdef bint yields            # it goes on when the other connections had a turn
    cdef bint leaving           # the client has sent its last byte, read or not
    cdef int64_t stuck          # when the client has taken too long to read
    cdef int64_t reached        # bytes it had acknowledged when that was set
    cdef WebSocket socket       # None while it speaks HTTP
    cdef bint abandoned         # `abandon` will be called
    cdef bint resuming          # `resume` will be called
    cdef int64_t asked_at       # when the client stopped sending while something works for it
    cdef int64_t asked_behind   # bytes that had been sent by then
    cdef int64_t gone_at        # when it is taken for gone; 0: it is known to wait

    cdef int open(self, Poller poller, Service service, object resolve, int handle) except -1
    cdef int still_reads(self) except -1
    cdef bint receives(self) noexcept
    cdef int await_last(self) except -1
    cdef int read(self) except -1
    cdef int read_direct(self) except -1
    cdef int discard(self) except -1
    cdef int rest(self, int sent) except -1
    cdef bint more(self) noexcept
    cdef int part(self) except -1
    cdef int finished(self) except -1
    cdef int ask(self) except -1
    cdef int all_is_read(self) except -1
    cdef int finish_reading(self) except -1
    cdef int check_presence(self) except -1
    cdef bint is_inet(self) noexcept
    cdef bint wants_input(self) noexcept
    cdef int wait_for(self, int sent) except -1
    cdef int wait_for_rest(self, uint32_t events) except -1

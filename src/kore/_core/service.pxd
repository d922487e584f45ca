"""What all connections of a worker share."""

from libc.stdint cimport int64_t

from kore._core.parser cimport HeadLimits
from kore._core.scoreboard_slot cimport Slot
from kore._core.writer cimport HeadWriter


cdef class Service:
    cdef HeadLimits heads
    cdef int64_t body_max
    cdef int64_t body_rate
    cdef int64_t body_memory    # larger bodies go elsewhere; 0: none do
    cdef int64_t header_ms
    cdef int64_t body_ms
    cdef int64_t idle_ms
    cdef int64_t write_ms
    cdef int64_t turn_ms        # for how long one connection works before others have their turn
    cdef int64_t half_closed_ms     # for how long a client may be silent that stopped sending
    cdef int request_limit
    cdef int connection_limit
    cdef int burst
    cdef readonly int requests
    cdef readonly int connections
    cdef readonly bint draining
    cdef bint pretty            # a page for errors that say nothing
    cdef bint hurried           # draining, and nobody else will serve those who are idle
    cdef bint full
    cdef bint sendfile          # files may go from the kernel's memory straight to the socket
    cdef HeadWriter writer
    cdef Slot *slot
    cdef Slot nowhere
    cdef object owner           # keeps the slot's memory
    cdef object spawn
    cdef object failed
    cdef object refused
    cdef object defer
    cdef object later
    cdef object stream
    cdef object discard
    cdef object future
    cdef object parts
    cdef object sink
    cdef object greet
    cdef object free
    cdef readonly object hub
    cdef object pgsql
    cdef list listeners

    cdef int network_limit      # connections of one address; 0: any number
    cdef dict networks          # connections by address
    cdef bint enters_network(self, bytes network) except -1
    cdef int left_network(self, bytes network) except -1
    cdef int entered(self) except -1
    cdef int left(self) except -1
    cdef int report(self, object request, object error, object result=*) except -1
    cdef int tell_refused(self, object connection, int reason) except -1
    cdef int begun(self, bytes label) except -1
    cdef int suspended(self, bytes label) except -1
    cdef int ended(self) except -1

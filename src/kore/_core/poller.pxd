"""One epoll instance, and what it watches."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from kore._core.buffer cimport Pool
from kore._core.libc cimport monotonic_ms
from kore._core.table cimport Table


cdef class Poller:
    cdef int epfd
    cdef dict sources           # fd -> Source: the one list of what is open
    cdef Table table            # the same for events, by the keys that epoll has
    cdef Py_ssize_t events      # since they were last asked for
    cdef bint stale             # an event came for a source that is gone
    cdef object loop            # calls `dispatch`; None: something else does
    cdef bint planned           # the loop is going to call reap_closed()
    cdef list closing           # closed, not released yet
    cdef list abandoned         # sources of a process that this one was forked from
    cdef bint in_batch
    cdef unsigned long thread   # the one that all of this belongs to
    cdef int64_t ahead          # of the clock: what `leap` has added
    cdef Pool pool

    cdef inline int64_t now(self) noexcept:
        """Return monotonic milliseconds, read now: application code may have run for long."""
        return monotonic_ms() + self.ahead

    cdef int work(self) except? -1
    cdef int mine(self, str what) except -1
    cdef run(self, Source source, uint32_t events)
    cdef int begin(self) except -1
    cdef int end(self) except -1
    cdef finish(self, Source source, bint patient, bint accept)
    cdef give_up(self, Source source)
    cdef int renew(self) except -1
    cdef int plan_reap(self) except -1
    cdef int reap(self) except -1
    cdef release(self, Source source)


cdef class Source:
    cdef Poller poller
    cdef int handle             # the descriptor, -1 when reaped
    cdef bint closed
    cdef bint is_listener
    cdef bint registered
    cdef bint lost              # its descriptor was closed behind its back: the number is not ours
    cdef uint64_t key           # what epoll reports for it
    cdef uint32_t watched
    cdef int64_t deadline       # monotonic milliseconds, 0 for none

    cdef int attach(self, Poller poller, int handle) except -1
    cdef int watch(self, uint32_t events) except -1
    cdef int unwatch(self) except -1
    cdef int verify(self) except -1
    cdef int register_again(self) except -1
    cdef int shut(self) except -1
    cdef int on_closed(self) except -1
    cdef int on_event(self, uint32_t events) except -1
    cdef int on_deadline(self) except -1
    cdef int on_drain(self, bint patient, bint accept) except -1

"""One epoll instance, and what it watches."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from kore._core.buffer cimport Pool
from kore._core.libc cimport monotonic_ms
from kore._core.table cimport Table


cdef class Poller:
    cdef int epfd
    cdef dict sources           # fd -> PollSource: the one list of what is open
    cdef Table table            # the same for events, by the keys that epoll has
    cdef Py_ssize_t events      # since they were last asked for
    cdef bint stale             # an event came for a source that is gone
    cdef object loop            # calls `dispatch`; None: something else does
    cdef bint release_planned   # the loop is going to call release_scheduled()
    cdef list closing           # closed, not released yet
    cdef list inherited         # sources of a process that this one was forked from
    cdef bint in_batch
    cdef unsigned long thread   # the worker's: nothing here may be used in another one
    cdef int64_t ahead          # of the clock: what `advance_clock` has added
    cdef Pool pool

    cdef inline int64_t now(self) noexcept:
        """Return monotonic milliseconds, read now: application code may have run for long."""
        return monotonic_ms() + self.ahead

    cdef int run_batch(self) except? -1
    cdef int check_thread(self, str what) except -1
    cdef handle_event(self, PollSource source, uint32_t events)
    cdef int begin_batch(self) except -1
    cdef int end_batch(self) except -1
    cdef drain_source(self, PollSource source, bint patient, bint accept)
    cdef close_after_error(self, PollSource source)
    cdef int replace_epoll(self) except -1
    cdef int schedule_release(self) except -1
    cdef int release_closed(self) except -1
    cdef release(self, PollSource source)


cdef class PollSource:
    cdef Poller poller
    cdef int fd                 # -1 when released
    cdef bint closed
    cdef bint is_listener
    cdef bint registered
    cdef bint fd_lost           # closed behind its back: the number may be another file's by now
    cdef uint64_t key           # what epoll reports for it
    cdef uint32_t watched
    cdef int64_t deadline       # monotonic milliseconds, 0 for none

    cdef int attach(self, Poller poller, int fd) except -1
    cdef int watch(self, uint32_t events) except -1
    cdef int unwatch(self) except -1
    cdef int verify(self) except -1
    cdef int register_again(self) except -1
    cdef int close(self) except -1
    cdef int on_closed(self) except -1
    cdef int on_event(self, uint32_t events) except -1
    cdef int on_deadline(self) except -1
    cdef int on_drain(self, bint patient, bint accept) except -1

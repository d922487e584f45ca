"""A listening socket."""

from libc.stdint cimport int64_t

from kore._core.accesslog cimport AccessLog
from kore._core.poller cimport PollSource
from kore._core.protocol cimport Protocol
from kore._core.server_context cimport ServerContext
from kore._core.transport cimport Transport


cdef class Listener(PollSource):
    cdef ServerContext context
    cdef object resolve
    cdef object protocol        # what makes the first protocol of a connection; None: HTTP/1
    cdef AccessLog access_log
    cdef list idle              # (since when, transport), the one that is idle longest last
    cdef int64_t warned_at      # when it was last logged that the worker is full, or an address

    cdef int accept(self) except -2
    cdef int admit(self, Transport client, int fd) except -2
    cdef Protocol make_protocol(self)
    cdef bint make_room(self) except -1
    cdef list find_idle(self)
    cdef bint count_network(self, Transport client) except -1
    cdef int warn(self, str text, object number) except -1
    cdef int back_off(self) except -1

"""Access log records of one connection."""

from libc.stdint cimport int64_t

from kore._core.accesslog cimport LogEntry, AccessLog
from kore._core.libc cimport sockaddr_in6
from kore._core.parser cimport Head
from kore._core.request cimport Peer, Request


cdef class Recorder(Peer):
    cdef Request current        # the request that is being answered
    cdef sockaddr_in6 address
    cdef AccessLog access_log        # for what no domain is known for
    cdef list unlogged          # requests that are logged when their answers have gone, or None

    cdef int64_t queued(self) except -1
    cdef int64_t taken(self) noexcept
    cdef int record(self, Request request) except -1
    cdef int record_sent(self) except -1
    cdef int record_lost(self) except -1
    cdef int record_loss(self) except -1
    cdef int record_stray(self, const Head *head, int reason, int64_t opens, int64_t heads,
                          int64_t begun) except -1
    cdef int log(self, Request request, bint complete) except -1
    cdef void time_and_place(self, LogEntry *entry, int64_t came, int64_t read,
                             int64_t begun) noexcept

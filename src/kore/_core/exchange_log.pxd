"""Access log lines of what a transport carried."""

from libc.stdint cimport int64_t

from kore._core.accesslog cimport AccessLog
from kore._core.exchange cimport Exchange
from kore._core.parser cimport Head
from kore._core.transport cimport Transport


cdef struct Malformed:          # what was refused before it was a request
    const Head *head
    int reason
    int64_t response_start
    int64_t body_start
    int64_t started_at


cdef int log_exchange(Transport transport, Exchange exchange, bint complete) except -1
cdef bint log_sent_exchanges(Transport transport, list exchanges) except -1
cdef int log_lost_exchanges(Transport transport, list exchanges) except -1
cdef int log_malformed(Transport transport, AccessLog access_log, Malformed *found) except -1

"""HTTP/1 on a transport: one exchange at a time."""

cimport cython

from kore._core.connection cimport Connection
from kore._core.exchange cimport Exchange
from kore._core.http1_reader cimport Http1Reader


cdef enum:
    NEW_MS = 1000       # a client that connected since then is about to send its first request
    LAST_MS = 250       # for a request that was sent before its client hears of a drain


@cython.final
cdef class Http1(Http1Reader):
    cdef Connection connection  # as applications see it, None until one asks
    cdef list unlogged          # exchanges that are logged when their responses have left, or None
    cdef bint abandon_planned   # `abandon` will be called

    cdef int end_exchange(self, Exchange exchange) except -1
    cdef int await_last_request(self) except -1
    cdef int record(self, Exchange exchange) except -1
    cdef int log_lost(self) except -1
    cdef int log_unfinished(self) except -1

"""The answering half of a connection."""

from libc.stdint cimport int64_t

from kore._core.accesslog cimport Exchange, Journal
from kore._core.libc cimport sockaddr_in6
from kore._core.parser cimport Head
from kore._core.request cimport Peer, Request
from kore._core.service cimport Service


cdef enum Length:
    UNKNOWN_LENGTH = -1     # none is announced
    CHUNKS = -2             # the body frames itself


cdef class Responder(Peer):
    cdef Service service
    cdef Request current
    cdef bint keep              # stay open after the current answer
    cdef bint skip              # the body of the current request is to be read and dropped
    cdef bint linger            # something may still be on its way to us
    cdef bint chunked           # the coding of the body that is streaming
    cdef object source          # iterator of that body
    cdef list waiters           # futures of those for whom the client is too slow, or None
    cdef bint secure            # the client came over TLS, which nobody can yet
    cdef sockaddr_in6 address
    cdef Journal journal        # for what no domain is known for
    cdef Request owed           # answered, and logged as soon as all of its answer has gone

    cdef object dressed(self, Request request, int status, object body)
    cdef int finish(self, Request request) except -1
    cdef int settle(self) except -1
    cdef int advance(self) except -1
    cdef bint spares(self, Request request) noexcept
    cdef bint streams_in(self) noexcept
    cdef int over(self, Request request) except -1
    cdef int begin_answer(self, Request request, int status, int64_t length) except -1
    cdef int spare_body(self, Request request) except -1
    cdef int interim(self, Request request, int status) except -1
    cdef int put_piece(self, object item) except -1
    cdef int tell(self, bint sent) except -1
    cdef int pump(self) except -1
    cdef int pull(self) except -1
    cdef int close_source(self, Request request, object source) except -1
    cdef int release(self) except -1
    cdef int64_t queued(self) noexcept
    cdef int64_t taken(self) noexcept
    cdef int mark(self, Request request) except -1
    cdef int record(self, Request request) except -1
    cdef int record_owed(self, bint complete) except -1
    cdef int record_loss(self) except -1
    cdef int record_stray(self, const Head *head, int status, int64_t opens, int64_t heads,
                          int64_t begun) except -1
    cdef int log(self, Request request, int64_t out, bint complete) except -1
    cdef void time_and_place(self, Exchange *exchange, int64_t came, int64_t read,
                             int64_t begun) noexcept

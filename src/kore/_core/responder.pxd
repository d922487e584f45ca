"""The answering half of a connection."""

from libc.stdint cimport int64_t

from kore._core.recorder cimport Recorder
from kore._core.request cimport Request
from kore._core.service cimport Service


cdef enum Length:
    UNKNOWN_LENGTH = -1     # none is announced
    CHUNKS = -2             # the body frames itself


cdef class Responder(Recorder):
    cdef Service service
    cdef bint keep              # stay open after the current answer
    cdef bint skip              # the body of the current request is to be read and dropped
    cdef bint linger            # something may still be on its way to us
    cdef bint parting           # the application has disconnected it: nothing else is answered
    cdef bint chunked           # the coding of the body that is streaming
    cdef bint bodiless          # its request or status says that none is sent
    cdef object source          # iterator of that body
    cdef list waiters           # futures of those for whom the client is too slow, or None
    cdef bint secure            # the client came over TLS, which nobody can yet

    cdef object dressed(self, Request request, int status, object body)
    cdef int finish(self, Request request) except -1
    cdef int settle(self) except -1
    cdef int advance(self) except -1
    cdef bint spares(self, Request request) noexcept
    cdef bint streams_in(self) noexcept
    cdef object take_sink(self)
    cdef int over(self, Request request, object sink) except -1
    cdef bint begin_answer(self, Request request, int status, int64_t length) except -1
    cdef int spare_body(self, Request request) except -1
    cdef int interim(self, Request request, int status) except -1
    cdef int put_piece(self, object item) except -1
    cdef int tell(self, bint sent) except -1
    cdef int pump(self) except -1
    cdef int pull(self) except -1
    cdef int close_source(self, Request request, object source) except -1
    cdef int cancel(self, Request request, object task) except -1
    cdef int release(self) except -1

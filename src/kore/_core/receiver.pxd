"""Request bodies of one connection."""

from libc.stdint cimport int64_t

from kore._core.body cimport BodyReader
from kore._core.request cimport Request
from kore._core.responder cimport Responder


cdef enum Stage:
    IDLE            # between requests: nothing of the next one is here
    HEADING         # part of a head is here
    RECEIVING       # the head is known, the body arrives
    STREAMING       # likewise, and the application has the request
    SKIPPING        # likewise, but the request is answered: nobody wants the body
    RUNNING         # the application has the request
    FINISHING       # the last answer is queued; then close
    LINGERING       # everything is said: read what is left, so that no reset destroys it
    UPGRADED        # no HTTP any more


cdef class BodyReceiver(Responder):
    cdef BodyReader reader
    cdef object sink            # where a body goes that is not kept in memory
    cdef size_t least           # bytes that are worth a call of it
    cdef Stage stage
    cdef bint paused            # it takes no more now
    cdef bint told              # the client knows that its body is wanted
    cdef int64_t halted         # when the pause began
    cdef int64_t begun          # when the body was expected
    cdef int64_t limit          # when the present stage has taken too long

    cdef int expect_body(self, Request request, int64_t most) except -1
    cdef int divert(self, Request request) except -1
    cdef bint next_body(self) except -1
    cdef int give(self, Request request) except -1
    cdef bint complete(self, Request request) except -1
    cdef int64_t due(self) noexcept
    cdef int refuse_body(self, Request request, int reason) except -1
    cdef int begin_skip(self, Request request) except -1
    cdef bint skip_body(self) except -1
    cdef int run(self, Request request) except -1
    cdef int hang_up(self) except -1
    cdef bint waits(self, Request request) noexcept

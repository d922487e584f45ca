"""One client: bytes in, requests out, one at a time."""

from libc.stdint cimport int64_t, uint32_t

from kore._core.body cimport BodyReader
from kore._core.libc cimport sockaddr_in6
from kore._core.parser cimport Head
from kore._core.poller cimport Poller
from kore._core.request cimport Request
from kore._core.responder cimport Responder
from kore._core.service cimport Service


cdef enum State:
    IDLE            # between requests: nothing of the next one is here
    HEADING         # part of a head is here
    RECEIVING       # the head is known, the body arrives
    RUNNING         # the application has the request
    FINISHING       # the last answer is queued; then close
    LINGERING       # everything is said: read what is left, so that no reset destroys it


cdef class Connection(Responder):
    cdef object resolve         # request -> route, or None when it has answered
    cdef Head head              # of the request that arrives
    cdef BodyReader reader
    cdef State state
    cdef bint advancing
    cdef bint blocked           # requests wait until the client reads its answers
    cdef bint leaving           # the client has sent its last byte, read or not
    cdef bint asked             # whether it is still there
    cdef int64_t begun          # when the body was expected
    cdef int64_t limit          # when the present state has taken too long
    cdef int64_t stuck          # when the client has taken too long to read
    cdef size_t noted           # bytes sent when that was last set
    cdef sockaddr_in6 address
    cdef dict __dict__

    cdef int open(self, Poller poller, Service service, object resolve, int handle) except -1
    cdef bint in_time(self) noexcept
    cdef int read(self) except -1
    cdef int read_direct(self) except -1
    cdef int discard(self) except -1
    cdef int advance(self) except -1
    cdef bint step(self) except -1
    cdef bint next_head(self) except -1
    cdef int begin(self, int used) except -1
    cdef int admit(self, Request request) except -1
    cdef int expect_body(self, Request request) except -1
    cdef bint next_body(self) except -1
    cdef int run(self, Request request) except -1
    cdef int call(self, Request request) except -1
    cdef int reject(self, int status) except -1
    cdef int hang_up(self) except -1
    cdef int rest(self, int sent) except -1
    cdef int finished(self) except -1
    cdef int ask(self) except -1
    cdef int wait_for(self, int sent) except -1

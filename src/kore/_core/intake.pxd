"""The asking half of a connection."""

from libc.stdint cimport int64_t

from kore._core.parser cimport Head
from kore._core.receiver cimport BodyReceiver
from kore._core.request cimport Request


cdef class Intake(BodyReceiver):
    cdef object resolve         # request -> route, or None when it has answered
    cdef Head head              # of the request that arrives
    cdef bint advancing
    cdef int64_t moment         # when `advance` read the clock, before the head that is next
    cdef bint blocked           # requests wait until the client reads its answers
    cdef bint asked             # whether the client is still there

    cdef bint step(self) except -1
    cdef bint next_head(self) except -1
    cdef bint is_blank(self) except -1
    cdef int begin(self, int used) except -1
    cdef int fail(self, Request request, object error) except -1
    cdef int admit(self, Request request) except -1
    cdef bint greeted(self, Request request) except -1
    cdef int64_t most(self, Request request) except -1
    cdef int go_on(self, Request request) except -1
    cdef bint talk(self) except -1
    cdef int call(self, Request request) except -1
    cdef int stop_sink(self, Request request, object sink) except -1
    cdef int free_body(self, Request request) except -1
    cdef int reject(self, int reason) except -1
    cdef int turn_away(self, Request request, int reason) except -1
    cdef int conclude(self, Request request) except -1

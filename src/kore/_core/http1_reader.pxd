"""Requests of an HTTP/1 connection."""

from libc.stdint cimport int64_t

from kore._core.accesslog cimport AccessLog
from kore._core.body cimport BodyReader
from kore._core.exchange cimport Exchange, HttpProtocol
from kore._core.parser cimport Head
from kore._core.request cimport Request
from kore._core.state cimport Stage, check_transition, stage_checks
from kore._core.transport cimport Transport


cdef class Http1Reader(HttpProtocol):
    cdef Transport transport
    cdef object resolve         # request -> route, or None when it has responded
    cdef AccessLog access_log   # for requests of which no domain is known
    cdef Request current        # the exchange under way, or None
    cdef BodyReader draining    # reads what is left of a body that is not wanted, or None
    cdef Head head              # of the request that arrives
    cdef Stage stage
    cdef int64_t stage_deadline     # when the present stage has taken too long; 0: never
    cdef bint keep_alive        # stay open after the current response
    cdef bint linger            # something may still be on its way to us
    cdef bint disconnected      # the application has ended it: nothing more is sent

    cdef bint next_head(self) except -1
    cdef bint skip_blank_line(self) except -1
    cdef int begin_exchange(self, int used) except -1
    cdef int reject_malformed(self, int reason) except -1
    cdef tuple make_refusal_page(self, int reason)
    cdef bytes quote_input(self, int reason)
    cdef bytes quote_body(self, BodyReader reader, int reason)
    cdef bint receives(self) noexcept
    cdef bint next_body(self) except -1
    cdef int finish_body(self, Request request) except -1
    cdef bint can_drain(self, Exchange exchange) noexcept
    cdef int drain_or_close(self, Exchange exchange) except -1
    cdef int start_draining(self, Exchange exchange) except -1
    cdef bint drain_body(self) except -1
    cdef int hang_up(self) except -1


cdef inline int set_stage(Http1Reader http, Stage stage, int64_t deadline) except -1:
    """Enter a stage: nothing else sets it. *deadline*: when it has taken too long; 0: never."""
    if stage_checks.enabled:
        check_transition(http.stage, stage)
    http.stage = stage
    http.stage_deadline = deadline
    return 0

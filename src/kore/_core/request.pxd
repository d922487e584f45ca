"""One question, and the client as the question sees it."""

from libc.stdint cimport int64_t

from kore._core.accesslog cimport AccessLog
from kore._core.content cimport Content
from kore._core.stream cimport Stream


cdef class Peer(Stream):
    cdef int answer(self, Request request, int status, object body) except -1
    cdef int excuse(self, Request request, int status) except -1
    cdef int answer_pieces(self, Request request, int status, object pieces) except -1
    cdef int stream(self, Request request, int status, object first, object rest) except -1
    cdef int open_body(self, Request request, int status) except -1
    cdef bint write_body(self, Request request, object item) except -1
    cdef int end_body(self, Request request) except -1
    cdef object when_sent(self)
    cdef object parts_of(self, Request request)
    cdef object database(self)
    cdef bint serves(self, Request request) noexcept
    cdef int proceed(self, Request request) except -1
    cdef int take_more(self, Request request) except -1
    cdef int want_body(self, Request request) except -1
    cdef int spoil(self, Request request, int status) except -1
    cdef int tell_refused(self, int reason) except -1
    cdef int break_off(self) except -1
    cdef bint handshake(self, Request request, tuple callbacks, dict options) except -1
    cdef bint upgrade(self, Request request, object options, tuple callbacks,
                      object deflater, object protocol) except -1
    cdef int spawn_stream(self, Request request, int status, object body) except -1
    cdef int discard_body(self, Request request, object body) except -1
    cdef int expect_end(self, Request request) except -1


cdef class Request(Content):
    cdef Peer peer
    cdef list fields            # of the response: pairs of bytes, in order; None: there are none
    cdef object route
    cdef object task            # what runs the handler, when it is a coroutine
    cdef object context         # the contextvars of an iterator that is the body
    cdef object helper          # what sends its answer, when that is an async iterator
    cdef public object captures
    cdef readonly bint answered
    cdef readonly int status
    cdef int refusal            # which rule it broke: a RefusalReason; 0: none
    cdef bint finished          # the whole answer is queued
    cdef bint by_hand           # the handler itself writes the body, with open_body()
    cdef bint opened            # the head of the response is written
    cdef bint closing           # the application asked for connection: close
    cdef int64_t declared       # its own content-length, for answers to HEAD
    cdef public AccessLog access_log     # where it is logged; None: nowhere
    cdef int64_t begun          # when its head was complete, on the poller's clock
    cdef int64_t came           # bytes that its connection had received before it
    cdef int64_t opens          # bytes sent before its answer
    cdef int64_t heads          # likewise before the body of its answer
    cdef int64_t ends           # likewise before what follows its answer
    cdef int64_t taken          # bytes of its connection that were used up to its end
    cdef dict __dict__

    cdef int may_answer(self, str what=*) except -1
    cdef int decline(self, int status, str allow, int64_t size=*) except -1
    cdef int give_up(self, int status) except -1
    cdef int begin_stream(self, int status, object rest) except -1
    cdef int give_up_rest(self, int status) except -1
    cdef bint lacks_end(self) noexcept
    cdef int check_opened(self) except -1

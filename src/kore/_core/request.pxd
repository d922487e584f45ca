"""One question, and the client as the question sees it."""

from libc.stdint cimport int64_t

from kore._core.grammar cimport Span
from kore._core.parser cimport Head
from kore._core.stream cimport Stream


cdef class Peer(Stream):
    cdef int answer(self, Request request, int status, object body) except -1
    cdef int stream(self, Request request, int status, object first, object rest) except -1
    cdef int open_body(self, Request request, int status) except -1
    cdef bint write_body(self, Request request, object item) except -1
    cdef int end_body(self, Request request) except -1
    cdef object drained(self)
    cdef bint serves(self, Request request) noexcept
    cdef int break_off(self) except -1
    cdef int spawn_stream(self, Request request, int status, object body) except -1


cdef class Request:
    cdef Head head
    cdef bytes raw              # the head as it came; all spans point into it
    cdef Peer peer
    cdef bytes content          # the body; None while it arrives
    cdef dict fields            # of the response: complete lines by lower-case name
    cdef object route
    cdef object task            # what runs the handler, when it is a coroutine
    cdef object context         # the contextvars of an iterator that is the body
    cdef object helper          # what sends its answer, when that is an async iterator
    cdef public object captures
    cdef readonly bint answered
    cdef readonly int status
    cdef bint opened            # the head of the response is written
    cdef bint closing           # the application asked for connection: close
    cdef int64_t declared       # its own content-length, for answers to HEAD
    cdef str path_text
    cdef dict __dict__

    cdef str text(self, Span span)
    cdef int field(self, const char *name, size_t length, Span *value) noexcept
    cdef bint has_body(self) noexcept
    cdef int decline(self, int status, str allow) except -1
    cdef int give_up(self, int status) except -1

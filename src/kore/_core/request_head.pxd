"""The head of a request."""

from kore._core.grammar cimport Span
from kore._core.parser cimport Head


cdef class RequestHead:
    cdef Head head
    cdef bytes raw              # the head as it came; all spans point into it
    cdef str path_text

    cdef str decode_span(self, Span span)
    cdef str get_bare_host(self)
    cdef bint find_field(self, const char *name, size_t length, Span *value) noexcept
    cdef bint has_body(self) noexcept
    cdef bytes quote_head(self, int reason)

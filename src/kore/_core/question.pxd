"""What was asked: the head of a request."""

from kore._core.grammar cimport Span
from kore._core.parser cimport Head


cdef class Question:
    cdef Head head
    cdef bytes raw              # the head as it came; all spans point into it
    cdef str path_text

    cdef str text(self, Span span)
    cdef int field(self, const char *name, size_t length, Span *value) noexcept
    cdef bint has_body(self) noexcept

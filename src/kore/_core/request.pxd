"""The request as a handler sees it."""

from kore._core.request_body cimport RequestBody


cdef class Request(RequestBody):
    cdef public object captures
    cdef dict __dict__

    cdef int check_unanswered(self, str what=*) except -1
    cdef int check_opened(self) except -1
    cdef int start_iterator(self, int status, object rest) except -1

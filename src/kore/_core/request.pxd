"""The request as a handler sees it."""

from kore._core.exchange cimport Exchange


cdef class Request(Exchange):
    cdef public object captures
    cdef object data                # parameters, cookies, files; None until asked for
    cdef Py_ssize_t read_offset     # of body_read()
    cdef dict __dict__

    cdef int check_unanswered(self, str what=*) except -1
    cdef int check_opened(self) except -1
    cdef int start_iterator(self, int status, object rest) except -1

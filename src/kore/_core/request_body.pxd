"""The body of a request, and what an application finds in head and body."""

from kore._core.exchange cimport Exchange


cdef class RequestBody(Exchange):
    cdef Py_ssize_t read_offset     # of body_read()
    cdef object data                # parameters, cookies, files; None until asked for

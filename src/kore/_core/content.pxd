"""What came with a question."""

from kore._core.question cimport Question


cdef class Content(Question):
    cdef bytes content          # the body; None while it arrives, and when there is none
    cdef object store           # where it is, or goes, when that is not in memory
    cdef bint received          # all of it has come
    cdef Py_ssize_t place      # of body_read() in it
    cdef object made            # what came beside the head; None until asked for
    cdef object extras          # what the route asks for beside being run, or None

    cdef object parts(self)

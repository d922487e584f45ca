"""A listening socket."""

from kore._core.accesslog cimport Journal
from kore._core.connection cimport Connection
from kore._core.poller cimport Source
from kore._core.service cimport Service


cdef class Listener(Source):
    cdef Service service
    cdef object resolve
    cdef Journal journal

    cdef int accept(self) except -2
    cdef int admit(self, Connection client, int handle) except -2
    cdef int rest(self) except -1

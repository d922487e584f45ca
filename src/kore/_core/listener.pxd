"""A listening socket."""

from libc.stdint cimport int64_t

from kore._core.accesslog cimport AccessLog
from kore._core.connection cimport Connection
from kore._core.poller cimport Source
from kore._core.service cimport Service


cdef class Listener(Source):
    cdef Service service
    cdef object resolve
    cdef AccessLog access_log
    cdef list idle              # (since when, connection), the one that is idle longest last
    cdef int64_t said           # when it was last said that the worker is full, or an address

    cdef int accept(self) except -2
    cdef int admit(self, Connection client, int handle) except -2
    cdef bint make_room(self) except -1
    cdef list find_idle(self)
    cdef bint may_enter(self, Connection client) except -1
    cdef int say(self, str text, object number) except -1
    cdef int rest(self) except -1

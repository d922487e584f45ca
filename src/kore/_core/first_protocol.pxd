"""What makes the protocol of a connection, when it is known to be HTTP."""

from kore._core.accesslog cimport AccessLog
from kore._core.http1 cimport Http1
from kore._core.protocol cimport Protocol


cdef class FirstProtocol:
    cdef object resolve         # finds the route of a request
    cdef AccessLog access_log   # for requests of which no domain is known
    cdef object make_other      # makes another protocol than HTTP/1, or None

    cdef Protocol make(self)
    cdef Http1 make_http1(self)

"""A client's connection, as applications see it."""

from kore._core.libc cimport sockaddr_in6
from kore._core.transport cimport Transport
from kore._core.websocket cimport WebSocket


cdef class Connection:
    cdef Transport transport
    cdef WebSocket websocket    # None while it speaks HTTP
    cdef bint disconnecting     # the application has ended it
    cdef dict __dict__


cdef tuple format_address(sockaddr_in6 *address)

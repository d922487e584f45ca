"""A connection during its TLS handshake."""

from libc.stdint cimport int64_t

from kore._core.first_protocol cimport FirstProtocol
from kore._core.protocol cimport Protocol
from kore._core.transport cimport Transport


cdef class HandshakeLog:
    cdef dict logged_at         # when each cause was last logged

    cdef int log(self, Transport transport, str cause) except -1


cdef class TlsHandshake(Protocol):
    cdef Transport transport
    cdef FirstProtocol following
    cdef HandshakeLog failures
    cdef int64_t accepted_at
    cdef int64_t due            # when it has taken too long

    cdef bint fail(self, str cause) except -1
    cdef bint refuse_plaintext(self) except -1
    cdef bint give_way(self) except -1


cdef TlsHandshake make_handshake(FirstProtocol following, HandshakeLog failures)

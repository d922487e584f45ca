"""A listening socket."""

from libc.stdint cimport int64_t

from kore._core.first_protocol cimport FirstProtocol
from kore._core.poller cimport PollSource
from kore._core.protocol cimport Protocol
from kore._core.server_context cimport ServerContext
from kore._core.tls_handshake cimport HandshakeLog
from kore._core.tls_layer cimport TlsFactory
from kore._core.transport cimport Transport


cdef class Listener(PollSource):
    cdef ServerContext context
    cdef FirstProtocol protocol     # of each connection
    cdef TlsFactory tls         # None: no TLS
    cdef HandshakeLog failures
    cdef list idle              # (since when, transport), the one that is idle longest last
    cdef int64_t warned_at      # when it was last logged that the worker is full, or an address

    cdef int accept(self) except -2
    cdef int admit(self, Transport client, int fd) except -2
    cdef Protocol begin_tls(self, Transport client, int fd)
    cdef bint make_room(self) except -1
    cdef list find_idle(self)
    cdef bint count_network(self, Transport client) except -1
    cdef int warn(self, str text, object number) except -1
    cdef int back_off(self) except -1

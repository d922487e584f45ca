# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""A connection during its TLS handshake: a protocol that gives way to HTTP when that is finished.

The layer of the transport does the handshake, whenever something is read. Here is what is decided
around it: the time limit, what becomes of it when the worker stops or is full, what is logged when
it fails, and the response to a client that speaks HTTP without TLS.
"""

from kore._core.connection cimport format_address
from kore._core.http1 cimport LAST_MS, NEW_MS, Http1
from kore._core.refusals cimport REFUSE_PLAINTEXT
from kore._core.tls_layer cimport TlsLayer

import logging

log = logging.getLogger("kore")

cdef enum:
    HANDSHAKE_MS = 5000     # from accept to the end of the handshake
    LOG_INTERVAL_MS = 60000     # between two lines with the same cause
    CAUSES_MAX = 64         # causes that are remembered


cdef class HandshakeLog:
    """Logs failed handshakes of a listener: every cause once a minute."""

    def __cinit__(self):
        self.logged_at = {}

    cdef int log(self, Transport transport, str cause) except -1:
        cdef int64_t now = transport.poller.now()
        cdef object before = self.logged_at.get(cause)
        if before is not None and now < before + LOG_INTERVAL_MS:
            return 0
        if len(self.logged_at) >= CAUSES_MAX:
            self.logged_at.clear()
        self.logged_at[cause] = now
        address = format_address(&transport.address)
        log.info("TLS handshake with %s: %s", "-" if address is None else address[0], cause)
        return 0


cdef class TlsHandshake(Protocol):
    """A connection during its TLS handshake."""

    cdef int on_attached(self, object transport) except -1:
        cdef TlsLayer tls
        self.transport = transport
        tls = self.transport.tls
        tls.call_soon = self.transport.context.call_soon
        tls.resume = self.transport.resume
        self.accepted_at = self.transport.poller.now()
        self.due = self.accepted_at + HANDSHAKE_MS
        return 0

    cdef bint on_input(self) except -1:
        cdef TlsLayer tls = self.transport.tls
        if tls.plain:
            return self.refuse_plaintext()
        if tls.failed:
            return self.fail(tls.describe_failure())
        return tls.established and self.give_way()

    cdef bint give_way(self) except -1:
        """Let the protocol that follows work on the input."""
        cdef Transport transport = self.transport
        cdef Protocol protocol = self.following.make()
        transport.tls.note_handshake()
        transport.tls.call_soon = transport.tls.resume = None
        transport.set_protocol(protocol)
        if transport.context.draining:
            protocol.on_drain(not transport.context.hurried)
        return True

    cdef bint fail(self, str cause) except -1:
        """Close when the alert has left; it would be lost if what the client sends were not read.
        """
        self.failures.log(self.transport, cause)
        self.transport.close_after_flush(True)
        return False

    cdef bint refuse_plaintext(self) except -1:
        """Tell a client that speaks HTTP, in HTTP, that this port speaks TLS."""
        cdef Transport transport = self.transport
        cdef Http1 http = self.following.make_http1()
        transport.remove_tls()
        transport.set_protocol(http)
        transport.read_into_inbox()
        http.reject_malformed(REFUSE_PLAINTEXT)
        return False

    cdef int on_eof(self) except -1:
        if self.transport.wire_size:    # not a check whether the port is open
            self.failures.log(self.transport, "the client has closed the connection")
        return self.transport.close()

    cdef int on_deadline(self) except -1:
        self.failures.log(self.transport, f"not finished within {HANDSHAKE_MS // 1000} seconds")
        return self.transport.close()

    cdef int on_drain(self, bint patient) except -1:
        """Give a client a moment: its request follows the handshake."""
        if not patient:
            self.due = min(self.due, max(self.transport.poller.now() + LAST_MS,
                                         self.accepted_at + NEW_MS))
            self.transport.flush_and_rearm()
        return 0

    cdef bint wants_input(self) noexcept:
        return not self.transport.tls.paused

    cdef int64_t next_deadline(self, bint pending) noexcept:
        return self.due

    cdef int64_t idle_since(self) noexcept:
        cdef int64_t now = self.transport.poller.now()
        return self.accepted_at if self.accepted_at + NEW_MS <= now else 0


cdef TlsHandshake make_handshake(FirstProtocol following, HandshakeLog failures):
    """Return the protocol of a new connection, until *following* makes the next one."""
    cdef TlsHandshake handshake = TlsHandshake.__new__(TlsHandshake)
    handshake.following = following
    handshake.failures = failures
    return handshake

"""What a connection asks of TLS, and what a listener asks of it."""

from libc.stdint cimport int64_t

from kore._core.socket_io cimport Output


cdef class TlsLayer:
    cdef bint established           # the handshake is finished
    cdef bint failed                # the handshake cannot be finished; an alert may wait
    cdef bint plain                 # because the peer speaks no TLS: its request is still unread
    cdef bint paused                # the handshake waits for a signature: no input is read
    cdef object call_soon           # has a paused handshake go on: by the event loop,
    cdef object resume              # which calls this
    cdef bint has_buffered_input    # `receive` may have bytes that epoll does not know of
    cdef size_t sealed_size         # bytes of records that the socket has not taken
    cdef int64_t wire_size          # bytes of records that it has taken, in all
    # what the handshake has found
    cdef readonly str server_name   # SNI in lower case, without the last dot; "": none was sent
    cdef readonly str domain        # the name of the context that it used
    cdef readonly bint named        # SNI matches that domain: it was not taken as the default
    cdef bint sends_hsts            # the client trusts the certificate for a name: HSTS makes sense
    cdef const char *version_name   # static text of OpenSSL; NULL before the handshake is done
    cdef const char *cipher_name
    cdef bytes client_name          # CN of the verified client certificate, or None

    cdef Py_ssize_t receive(self, char *data, size_t size) noexcept
    cdef Py_ssize_t transmit(self, Output *output) noexcept
    cdef Py_ssize_t send_sealed(self) noexcept
    cdef void drop_sealed(self) noexcept
    cdef void send_close_notify(self) noexcept
    cdef void close(self) noexcept
    cdef int note_handshake(self) except -1
    cdef str describe_failure(self)
    cdef bytes get_peer_certificate(self)
    cdef dict get_peer_names(self)
    cdef bint is_revoked(self) noexcept


cdef class TlsFactory:
    cdef TlsLayer make_layer(self, int fd)


cdef inline bint may_send_hsts(TlsLayer tls) noexcept:
    """Return whether Strict-Transport-Security may be sent to a client; *tls* may be None."""
    return tls is not None and tls.sends_hsts

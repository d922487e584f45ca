# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The seam between a socket's stream and TLS: what a connection asks of it. Knows no OpenSSL.

A stream without TLS has no layer. With one, all input comes from `receive` and all output goes
through `transmit`; both do the handshake as far as it goes. Records that the socket does not take
at once wait in the layer: they have to leave before anything else is made into records. The layer
uses the descriptor of its stream, and is closed before that is.

These methods do what is right when there is nothing to do. `TlsSession` (tls_session.pyx) does them
with OpenSSL, which not every installation is built with.
"""

from kore._core.socket_io cimport IO_LOST


cdef class TlsLayer:
    """The TLS of one connection."""

    def __cinit__(self):
        self.server_name = self.domain = ""

    cdef Py_ssize_t receive(self, char *data, size_t size) noexcept:
        """Decrypt input: a count, 0 at its end, IO_AGAIN or IO_LOST.

        The end is the peer's close_notify, or the end of the connection without one: what was sent
        is delimited by HTTP in any case.
        """
        return IO_LOST

    cdef Py_ssize_t transmit(self, Output *output) noexcept:
        """Encrypt and send: the count of plaintext bytes taken, IO_AGAIN or IO_LOST.

        0: nothing of the file can be read.
        """
        return IO_LOST

    cdef Py_ssize_t send_sealed(self) noexcept:
        """Send the records that wait: 0 when none is left, IO_AGAIN or IO_LOST."""
        return 0

    cdef void drop_sealed(self) noexcept:
        """Forget the records that wait: nothing can be sent any more."""

    cdef void send_close_notify(self) noexcept:
        """Tell the peer that nothing more will be sent, once; no system call if records wait."""

    cdef void close(self) noexcept:
        """Free what the layer holds, and send nothing more."""

    cdef int note_handshake(self) except -1:
        """Take over what the handshake has found, now that it is finished."""
        return 0

    cdef str describe_failure(self):
        """Return why the handshake has failed; to be called before another call of OpenSSL."""
        return "TLS is not available"

    cdef bytes get_peer_certificate(self):
        """Return the client's certificate as DER, or None."""
        return None

    cdef dict get_peer_names(self):
        """Return issuer and subject of the client's certificate, or None."""
        return None

    cdef bint is_revoked(self) noexcept:
        """Return whether the client's certificate has been revoked since the handshake."""
        return False


cdef class TlsFactory:
    """Makes the TLS of each connection that a listener accepts."""

    cdef TlsLayer make_layer(self, int fd):
        """Return the TLS of an accepted connection, whose descriptor is *fd*."""
        raise NotImplementedError

"""The TLS of one connection, by OpenSSL."""

from libc.stdint cimport int64_t

from kore._core.openssl cimport SSL
from kore._core.tls_bio cimport Wire
from kore._core.tls_layer cimport TlsLayer


cdef class TlsSession(TlsLayer):
    cdef SSL *ssl               # owned; NULL: closed
    cdef Wire wire
    cdef object owner           # what the SSL refers to
    cdef bint began             # the peer has sent something
    cdef bint ending            # a close_notify was sent

    cdef void note_wire(self) noexcept
    cdef Py_ssize_t read_failed(self) noexcept
    cdef Py_ssize_t do_handshake(self) noexcept
    cdef bint begins_with_letter(self) noexcept
    cdef Py_ssize_t seal(self, const char *head, size_t head_size, const char *data,
                         size_t size) noexcept
    cdef Py_ssize_t seal_file(self, int file, int64_t offset, size_t size) noexcept


cdef TlsSession make_session(SSL *ssl, int fd, object owner)

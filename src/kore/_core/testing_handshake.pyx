# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""A server's side of a TLS handshake in memory, for tests: no socket, no event loop.

The test carries the bytes between it and a client, and decides when a paused handshake goes on. So
it can look at the states in between.
"""

from kore._core.openssl cimport (
    BIO, BIO_new, BIO_s_mem, ERR_clear_error, SSL, SSL_ERROR_NONE, SSL_ERROR_WANT_ASYNC,
    SSL_ERROR_WANT_READ, SSL_MODE_ASYNC, SSL_do_handshake, SSL_free, SSL_get_error, SSL_set_bio,
    SSL_set_mode)
from kore._core.openssl_errors cimport take_errors
from kore._core.openssl_provider cimport (
    BIO_read, BIO_write, SSL_async_callback_fn, SSL_set_async_callback,
    SSL_set_async_callback_arg, SSL_waiting_for_async)
from kore._core.tls_context cimport TlsServer

cdef dict STATES = {
    SSL_ERROR_NONE: "done", SSL_ERROR_WANT_READ: "reading", SSL_ERROR_WANT_ASYNC: "signing"}


cdef int count_resumable(SSL *ssl, void *argument) noexcept:
    (<MemoryHandshake>argument).resumable_count += 1
    return 1


cdef class MemoryHandshake:
    """One TLS connection of a server, whose bytes the test carries."""

    cdef SSL *ssl
    cdef BIO *input
    cdef BIO *output
    cdef TlsServer server
    cdef readonly str state
    cdef readonly list errors
    cdef readonly int resumable_count   # calls of the callback by which a paused job is resumed

    def __init__(self, TlsServer server not None):
        self.server = server
        self.state = "reading"
        self.errors = []
        self.ssl = server.create_ssl()
        self.input = BIO_new(BIO_s_mem())
        self.output = BIO_new(BIO_s_mem())
        SSL_set_bio(self.ssl, self.input, self.output)
        SSL_set_mode(self.ssl, SSL_MODE_ASYNC)
        SSL_set_async_callback(self.ssl, <SSL_async_callback_fn>count_resumable)
        SSL_set_async_callback_arg(self.ssl, <void *>self)

    def __dealloc__(self):
        self.free()

    def receive(self, bytes data not None):
        """Take what the client has sent; return what the server sends. Waits while it signs."""
        self.check_open()
        BIO_write(self.input, <const char *>data, <int>len(data))
        return self.take_output() if self.state == "signing" else self.resume()

    def resume(self):
        """Go on with the handshake, as the callback of a signature asks for; return the output."""
        cdef int result
        self.check_open()
        ERR_clear_error()
        result = SSL_do_handshake(self.ssl)
        self.state = STATES.get(SSL_get_error(self.ssl, result), "failed")
        self.errors += take_errors()
        return self.take_output()

    def close(self):
        """End the handshake as a session does whose client has left."""
        self.free()

    cdef int check_open(self) except -1:
        if self.ssl == NULL:
            raise RuntimeError("the handshake is closed")
        return 0

    cdef bytes take_output(self):
        cdef char piece[16384]
        cdef int size = BIO_read(self.output, piece, sizeof(piece))
        cdef list pieces = []
        while size > 0:
            pieces.append(piece[:size])
            size = BIO_read(self.output, piece, sizeof(piece))
        return b"".join(pieces)

    cdef void free(self) noexcept:
        if self.ssl == NULL:
            return
        if SSL_waiting_for_async(self.ssl):
            SSL_do_handshake(self.ssl)
        ERR_clear_error()
        SSL_free(self.ssl)
        self.ssl = NULL

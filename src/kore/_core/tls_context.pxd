"""The TLS settings of servers and their domains; see tls_context.pyx."""

from kore._core.openssl cimport SSL, SSL_CTX
from kore._core.tls_key cimport TlsKey


cdef class TlsServer:
    cdef SSL_CTX *base      # each connection is created with it; its client hello selects another
    cdef SSL_CTX *only      # the domain's context, while there is one
    cdef dict domains       # TlsContext by name

    # A new SSL in accept state, without BIOs. The caller frees it, and owns this server until then.
    cdef SSL *create_ssl(self) except NULL


cdef class TlsContext:
    cdef SSL_CTX *context
    cdef readonly str name
    cdef list keys          # which OpenSSL refers to

    cdef int add_certificate(self, bytes chain, TlsKey key) except -1

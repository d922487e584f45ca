"""The client hello: which domain it is for; see tls_hello.pyx."""

from kore._core.openssl cimport SSL_CTX


cdef void select_domain_by_hello(SSL_CTX *context) noexcept nogil
cdef void select_protocol_by_hello(SSL_CTX *context) noexcept nogil

"""The certificate of a client; see tls_client.pyx."""

from kore._core.openssl cimport SSL, X509_STORE_CTX


cdef int verify_client(int is_valid, X509_STORE_CTX *chain) noexcept nogil
cdef bytes get_client_certificate(const SSL *ssl)
cdef dict get_client_names(const SSL *ssl)
cdef bytes get_client_common_name(const SSL *ssl)
cdef str describe_refusal(const SSL *ssl)
cdef bint is_client_revoked(const SSL *ssl) noexcept nogil

"""Settings that all contexts of a TLS server share; see tls_settings.pyx."""

from kore._core.openssl cimport SSL_CTX


cdef class TlsSettings:
    cdef int min_version
    cdef int max_version
    cdef bytes ciphers
    cdef bytes groups

    cdef SSL_CTX *create_context(self) except NULL

"""The key of a certificate, as OpenSSL is given it."""

from kore._core.openssl cimport EVP_PKEY


cdef class TlsKey:
    cdef EVP_PKEY *key      # owned; NULL in a key that was not made

"""Certificates and revocation lists read from PEM; see tls_pem.pyx."""

from kore._core.openssl cimport BIO, X509, X509_CRL


cdef class PemReader:
    cdef BIO *bio
    cdef bytes pem          # which bio reads
    cdef str source         # for errors
    cdef X509 *certificate  # the latest of each, owned
    cdef X509_CRL *crl

    cdef bint read_certificate(self) except -1
    cdef bint read_crl(self) except -1
    cdef int check_end(self) except -1

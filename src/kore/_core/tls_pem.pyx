# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Certificates and revocation lists read from PEM, one after the other."""

from kore._core.openssl cimport (
    BIO_free, BIO_new_mem_buf, ERR_GET_LIB, ERR_GET_REASON, ERR_LIB_PEM, ERR_clear_error,
    ERR_peek_last_error, PEM_R_NO_START_LINE, PEM_read_bio_X509, PEM_read_bio_X509_CRL,
    X509_CRL_free, X509_free)
from kore._core.tls_errors cimport make_error


cdef class PemReader:
    """Reads blocks of one kind. *source*: what is read, for errors. Raises ValueError."""

    def __cinit__(self, bytes pem not None, str source):
        self.pem = pem
        self.source = source
        self.bio = BIO_new_mem_buf(<const char *>pem, <int>len(pem))
        if self.bio == NULL:
            raise MemoryError
        ERR_clear_error()

    def __dealloc__(self):
        X509_free(self.certificate)
        X509_CRL_free(self.crl)
        BIO_free(self.bio)

    cdef bint read_certificate(self) except -1:
        """Read the next certificate into `certificate`; False: there is none."""
        X509_free(self.certificate)
        self.certificate = PEM_read_bio_X509(self.bio, NULL, NULL, NULL)
        return self.certificate != NULL or self.check_end()

    cdef bint read_crl(self) except -1:
        """Read the next revocation list into `crl`; False: there is none."""
        X509_CRL_free(self.crl)
        self.crl = PEM_read_bio_X509_CRL(self.bio, NULL, NULL, NULL)
        return self.crl != NULL or self.check_end()

    cdef int check_end(self) except -1:
        """Return 0 if the text has ended. Raises ValueError if a block is damaged."""
        cdef unsigned long error = ERR_peek_last_error()
        if ERR_GET_LIB(error) != ERR_LIB_PEM or ERR_GET_REASON(error) != PEM_R_NO_START_LINE:
            raise make_error(self.source)
        ERR_clear_error()
        return 0

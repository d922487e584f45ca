# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Keys in the process that uses them, for tests: a server under test needs no key process.
"""

from kore._core.openssl cimport (
    BIO, BIO_free, BIO_new_mem_buf, ERR_clear_error, PEM_read_bio_PrivateKey)
from kore._core.tls_key cimport TlsKey


cdef class LocalKey(TlsKey):
    """A private key from PEM, for `TlsContext`. Raises ValueError if it cannot be read."""

    def __init__(self, bytes pem not None):
        cdef BIO *bio = BIO_new_mem_buf(<const char *>pem, <int>len(pem))
        ERR_clear_error()
        self.key = PEM_read_bio_PrivateKey(bio, NULL, NULL, <char *>b"")
        BIO_free(bio)
        if self.key == NULL:
            raise ValueError("not a private key as PEM")

# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The key of a certificate, as OpenSSL is given it: the base class of all kinds of keys.

Where the private half is, is the derived class's affair: a context only uses the handle.
"""

from kore._core.openssl cimport EVP_PKEY_free


cdef class TlsKey:
    """A handle of OpenSSL's for a key, which signs handshakes."""

    def __dealloc__(self):
        EVP_PKEY_free(self.key)

"""Private keys that are in the key process; see remote_key.pyx."""

from kore._core.tls_key cimport TlsKey


cdef class RemoteKey(TlsKey):
    pass

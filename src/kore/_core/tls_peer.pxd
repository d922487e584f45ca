"""What a handshake has shown of the client; see tls_peer.pyx."""

from kore._core.openssl cimport SSL
from kore._core.tls_layer cimport TlsLayer


cdef int fill_layer(const SSL *ssl, TlsLayer layer) except -1
cdef str describe_failure(const SSL *ssl)

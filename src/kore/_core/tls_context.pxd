"""TLS of servers and their domains; see tls_context.pyx."""

from kore._core.openssl cimport SSL, SSL_CTX
from kore._core.tls_key cimport TlsKey
from kore._core.tls_layer cimport TlsFactory
from kore._core.tls_settings cimport TlsSettings
from kore._core.tls_state cimport DomainState, ServerState


cdef class TlsServer(TlsFactory):
    cdef SSL_CTX *base              # connections are created with it
    cdef ServerState *state         # owned by base
    cdef TlsSettings settings
    cdef str default

    # A new SSL in accept state, without BIOs, for its owner to free.
    cdef SSL *create_ssl(self) except NULL


cdef class TlsContext:
    cdef SSL_CTX *context
    cdef DomainState *state         # owned by context
    cdef readonly str name
    cdef list keys                  # of its certificates

    cdef int add_certificate(self, bytes chain, TlsKey key) except -1
    cdef int verify_clients(self, bytes authorities, int depth) except -1
    cdef int add_crls(self, bytes crls) except -1

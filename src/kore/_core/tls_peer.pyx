# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""What a handshake has shown of the client, or why it failed."""

from libc.string cimport strcmp, strlen

from kore._core.openssl cimport SSL, SSL_get_cipher_name, SSL_get_version
from kore._core.tls_client cimport describe_refusal, get_client_common_name
from kore._core.tls_errors cimport take_reason
from kore._core.tls_layer cimport TlsLayer
from kore._core.tls_state cimport HandshakeState, get_handshake_state


cdef int fill_layer(const SSL *ssl, TlsLayer layer) except -1:
    """Set what applications, routers and logs read of a connection, after its handshake."""
    cdef HandshakeState *handshake = get_handshake_state(ssl)
    if handshake.server_name != NULL:
        layer.server_name = handshake.server_name.decode()
    layer.domain = handshake.domain.name[:handshake.domain.name_size].decode()
    layer.named = handshake.is_named
    layer.sends_hsts = may_send_hsts(handshake)
    layer.version_name = SSL_get_version(ssl)
    layer.cipher_name = SSL_get_cipher_name(ssl)
    if handshake.domain.wants_certificate:
        layer.client_name = get_client_common_name(ssl)
    return 0


cdef bint may_send_hsts(HandshakeState *handshake) noexcept nogil:
    """Return whether browsers may be told to use TLS only.

    Not for a certificate of tests, nor for addresses and local names, which do not stay a server's.
    """
    cdef const char *name = handshake.server_name
    cdef size_t size
    if name == NULL or handshake.domain.is_self_signed:
        return False
    size = strlen(name)
    return strcmp(name, "localhost") and (
        size < 10 or strcmp(name + size - 10, ".localhost"))


cdef str describe_failure(const SSL *ssl):
    """Return why a handshake failed, for the log, and forget OpenSSL's errors."""
    cdef HandshakeState *handshake = get_handshake_state(ssl)
    cdef str refusal = describe_refusal(ssl)
    cdef str reason = take_reason()
    if refusal is not None:
        return refusal
    if not handshake.is_hello_refused:
        return reason
    if handshake.server_name == NULL:
        return "no domain has the server name that was sent, or there is no default domain"
    return f"no domain has the server name '{handshake.server_name.decode()}'"

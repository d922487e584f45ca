# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The client hello: which domain it is for (SNI), and which protocol is chosen (ALPN).

The domain is selected before OpenSSL looks for a session to resume, and with its context come the
settings of that connection which OpenSSL copies when it is created: without them a client could
evade the client certificate of a domain with a session, or with no certificate at all.

The name is that of the hello, which is not necessarily what `SSL_get_servername` returns: that may
be a resumed session's, or a second client hello's.
"""

from libc.stdlib cimport malloc
from libc.string cimport memcpy

from kore._core.grammar cimport CHAR_CLASS, HOST_SIZE_MAX, REG_NAME
from kore._core.libc cimport AF_INET, AF_INET6, in6_addr, inet_pton
from kore._core.openssl cimport (
    OPENSSL_NPN_NEGOTIATED, SSL, SSL_AD_DECODE_ERROR, SSL_AD_INTERNAL_ERROR,
    SSL_AD_UNRECOGNIZED_NAME, SSL_CLIENT_HELLO_ERROR, SSL_CLIENT_HELLO_SUCCESS, SSL_CTX,
    SSL_CTX_get_options, SSL_CTX_set_alpn_select_cb, SSL_CTX_set_client_hello_cb,
    SSL_TLSEXT_ERR_ALERT_FATAL, SSL_TLSEXT_ERR_OK, SSL_VERIFY_FAIL_IF_NO_PEER_CERT, SSL_VERIFY_NONE,
    SSL_VERIFY_PEER, SSL_client_hello_get0_ext, SSL_select_next_proto, SSL_set_SSL_CTX,
    SSL_set_options, SSL_set_session_id_context, SSL_set_verify, SSL_set_verify_depth,
    TLSEXT_TYPE_server_name)
from kore._core.tls_client cimport verify_client
from kore._core.tls_names cimport HostName, find_host
from kore._core.tls_state cimport (
    SESSION_CONTEXT_SIZE, DomainState, HandshakeState, get_domain_state, get_handshake_state)
from kore._core.tls_tickets cimport disable_tickets

cdef enum NameKind:
    NO_NAME = 0             # also an IP address, which is not to be sent, RFC 6066 section 3
    HOST_NAME = 1
    UNKNOWN_NAME = 2        # no host has such a name
    MALFORMED_NAME = 3

cdef enum:
    HEADER_SIZE = 5         # of the extension: size of the list, type, size of the name
    TYPE_HOST_NAME = 0

# The protocols that are offered, the best one first, as the extension has them.
cdef const unsigned char *PROTOCOLS = b"\x08http/1.1"
cdef enum:
    PROTOCOLS_SIZE = 9


cdef void select_domain_by_hello(SSL_CTX *context) noexcept nogil:
    """Give connections that are created with a context that of a domain."""
    SSL_CTX_set_client_hello_cb(context, on_client_hello, NULL)


cdef void select_protocol_by_hello(SSL_CTX *context) noexcept nogil:
    """Choose among the protocols that clients offer; without any the protocol is HTTP/1."""
    SSL_CTX_set_alpn_select_cb(context, on_protocols, NULL)


cdef int on_client_hello(SSL *ssl, int *alert, void *arg) noexcept nogil:
    """Select the domain of a connection. OpenSSL calls this before anything else."""
    cdef HandshakeState *handshake = get_handshake_state(ssl)
    cdef char name[HOST_SIZE_MAX + 1]
    cdef size_t size
    cdef NameKind kind = read_name(ssl, name, &size)
    cdef HostName *found = NULL
    cdef SSL_CTX *selected
    handshake.is_hello_refused = True
    if kind == MALFORMED_NAME:
        alert[0] = SSL_AD_DECODE_ERROR
        return SSL_CLIENT_HELLO_ERROR
    if kind != UNKNOWN_NAME and size:
        found = find_host(&handshake.server.names, name, size)
    handshake.is_named = found != NULL
    if found != NULL:
        selected = <SSL_CTX *>found.value
    else:
        selected = handshake.server.fallback if kind == NO_NAME else NULL
    if kind == HOST_NAME and not keep_name(handshake, name, size):
        alert[0] = SSL_AD_INTERNAL_ERROR
        return SSL_CLIENT_HELLO_ERROR
    if selected == NULL:
        alert[0] = SSL_AD_UNRECOGNIZED_NAME
        return SSL_CLIENT_HELLO_ERROR
    if not apply_domain(ssl, selected):
        alert[0] = SSL_AD_INTERNAL_ERROR
        return SSL_CLIENT_HELLO_ERROR
    handshake.is_hello_refused = False
    return SSL_CLIENT_HELLO_SUCCESS


cdef NameKind read_name(SSL *ssl, char *name, size_t *size) noexcept nogil:
    """Read the server name extension, RFC 6066 section 3: in lower case, without the last dot.

    *name* has room for HOST_SIZE_MAX bytes and a null byte. An IP address is read, too.
    """
    cdef const unsigned char *data
    cdef size_t length
    size[0] = 0
    if not SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &length):
        return NO_NAME
    # As OpenSSL reads it: one list, in it one name.
    if (length <= HEADER_SIZE or (<size_t>data[0] << 8 | data[1]) != length - 2
            or data[2] != TYPE_HOST_NAME
            or (<size_t>data[3] << 8 | data[4]) != length - HEADER_SIZE):
        return MALFORMED_NAME
    return normalize_name(data + HEADER_SIZE, length - HEADER_SIZE, name, size)


cdef NameKind normalize_name(const unsigned char *data, size_t length, char *name,
                             size_t *size) noexcept nogil:
    """Write a name in the form in which names are compared."""
    cdef in6_addr address
    cdef bint is_valid = True
    cdef size_t i
    if data[length - 1] == c".":
        length -= 1
    if not length or length > HOST_SIZE_MAX:
        return UNKNOWN_NAME
    for i in range(length):
        is_valid &= CHAR_CLASS[data[i]] & REG_NAME != 0
        name[i] = data[i] | 0x20 if c"A" <= data[i] <= c"Z" else data[i]
    name[length] = 0
    size[0] = length
    if inet_pton(AF_INET, name, &address) == 1 or inet_pton(AF_INET6, name, &address) == 1:
        return NO_NAME
    return HOST_NAME if is_valid else UNKNOWN_NAME


cdef bint keep_name(HandshakeState *handshake, const char *name, size_t size) noexcept nogil:
    """Keep the server name of a connection; False: no memory."""
    handshake.server_name = <char *>malloc(size + 1)
    if handshake.server_name == NULL:
        return False
    memcpy(handshake.server_name, name, size + 1)
    return True


cdef bint apply_domain(SSL *ssl, SSL_CTX *context) noexcept nogil:
    """Give a connection the context of its domain, and the settings that do not come with it."""
    cdef DomainState *domain = get_domain_state(context)
    cdef int mode = SSL_VERIFY_NONE
    if SSL_set_SSL_CTX(ssl, context) == NULL:
        return False
    get_handshake_state(ssl).domain = domain
    if domain.wants_certificate:
        mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
        SSL_set_verify_depth(ssl, domain.verify_depth)
        # Certificate and CRL are checked in each handshake.
        disable_tickets(ssl)
    SSL_set_verify(ssl, mode, verify_client)
    SSL_set_options(ssl, SSL_CTX_get_options(context))
    return SSL_set_session_id_context(ssl, domain.session_context, SESSION_CONTEXT_SIZE)


cdef int on_protocols(SSL *ssl, const unsigned char **selected, unsigned char *selected_size,
                      const unsigned char *offered, unsigned int size, void *arg) noexcept nogil:
    """Choose a protocol, RFC 7301 section 3.2. A client that offers others only gets an alert."""
    cdef unsigned char *found
    if SSL_select_next_proto(&found, selected_size, PROTOCOLS, PROTOCOLS_SIZE,
                             offered, size) != OPENSSL_NPN_NEGOTIATED:
        return SSL_TLSEXT_ERR_ALERT_FATAL
    selected[0] = found
    return SSL_TLSEXT_ERR_OK

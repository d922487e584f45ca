# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""What callbacks of OpenSSL know of a server, a domain and a handshake.

The structures are attached to OpenSSL's objects as "ex data": OpenSSL calls the functions here
that free them when the last reference to its object is gone.
"""

from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy

from kore._core.openssl cimport (
    CRYPTO_EX_DATA, EVP_Q_digest, OPENSSL_cleanse, SSL, SSL_CTX, SSL_CTX_free,
    SSL_CTX_get_ex_data, SSL_CTX_get_ex_new_index, SSL_CTX_set_ex_data, SSL_get_ex_data,
    SSL_get_ex_new_index, SSL_set_ex_data, X509_CRL, X509_CRL_free,
    X509_CRL_up_ref, X509_free)
from kore._core.tls_names cimport clear_names


cdef void free_server_state(void *parent, void *data, CRYPTO_EX_DATA *ad, int index, long argl,
                            void *argp) noexcept nogil:
    cdef ServerState *server = <ServerState *>data
    if server == NULL:
        return
    clear_names(&server.names.exact, <void (*)(void *) noexcept nogil>SSL_CTX_free)
    clear_names(&server.names.patterns, <void (*)(void *) noexcept nogil>SSL_CTX_free)
    SSL_CTX_free(server.fallback)
    OPENSSL_cleanse(&server.tickets, sizeof(TicketKeys))
    free(server)


cdef void free_domain_state(void *parent, void *data, CRYPTO_EX_DATA *ad, int index, long argl,
                            void *argp) noexcept nogil:
    cdef DomainState *domain = <DomainState *>data
    cdef int i
    if domain == NULL:
        return
    for i in range(domain.crl_count):
        X509_CRL_free(domain.crls[i])
    free(domain.crls)
    free(domain.name)
    free(domain)


cdef void free_handshake_state(void *parent, void *data, CRYPTO_EX_DATA *ad, int index, long argl,
                               void *argp) noexcept nogil:
    cdef HandshakeState *handshake = <HandshakeState *>data
    if handshake == NULL:
        return
    X509_free(handshake.refused)
    free(handshake.server_name)
    free(handshake)


cdef int SERVER_INDEX = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_server_state)
cdef int DOMAIN_INDEX = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_domain_state)
cdef int HANDSHAKE_INDEX = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_handshake_state)


cdef ServerState *create_server_state(SSL_CTX *context) except NULL:
    """Attach the state of a server to the context that its connections are created with."""
    cdef ServerState *server = <ServerState *>calloc(1, sizeof(ServerState))
    if server == NULL or not SSL_CTX_set_ex_data(context, SERVER_INDEX, server):
        free(server)
        raise MemoryError
    return server


cdef DomainState *create_domain_state(SSL_CTX *context, bytes name) except NULL:
    """Attach the state of a domain to its context."""
    cdef DomainState *domain = <DomainState *>calloc(1, sizeof(DomainState))
    if domain == NULL or not SSL_CTX_set_ex_data(context, DOMAIN_INDEX, domain):
        free(domain)
        raise MemoryError
    domain.name_size = len(name)
    domain.name = <char *>calloc(1, domain.name_size + 1)
    if domain.name == NULL or not EVP_Q_digest(
            NULL, "SHA256", NULL, <const char *>name, len(name), domain.session_context, NULL):
        raise MemoryError
    memcpy(domain.name, <const char *>name, domain.name_size)
    return domain


cdef HandshakeState *create_handshake_state(SSL *ssl, ServerState *server) except NULL:
    """Attach the state of a handshake to its connection."""
    cdef HandshakeState *handshake = <HandshakeState *>calloc(1, sizeof(HandshakeState))
    if handshake == NULL or not SSL_set_ex_data(ssl, HANDSHAKE_INDEX, handshake):
        free(handshake)
        raise MemoryError
    handshake.server = server
    return handshake


cdef DomainState *get_domain_state(const SSL_CTX *context) noexcept nogil:
    """Return the state of a domain's context; NULL for a context of a server."""
    return <DomainState *>SSL_CTX_get_ex_data(context, DOMAIN_INDEX)


cdef HandshakeState *get_handshake_state(const SSL *ssl) noexcept nogil:
    """Return the state of a connection's handshake."""
    return <HandshakeState *>SSL_get_ex_data(ssl, HANDSHAKE_INDEX)


cdef int add_crl(DomainState *domain, X509_CRL *crl) except -1:
    """Keep a revocation list with a domain."""
    cdef X509_CRL **grown = <X509_CRL **>realloc(
        domain.crls, (domain.crl_count + 1) * sizeof(X509_CRL *))
    if grown == NULL:
        raise MemoryError
    domain.crls = grown
    if X509_CRL_up_ref(crl):
        grown[domain.crl_count] = crl
        domain.crl_count += 1
    return 0

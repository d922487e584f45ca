"""What callbacks of OpenSSL know of a server, a domain and a handshake; see tls_state.pyx.

Callbacks may run on the small stack of an asynchronous job and must not touch Python, so all of
this is plain C. Each structure belongs to an object of OpenSSL and is freed with it.
"""

from kore._core.openssl cimport SSL, SSL_CTX, X509, X509_CRL
from kore._core.tls_names cimport NameTable

cdef enum:
    SESSION_CONTEXT_SIZE = 32
    TICKET_KEYS_MAX = 4


cdef struct TicketKey:
    unsigned char name[16]
    unsigned char mac[32]
    unsigned char cipher[32]


cdef struct TicketKeys:
    int count
    TicketKey keys[TICKET_KEYS_MAX]     # the newest first


cdef struct ServerState:        # of the context that connections are created with
    NameTable names             # the values are SSL_CTX, owned
    SSL_CTX *fallback           # for client hellos without a name, owned; NULL: there is none
    TicketKeys tickets


cdef struct DomainState:        # of the context of a domain
    char *name
    size_t name_size
    # Sessions of one domain are not resumed on another.
    unsigned char session_context[SESSION_CONTEXT_SIZE]
    bint is_self_signed
    bint wants_certificate      # of clients
    int verify_depth
    X509_CRL **crls
    int crl_count


cdef struct HandshakeState:     # of a connection
    ServerState *server
    DomainState *domain         # owned by the connection's context; NULL before the client hello
    char *server_name           # in lower case, without the dot at its end; NULL: none was sent
    bint is_named               # the server name is one of the domain's
    bint is_hello_refused       # no domain has the server name, or it cannot be read
    X509 *refused               # a certificate of the client's that was not accepted, owned
    int refusal                 # X509_V_ERR
    int refused_depth


cdef ServerState *create_server_state(SSL_CTX *context) except NULL
cdef DomainState *create_domain_state(SSL_CTX *context, bytes name) except NULL
cdef HandshakeState *create_handshake_state(SSL *ssl, ServerState *server) except NULL
cdef DomainState *get_domain_state(const SSL_CTX *context) noexcept nogil
cdef HandshakeState *get_handshake_state(const SSL *ssl) noexcept nogil
cdef int add_crl(DomainState *domain, X509_CRL *crl) except -1

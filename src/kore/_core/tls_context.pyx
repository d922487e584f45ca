# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The TLS settings of servers and their domains, as OpenSSL's contexts.

A `TlsServer` stands for all TLS connections of one server in this worker. A connection is created
with the server's own context, which has no certificate; the client hello selects that of a domain,
a `TlsContext`. Domains get new contexts while connections are open: these keep theirs.
"""

from kore._core.openssl cimport (
    BIO, BIO_free, BIO_new_mem_buf, ERR_clear_error, ERR_get_error, ERR_reason_error_string,
    PEM_read_bio_X509, SSL, SSL_AD_UNRECOGNIZED_NAME, SSL_CLIENT_HELLO_ERROR,
    SSL_CLIENT_HELLO_SUCCESS, SSL_CTX, SSL_CTX_add0_chain_cert, SSL_CTX_check_private_key,
    SSL_CTX_free, SSL_CTX_new, SSL_CTX_set_cipher_list, SSL_CTX_set_client_hello_cb,
    SSL_CTX_set_max_proto_version, SSL_CTX_set_min_proto_version, SSL_CTX_set_mode,
    SSL_CTX_set_options, SSL_CTX_set_read_ahead, SSL_CTX_set_session_cache_mode,
    SSL_CTX_use_PrivateKey, SSL_CTX_use_certificate, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER,
    SSL_MODE_ENABLE_PARTIAL_WRITE, SSL_MODE_RELEASE_BUFFERS, SSL_OP_IGNORE_UNEXPECTED_EOF,
    SSL_OP_NO_COMPRESSION, SSL_OP_NO_RENEGOTIATION, SSL_OP_NO_TICKET, SSL_SESS_CACHE_OFF,
    SSL_new, SSL_set_SSL_CTX, SSL_set_accept_state, TLS1_2_VERSION, TLS1_3_VERSION,
    TLS_server_method, X509, X509_free)
from kore._core.tls_key cimport TlsKey

cdef dict VERSIONS = {"1.2": TLS1_2_VERSION, "1.3": TLS1_3_VERSION}


cdef object make_error(str text):
    """Return a ValueError with OpenSSL's reason."""
    cdef const char *reason = ERR_reason_error_string(ERR_get_error())
    ERR_clear_error()
    return ValueError(text if reason == NULL else f"{text}: {reason.decode()}")


cdef int select_domain(SSL *ssl, int *alert, void *arg) noexcept nogil:
    """Give a connection the context of its domain."""
    cdef SSL_CTX *found = (<SSL_CTX **>arg)[0]
    if found == NULL:
        alert[0] = SSL_AD_UNRECOGNIZED_NAME
        return SSL_CLIENT_HELLO_ERROR
    SSL_set_SSL_CTX(ssl, found)
    return SSL_CLIENT_HELLO_SUCCESS


cdef class TlsServer:
    """All TLS connections of one server in this worker."""

    def __init__(self, *, str min_version not None, str max_version not None, str ciphers not None):
        self.domains = {}
        self.base = SSL_CTX_new(TLS_server_method())
        if self.base == NULL:
            raise make_error("no TLS context")
        if not SSL_CTX_set_cipher_list(self.base, ciphers.encode()):
            raise make_error(f"tls_cipher '{ciphers}'")
        SSL_CTX_set_min_proto_version(self.base, VERSIONS[min_version])
        SSL_CTX_set_max_proto_version(self.base, VERSIONS[max_version])
        SSL_CTX_set_options(self.base, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION
                            | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_TICKET)
        SSL_CTX_set_mode(self.base, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS
                         | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER)
        SSL_CTX_set_read_ahead(self.base, 1)
        SSL_CTX_set_session_cache_mode(self.base, SSL_SESS_CACHE_OFF)
        SSL_CTX_set_client_hello_cb(self.base, select_domain, &self.only)

    def __dealloc__(self):
        SSL_CTX_free(self.base)

    cdef SSL *create_ssl(self) except NULL:
        cdef SSL *ssl = SSL_new(self.base)
        if ssl == NULL:
            raise MemoryError
        SSL_set_accept_state(ssl)
        return ssl

    def set_domain(self, str name not None, TlsContext context not None):
        """Add a domain, or give it another context. Open connections keep theirs."""
        self.domains[name] = context
        self.only = context.context


cdef class TlsContext:
    """The certificates of a domain. Raises ValueError with OpenSSL's reason."""

    def __init__(self, TlsServer server not None, str name not None, certificates):
        self.name = name
        self.keys = []
        self.context = SSL_CTX_new(TLS_server_method())
        ERR_clear_error()
        for chain, key in certificates:
            self.add_certificate(chain, key)

    def __dealloc__(self):
        SSL_CTX_free(self.context)

    cdef int add_certificate(self, bytes chain, TlsKey key) except -1:
        cdef BIO *bio = BIO_new_mem_buf(<const char *>chain, <int>len(chain))
        cdef X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL)
        cdef X509 *issuer
        cdef int done = (leaf != NULL and SSL_CTX_use_certificate(self.context, leaf)
                         and SSL_CTX_use_PrivateKey(self.context, key.key)
                         and SSL_CTX_check_private_key(self.context))
        X509_free(leaf)
        issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL) if done else NULL
        while issuer != NULL:
            SSL_CTX_add0_chain_cert(self.context, issuer)
            issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL)
        BIO_free(bio)
        if not done:
            raise make_error(f"certificate of {self.name}")
        ERR_clear_error()
        self.keys.append(key)
        return 0

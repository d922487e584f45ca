# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""TLS of servers and their domains: what a connection of a server is created with.

A `TlsServer` stands for all TLS connections of one server in this worker. A connection is created
with the server's own context, which has no certificate; the client hello selects that of a domain,
a `TlsContext`. Domains get new contexts while connections are open: these keep theirs.
"""

from kore._core.openssl cimport (
    EXFLAG_SS, SSL, SSL_CTX, SSL_CTX_add1_chain_cert, SSL_CTX_add_client_CA,
    SSL_CTX_free, SSL_CTX_get_cert_store, SSL_CTX_up_ref,
    SSL_CTX_use_PrivateKey, SSL_CTX_use_certificate, SSL_free, SSL_new, SSL_set_accept_state,
    X509_STORE, X509_STORE_add_cert, X509_STORE_add_crl, X509_STORE_set_flags,
    X509_V_FLAG_CRL_CHECK, X509_check_private_key, X509_get_extension_flags)
from kore._core.poller cimport Poller, PollSource
from kore._core.tls_errors cimport make_error
from kore._core.tls_hello cimport select_domain_by_hello, select_protocol_by_hello
from kore._core.tls_key cimport TlsKey
from kore._core.tls_layer cimport TlsFactory, TlsLayer
from kore._core.tls_names cimport HostName, add_name
from kore._core.tls_pem cimport PemReader
from kore._core.tls_session cimport make_session
from kore._core.tls_settings cimport TlsSettings
from kore._core.tls_state cimport (
    ServerState, add_crl, create_domain_state, create_handshake_state, create_server_state)
from kore._core.tls_tickets cimport disable_tickets, enable_tickets, set_ticket_keys
from kore._core.transport cimport Transport


cdef class TlsServer(TlsFactory):
    """All TLS connections of one server in this worker.

    *domains*: all names, in the order of the HTTP router; a domain without a context is refused.
    Raises ValueError for versions or cipher suites that cannot be used.
    """

    def __cinit__(self, *, str min_version not None, str max_version not None,
                  str ciphers not None, domains=()):
        self.settings = TlsSettings(min_version, max_version, ciphers)
        self.base = self.settings.create_context()
        self.state = create_server_state(self.base)
        select_domain_by_hello(self.base)
        enable_tickets(self.base)
        for name in domains:
            enter_name(self.state, name)

    def __dealloc__(self):
        SSL_CTX_free(self.base)

    cdef TlsLayer make_layer(self, int fd):
        return make_session(self.create_ssl(), fd, self)

    @property
    def groups(self):
        """The groups for key exchanges, in OpenSSL's words."""
        return self.settings.groups.decode().split(":")

    def set_domain(self, str name not None, TlsContext context not None):
        """Give a domain a context, or another one. Open connections keep theirs."""
        cdef HostName *entry = enter_name(self.state, name)
        SSL_CTX_up_ref(context.context)
        SSL_CTX_free(<SSL_CTX *>entry.value)
        entry.value = context.context
        if name == self.default:
            self.set_default(name)

    def set_default(self, str name not None):
        """Set the domain of client hellos without a name, or with an IP address as name."""
        cdef HostName *entry = enter_name(self.state, name)
        self.default = name
        SSL_CTX_free(self.state.fallback)
        self.state.fallback = <SSL_CTX *>entry.value
        if self.state.fallback != NULL:
            SSL_CTX_up_ref(self.state.fallback)

    def set_ticket_keys(self, keys not None):
        """Set the keys of session tickets, the newest first; the same ones for all workers.

        A key has 80 bytes: 16 of name, 32 for HMAC, 32 for AES. Raises ValueError for another size.
        """
        set_ticket_keys(&self.state.tickets, list(keys))

    def close_revoked(self, Poller poller not None):
        """Close connections whose client certificates have been revoked; return their number.

        The lists are those of the newest contexts.
        """
        cdef PollSource source
        cdef Transport transport
        cdef int count = 0
        for source in list(poller.sources.values()):
            if isinstance(source, Transport) and not source.closed:
                transport = <Transport>source
                if transport.tls is not None and transport.tls.is_revoked():
                    transport.close()
                    count += 1
        return count

    cdef SSL *create_ssl(self) except NULL:
        cdef SSL *ssl = SSL_new(self.base)
        if ssl == NULL:
            raise MemoryError
        try:
            create_handshake_state(ssl, self.state)
        except BaseException:
            SSL_free(ssl)
            raise
        if not self.state.tickets.count:
            disable_tickets(ssl)
        SSL_set_accept_state(ssl)
        return ssl


cdef HostName *enter_name(ServerState *state, str name) except NULL:
    """Return the entry of a domain, added if it is new."""
    cdef bytes text = name.lower().encode()
    cdef HostName *entry = add_name(&state.names, text, len(text))
    if entry == NULL:
        raise MemoryError
    return entry


cdef class TlsContext:
    """TLS of one domain: its certificates, and what it asks of clients.

    *certificates*: a chain as PEM, leaf first, and its key, for each kind of key. *client_ca*:
    clients need a certificate of one of these authorities. *crl*: refuse what it revokes; a
    missing or expired list refuses all. Raises ValueError with OpenSSL's reason.
    """

    def __cinit__(self, TlsServer server not None, str name not None, certificates, *,
                  bytes client_ca not None=b"", int verify_depth=1, bytes crl not None=b""):
        self.name = name
        self.keys = []
        self.context = server.settings.create_context()
        self.state = create_domain_state(self.context, name.encode())
        select_protocol_by_hello(self.context)
        for chain, key in certificates:
            self.add_certificate(chain, key)
        if client_ca:
            self.verify_clients(client_ca, verify_depth)
        if crl:
            self.add_crls(crl)

    def __dealloc__(self):
        SSL_CTX_free(self.context)

    cdef int add_certificate(self, bytes chain, TlsKey key) except -1:
        """Add a certificate, the chain above it, and its key."""
        cdef PemReader reader = PemReader(chain, f"certificate of {self.name}")
        if not reader.read_certificate():
            raise ValueError(f"certificate of {self.name}: there is none in the PEM file")
        self.state.is_self_signed |= X509_get_extension_flags(reader.certificate) & EXFLAG_SS != 0
        if not (X509_check_private_key(reader.certificate, key.key)
                and SSL_CTX_use_certificate(self.context, reader.certificate)
                and SSL_CTX_use_PrivateKey(self.context, key.key)):
            raise make_error(f"certificate of {self.name}")
        while reader.read_certificate():
            if not SSL_CTX_add1_chain_cert(self.context, reader.certificate):
                raise make_error(f"certificate chain of {self.name}")
        self.keys.append(key)
        return 0

    cdef int verify_clients(self, bytes authorities, int depth) except -1:
        """Ask clients for a certificate of one of these authorities, whose names they are told."""
        cdef PemReader reader = PemReader(authorities, f"client_verify of {self.name}")
        cdef X509_STORE *store = SSL_CTX_get_cert_store(self.context)
        while reader.read_certificate():
            if not (X509_STORE_add_cert(store, reader.certificate)
                    and SSL_CTX_add_client_CA(self.context, reader.certificate)):
                raise make_error(f"client_verify of {self.name}")
            self.state.wants_certificate = True
        if not self.state.wants_certificate:
            raise ValueError(f"client_verify of {self.name}: there is no certificate in the file")
        self.state.verify_depth = depth
        return 0

    cdef int add_crls(self, bytes crls) except -1:
        """Refuse clients whose certificate is revoked, or whose issuer has no valid list here."""
        cdef PemReader reader = PemReader(crls, f"crl of {self.name}")
        cdef X509_STORE *store = SSL_CTX_get_cert_store(self.context)
        while reader.read_crl():
            if not X509_STORE_add_crl(store, reader.crl):
                raise make_error(f"crl of {self.name}")
            add_crl(self.state, reader.crl)
        if not self.state.crl_count:
            raise ValueError(f"crl of {self.name}: there is no revocation list in the file")
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK)
        return 0

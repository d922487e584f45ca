# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""TLS for tests: private keys in the process that uses them, connections without a socket.
"""

from libc.string cimport memset

from kore._core.openssl cimport (
    BIO, BIO_ctrl_pending, BIO_free, BIO_new, BIO_new_mem_buf, BIO_read_ex, BIO_s_mem,
    BIO_write_ex, ERR_clear_error, PEM_read_bio_PrivateKey, SSL, SSL_ERROR_WANT_READ,
    SSL_do_handshake, SSL_free, SSL_get0_alpn_selected, SSL_get_error, SSL_is_init_finished,
    SSL_read_ex, SSL_session_reused, SSL_set_bio, SSL_write_ex)
from kore._core.tls_client cimport (
    get_client_certificate, get_client_names, is_client_revoked)
from kore._core.tls_context cimport TlsServer
from kore._core.tls_key cimport TlsKey
from kore._core.tls_layer cimport TlsLayer
from kore._core.tls_names cimport HostName, NameTable, add_name, clear_names, find_host
from kore._core.tls_peer cimport describe_failure, fill_layer


cdef class LocalKey(TlsKey):
    """A private key from PEM, for `TlsContext`. Raises ValueError if it cannot be read."""

    def __cinit__(self, bytes pem not None):
        cdef BIO *bio = BIO_new_mem_buf(<const char *>pem, <int>len(pem))
        ERR_clear_error()
        self.key = PEM_read_bio_PrivateKey(bio, NULL, NULL, <char *>b"")
        BIO_free(bio)
        if self.key == NULL:
            raise ValueError("not a private key as PEM")


cdef class MemoryConnection:
    """The server's end of a TLS connection, as bytes in and bytes out."""

    cdef TlsServer server
    cdef SSL *ssl
    cdef BIO *input         # both owned by ssl
    cdef BIO *output
    cdef readonly TlsLayer layer
    cdef readonly str failure       # why the handshake failed, or None

    def __cinit__(self, TlsServer server not None):
        self.server = server
        self.layer = TlsLayer.__new__(TlsLayer)
        self.ssl = server.create_ssl()
        self.input = BIO_new(BIO_s_mem())
        self.output = BIO_new(BIO_s_mem())
        SSL_set_bio(self.ssl, self.input, self.output)

    def __dealloc__(self):
        SSL_free(self.ssl)

    def shake_hands(self, bytes data not None):
        """Go on with the handshake; return what the server sends."""
        cdef size_t done
        cdef int result
        if data:
            BIO_write_ex(self.input, <const char *>data, len(data), &done)
        ERR_clear_error()
        result = SSL_do_handshake(self.ssl)
        if result > 0:
            fill_layer(self.ssl, self.layer)
        elif SSL_get_error(self.ssl, result) != SSL_ERROR_WANT_READ:
            self.failure = describe_failure(self.ssl)
        return self.take_output()

    def take_output(self):
        """Return the records that are to be sent."""
        cdef bytes data = bytes(BIO_ctrl_pending(self.output))
        cdef size_t done = 0
        BIO_read_ex(self.output, <char *>data, len(data), &done)
        return data[:done]

    def write(self, bytes data not None):
        """Return *data* as records."""
        cdef size_t done
        SSL_write_ex(self.ssl, <const char *>data, len(data), &done)
        return self.take_output()

    def read(self, bytes records not None):
        """Return what records contain."""
        cdef bytes data = bytes(len(records))
        cdef size_t done = 0
        BIO_write_ex(self.input, <const char *>records, len(records), &done)
        SSL_read_ex(self.ssl, <char *>data, len(data), &done)
        return data[:done]

    @property
    def established(self):
        """Whether the handshake is finished."""
        return bool(SSL_is_init_finished(self.ssl))

    @property
    def reused(self):
        """Whether a session was resumed."""
        return bool(SSL_session_reused(self.ssl))

    @property
    def protocol(self):
        """The protocol that was chosen (ALPN), b"" for none."""
        cdef const unsigned char *name
        cdef unsigned int size
        SSL_get0_alpn_selected(self.ssl, &name, &size)
        return (<const char *>name)[:size] if size else b""

    @property
    def certificate(self):
        """The client's certificate as DER."""
        return get_client_certificate(self.ssl)

    @property
    def names(self):
        """Issuer and subject of the client's certificate."""
        return get_client_names(self.ssl)

    @property
    def common_name(self):
        """The common name in the client's certificate, as the access log has it."""
        return self.layer.client_name

    @property
    def server_name(self):
        """The name that the client has sent."""
        return self.layer.server_name

    @property
    def version(self):
        """OpenSSL's name of the version."""
        return self.layer.version_name.decode()

    @property
    def cipher(self):
        """OpenSSL's name of the cipher suite."""
        return self.layer.cipher_name.decode()

    @property
    def sends_hsts(self):
        """Whether HSTS makes sense."""
        return bool(self.layer.sends_hsts)

    @property
    def revoked(self):
        """Whether the client's certificate has been revoked since."""
        return bool(is_client_revoked(self.ssl))


def find_pattern(names, bytes host not None):
    """Return which of *names* stands for a host, as the table of a server finds it, or None."""
    cdef NameTable table
    cdef HostName *found
    cdef bytes name
    memset(&table, 0, sizeof(table))
    for name in names:
        add_name(&table, name, len(name))
    found = find_host(&table, host, len(host))
    result = None if found == NULL else found.text[:found.size]
    clear_names(&table.exact, release_nothing)
    clear_names(&table.patterns, release_nothing)
    return result


cdef void release_nothing(void *value) noexcept nogil:
    pass

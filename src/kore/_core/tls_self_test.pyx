# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""A handshake in memory, before a TLS context is used: does the key process sign for its keys?

Server and client are two sessions of OpenSSL in this process, one handshake for each kind of key.
The server's job is paused while the key process signs, so the event loop is not blocked; the client
checks the signature with the certificate.
"""

from cpython.ref cimport Py_DECREF, Py_INCREF

from kore._core.openssl cimport (
    BIO, BIO_free, BIO_new, BIO_s_mem, BIO_up_ref, ERR_clear_error, SSL, SSL_CTX, SSL_CTX_free,
    SSL_CTX_new, SSL_ERROR_NONE, SSL_ERROR_WANT_ASYNC, SSL_ERROR_WANT_READ, SSL_MODE_ASYNC,
    SSL_VERIFY_NONE, SSL_do_handshake, SSL_free, SSL_get_error, SSL_new, SSL_set_accept_state,
    SSL_set_bio, SSL_set_connect_state, SSL_set_mode, SSL_set_verify, TLS_client_method)
from kore._core.openssl_errors cimport take_errors
from kore._core.openssl_provider cimport (
    EVP_PKEY_is_a, SSL_async_callback_fn, SSL_set1_sigalgs_list, SSL_set_async_callback,
    SSL_set_async_callback_arg, SSL_waiting_for_async)
from kore._core.poller import log_exception
from kore._core.tls_context cimport TlsContext
from kore._core.tls_key cimport TlsKey

cdef enum:
    ROUNDS_MAX = 10     # in which client and server have their turns; a handshake needs 3

# What a client offers to be shown the certificate with a key of one kind.
cdef dict ALGORITHMS = {
    "RSA": b"RSA-PSS+SHA256:RSA-PSS+SHA384:RSA+SHA256:RSA+SHA384",
    "ECDSA": b"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512"}


def start_self_test(TlsContext context not None, on_done not None):
    """Do a handshake with each key of *context*, then call *on_done* with "" or what is wrong.

    *on_done* is called once, at the latest when the key channel's time limit has passed, and
    before this function returns if no signature has to be waited for.
    """
    cdef SelfTest test = SelfTest.__new__(SelfTest)
    cdef TlsKey key
    test.context = context
    test.on_done = on_done
    test.kinds = []
    for key in context.keys:
        kind = "RSA" if EVP_PKEY_is_a(key.key, b"RSA") else "ECDSA"
        if kind not in test.kinds:
            test.kinds.append(kind)
    if not test.kinds:
        raise ValueError("a context without a certificate")
    test.begin_handshake()


cdef int resume_test(SSL *ssl, void *argument) noexcept:
    cdef SelfTest test = <SelfTest>argument
    Py_DECREF(test)         # of `run_handshake`
    try:
        test.run_handshake()
    except BaseException:
        log_exception("a self-test of TLS has failed")
    return 1


cdef class SelfTest:
    """The handshakes of one context. While a signature is waited for, it owns itself."""

    cdef TlsContext context
    cdef object on_done
    cdef list kinds             # of keys that are to be tested, the current one first
    cdef SSL *server
    cdef SSL *client

    def __dealloc__(self):
        self.free_sessions()

    cdef int begin_handshake(self) except -1:
        cdef SSL_CTX *context = SSL_CTX_new(TLS_client_method())
        cdef BIO *to_client = BIO_new(BIO_s_mem())
        cdef BIO *to_server = BIO_new(BIO_s_mem())
        self.server = SSL_new(self.context.context)
        if context != NULL:
            self.client = SSL_new(context)
            SSL_CTX_free(context)           # the session holds it
        if to_client == NULL or to_server == NULL or self.server == NULL or self.client == NULL:
            BIO_free(to_client)
            BIO_free(to_server)
            raise MemoryError
        BIO_up_ref(to_client)
        BIO_up_ref(to_server)
        SSL_set_bio(self.server, to_server, to_client)
        SSL_set_bio(self.client, to_client, to_server)
        SSL_set_accept_state(self.server)
        SSL_set_connect_state(self.client)
        SSL_set_verify(self.server, SSL_VERIFY_NONE, NULL)      # the client has no certificate
        SSL_set_verify(self.client, SSL_VERIFY_NONE, NULL)      # of the chain, not the signature
        SSL_set1_sigalgs_list(self.client, ALGORITHMS[self.kinds[0]])
        SSL_set_mode(self.server, SSL_MODE_ASYNC)
        SSL_set_async_callback(self.server, <SSL_async_callback_fn>resume_test)
        SSL_set_async_callback_arg(self.server, <void *>self)
        return self.run_handshake()

    cdef int run_handshake(self) except -1:
        """Let both sides have their turns until they are done, or the server waits."""
        cdef int server = SSL_ERROR_WANT_READ
        cdef int client = SSL_ERROR_WANT_READ
        cdef int _turn
        ERR_clear_error()
        for _turn in range(ROUNDS_MAX):
            client = self.run_side(self.client)
            if self.is_failed(client):      # the next call would clear its errors
                break
            server = self.run_side(self.server)
            if server == SSL_ERROR_WANT_ASYNC:
                Py_INCREF(self)         # until the callback
                return 0
            if server == SSL_ERROR_NONE and client == SSL_ERROR_NONE:
                return self.end_handshake("")
            if self.is_failed(server):
                break
        return self.end_handshake((take_errors() or ["it does not end"])[0])

    cdef int run_side(self, SSL *ssl) noexcept:
        return SSL_get_error(ssl, SSL_do_handshake(ssl))

    cdef bint is_failed(self, int state) noexcept:
        return state != SSL_ERROR_NONE and state != SSL_ERROR_WANT_READ

    cdef int end_handshake(self, str problem) except -1:
        """Go on with the next kind of key, or report the outcome."""
        cdef object on_done = self.on_done
        cdef str kind = self.kinds.pop(0)
        self.free_sessions()
        if problem:
            on_done(f"a handshake with the {kind} key fails: {problem}")
        elif self.kinds:
            self.begin_handshake()
        else:
            on_done("")
        return 0

    cdef void free_sessions(self) noexcept:
        if self.server != NULL and SSL_waiting_for_async(self.server):
            SSL_do_handshake(self.server)       # gives up its signature
        SSL_free(self.server)
        SSL_free(self.client)
        self.server = self.client = NULL
        ERR_clear_error()

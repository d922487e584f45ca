# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Signatures that the key process makes for workers: which texts, with which keys, how many.

A key signs what a TLS server signs in a handshake, and nothing else, so that a worker which runs
the code of an attacker cannot have documents, client handshakes or tokens signed:

- TLS 1.3, CertificateVerify (RFC 8446 4.4.3): 64 spaces, a context string, a zero byte, and the
  hash of the handshake so far;
- TLS 1.2, ServerKeyExchange with ECDHE (RFC 8422 5.4): 32 random bytes of the client, 32 of the
  server, and a point on a named curve.

The worker sends the whole text, never a digest of it. What is refused has the id of its request as
the response. A worker that asks for more than its rate is not read for a while; the others are.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcmp, memcpy

from kore._core.libc cimport MSG_DONTWAIT, MSG_NOSIGNAL, recv, send
from kore._core.openssl cimport ERR_clear_error, EVP_PKEY, EVP_PKEY_free
from kore._core.openssl_provider cimport (
    EVP_DigestSign, EVP_DigestSignInit, EVP_MD, EVP_MD_CTX, EVP_MD_CTX_free, EVP_MD_CTX_new,
    EVP_MD_CTX_reset, EVP_MD_fetch, EVP_MD_free, EVP_MD_get_size, EVP_PKEY_CTX,
    EVP_PKEY_CTX_set_rsa_padding, EVP_PKEY_CTX_set_rsa_pss_saltlen, d2i_AutoPrivateKey)
from kore._core.signing_queue cimport RequestHead, precise_ms

cdef enum:
    HASH_COUNT = 3              # SHA-256, SHA-384, SHA-512: numbers 1 to 3
    ECDSA = 0                   # paddings, as RequestHead has them
    PKCS1_PADDING = 1
    PSS_PADDING = 6
    PSS_SALT_OF_DIGEST = -1
    REQUEST_MAX = 512           # bytes of a datagram; the longest text that is signed has 201
    ID_SIZE = 4                 # bytes of a request's id, which a response begins with
    SIGNATURE_MAX = 2048        # bytes, of RSA-16384
    RESPONSE_MAX = ID_SIZE + SIGNATURE_MAX
    TURN_MS = 1                 # that are spent on one worker while others wait
    RANDOMS_SIZE = 64
    PREFIX_SIZE = 98

    # Signatures that a worker may have per millisecond, and how many of them at once. One that did
    # nothing but handshakes would need fewer.
    RATE_PER_MS = 10
    BURST_MAX = 2000

BURST = BURST_MAX
PAUSE_SECONDS = 0.01            # for which a worker that is too fast is not read

cdef const char *PREFIX = (
    b"                                                                "
    b"TLS 1.3, server CertificateVerify\0")

cdef enum Version:
    NO_VERSION
    TLS_1_2
    TLS_1_3


class SignatureRefusedError(Exception):
    """A signature that is not made, and why."""


cdef Version find_version(const unsigned char *text, size_t size) noexcept nogil:
    """Return the version of TLS in which a server signs such a text."""
    cdef const unsigned char *point = text + RANDOMS_SIZE + 4
    cdef size_t point_size
    if size in (PREFIX_SIZE + 32, PREFIX_SIZE + 48) and memcmp(text, PREFIX, PREFIX_SIZE) == 0:
        return TLS_1_3
    # "Named curve", the number of the curve in two bytes, and the size of the point.
    if size <= RANDOMS_SIZE + 4 or text[RANDOMS_SIZE] != 3 or text[RANDOMS_SIZE + 1] != 0:
        return NO_VERSION
    point_size = find_point_size(text[RANDOMS_SIZE + 2])
    if text[RANDOMS_SIZE + 3] != point_size or size != RANDOMS_SIZE + 4 + point_size:
        return NO_VERSION
    # An uncompressed point begins with 4; those of x25519 and x448 have no such byte.
    return TLS_1_2 if point[0] == 4 or point_size < 65 else NO_VERSION


cdef size_t find_point_size(uint8_t curve) noexcept nogil:
    """Return the size of a point on a curve of TLS (RFC 8422 5.1.1, 5.4), 0 for other curves."""
    if curve == 23:             # secp256r1
        return 65
    if curve == 24:             # secp384r1
        return 97
    if curve == 25:             # secp521r1
        return 133
    if curve == 29:             # x25519
        return 32
    return 56 if curve == 30 else 0     # x448


cdef class SigningKey:
    """A private key."""

    cdef EVP_PKEY *key
    cdef int curve_hash         # what TLS 1.3 combines with the curve (RFC 8446 4.2.3); 0: RSA

    def __dealloc__(self):
        EVP_PKEY_free(self.key)

    cdef bint has_scheme(self, Version version, const RequestHead *head, int digest_size) noexcept:
        """Return whether TLS signs with such a key in that way."""
        if self.curve_hash:
            return head.padding == ECDSA and head.salt_size == 0 and (
                version == TLS_1_2 or head.hash == self.curve_hash)
        if head.padding == PSS_PADDING:
            return head.salt_size == digest_size
        return head.padding == PKCS1_PADDING and head.salt_size == 0 and version == TLS_1_2


cdef class SigningKeys:
    """The private keys, by id."""

    cdef dict keys
    cdef EVP_MD_CTX *context
    cdef EVP_MD *hashes[HASH_COUNT]

    def __cinit__(self):
        cdef int number = 0
        self.keys = {}
        self.context = EVP_MD_CTX_new()
        for name in (b"SHA256", b"SHA384", b"SHA512"):
            self.hashes[number] = EVP_MD_fetch(NULL, name, NULL)
            number += 1

    def __dealloc__(self):
        cdef int number
        EVP_MD_CTX_free(self.context)
        for number in range(HASH_COUNT):
            EVP_MD_free(self.hashes[number])

    def load_key(self, uint32_t key_id, bytes der not None, int curve_hash):
        """Sign with a key for this id. *curve_hash*: of a curve in TLS 1.3; 0: a key of RSA.

        Raises ValueError for what OpenSSL does not read.
        """
        cdef SigningKey key = SigningKey.__new__(SigningKey)
        cdef const unsigned char *data = der
        key.key = d2i_AutoPrivateKey(NULL, &data, <long>len(der))
        key.curve_hash = curve_hash
        ERR_clear_error()
        if key.key == NULL:
            raise ValueError("not a private key in DER")
        self.keys[key_id] = key

    def remove_key(self, uint32_t key_id):
        """Forget a key."""
        self.keys.pop(key_id, None)

    def sign(self, uint32_t key_id, bytes scheme not None, bytes text not None):
        """Return the signature of a text; *scheme*: padding, salt size, hash and 0, as in requests.

        Raises SignatureRefusedError unless it is a text and a scheme of a TLS server.
        """
        cdef RequestHead head
        cdef unsigned char signature[SIGNATURE_MAX]
        cdef size_t size = SIGNATURE_MAX
        if len(scheme) != 4:
            raise ValueError("a scheme has four bytes")
        head.key_id = key_id
        memcpy(&head.padding, <const char *>scheme, 4)
        refusal = self.sign_text(&head, text, len(text), signature, &size)
        if refusal is not None:
            raise SignatureRefusedError(refusal)
        return signature[:size]

    cdef str sign_text(self, const RequestHead *head, const unsigned char *text, size_t text_size,
                       unsigned char *signature, size_t *size):
        """Sign a text; return why it is refused, or None."""
        cdef SigningKey key = self.keys.get(head.key_id)
        cdef Version version
        if key is None:
            return "an unknown key"
        version = find_version(text, text_size)
        if version == NO_VERSION:
            return "a text that TLS servers do not sign"
        if not 1 <= head.hash <= HASH_COUNT or head.reserved or not key.has_scheme(
                version, head, EVP_MD_get_size(self.hashes[head.hash - 1])):
            return "a scheme that the key has not in TLS 1." + ("2" if version == TLS_1_2 else "3")
        if not self.compute(key, head, text, text_size, signature, size):
            return "OpenSSL cannot sign with the key"
        return None

    cdef bint compute(self, SigningKey key, const RequestHead *head, const unsigned char *text,
                      size_t text_size, unsigned char *signature, size_t *size) noexcept:
        cdef EVP_PKEY_CTX *parameters = NULL
        cdef bint done = EVP_DigestSignInit(
            self.context, &parameters, self.hashes[head.hash - 1], NULL, key.key) > 0
        if done and head.padding == PSS_PADDING:
            done = (EVP_PKEY_CTX_set_rsa_padding(parameters, PSS_PADDING) > 0
                    and EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, PSS_SALT_OF_DIGEST) > 0)
        done = done and EVP_DigestSign(self.context, signature, size, text, text_size) > 0
        EVP_MD_CTX_reset(self.context)
        ERR_clear_error()
        return done


cdef class WorkerRequests:
    """A worker's channel for signatures: its requests are handled by `serve`.

    *sock* is an end of a SOCK_SEQPACKET pair. *key_ids* are the keys that the worker may use.
    """

    cdef object sock
    cdef int fd
    cdef SigningKeys keys
    cdef public object key_ids
    cdef public str refusal     # why the latest request was refused; cleared by what reports it
    cdef readonly size_t signed_count
    cdef readonly size_t refused_count
    cdef int64_t credit         # what the worker may still ask for now: grows by the rate
    cdef int64_t credited_at    # monotonic milliseconds
    cdef int64_t ahead          # of the clock: what `advance_clock` has added

    def __init__(self, sock not None, SigningKeys keys not None, key_ids):
        self.sock = sock
        self.fd = sock.fileno()
        self.keys = keys
        self.key_ids = frozenset(key_ids)
        self.refusal = ""
        self.credit = BURST_MAX
        self.credited_at = precise_ms()

    def fileno(self):
        """Return the descriptor, which is readable when there are requests."""
        if self.sock is None:
            raise ValueError("there is no channel")
        return self.sock.fileno()

    def close(self):
        """Close the channel."""
        if self.sock is not None:
            self.sock.close()
        self.fd = -1

    def advance_clock(self, int milliseconds):
        """Set the clock forward, so that tests need not wait for the rate."""
        self.ahead += milliseconds

    def serve(self):
        """Handle requests, as many as one turn may take.

        Returns seconds for which the worker is to be left alone, 0 as a rule; None if it is gone.
        """
        cdef unsigned char request[REQUEST_MAX]
        cdef ssize_t size
        cdef int64_t end = precise_ms() + TURN_MS
        if self.keys is None:
            raise ValueError("there is no channel")
        while self.take_credit():
            size = recv(self.fd, request, REQUEST_MAX, MSG_DONTWAIT)
            if size <= 0:
                self.credit += 1
                return 0.0 if size < 0 and errno in (EAGAIN, EINTR) else None
            if not self.respond(request, size):
                break
            if precise_ms() > end:
                return 0.0
        return PAUSE_SECONDS

    cdef bint respond(self, const unsigned char *request, size_t size) except -1:
        """Send the response to a request; drop it and return False if the worker does not read."""
        cdef RequestHead head
        cdef unsigned char response[RESPONSE_MAX]
        cdef size_t signature_size = SIGNATURE_MAX
        cdef str refusal
        if size < sizeof(head):
            self.count_refusal("a datagram that is too short")
            return True
        memcpy(&head, request, sizeof(head))
        memcpy(response, request, ID_SIZE)
        if head.key_id not in self.key_ids:
            refusal = "a key that is not for this worker"
        else:
            refusal = self.keys.sign_text(&head, request + sizeof(head), size - sizeof(head),
                                          response + ID_SIZE, &signature_size)
        if refusal is None:
            self.signed_count += 1
        else:
            signature_size = 0
            self.count_refusal(refusal)
        return send(self.fd, response, ID_SIZE + signature_size, MSG_DONTWAIT | MSG_NOSIGNAL) > 0

    cdef int count_refusal(self, str reason) except -1:
        self.refused_count += 1
        self.refusal = reason
        return 0

    cdef bint take_credit(self) noexcept:
        """Count one request; return whether the worker may ask for it now."""
        cdef int64_t now
        if self.credit < 1:
            now = precise_ms() + self.ahead
            self.credit = min((now - self.credited_at) * RATE_PER_MS, BURST_MAX)
            self.credited_at = now
            if self.credit < 1:
                return False
        self.credit -= 1
        return True

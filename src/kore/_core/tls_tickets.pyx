# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Session tickets of a server: the keys that encrypt them, which all workers share.

One set of keys serves all domains of a server, because OpenSSL reads and writes tickets with the
context that a connection was created with; the session id context keeps domains apart. The newest
key encrypts. Tickets of the others are accepted and renewed. There is no cache of sessions, so
TLS 1.2 resumes with tickets only, on any worker.
"""

from libc.string cimport memcmp, memcpy

from kore._core.openssl cimport (
    EVP_CIPHER_CTX, EVP_CipherInit_ex, EVP_MAC_CTX, EVP_MAC_CTX_set_params, EVP_aes_256_cbc,
    OPENSSL_cleanse, OSSL_MAC_PARAM_DIGEST, OSSL_MAC_PARAM_KEY, OSSL_PARAM,
    OSSL_PARAM_construct_end, OSSL_PARAM_construct_octet_string, OSSL_PARAM_construct_utf8_string,
    RAND_bytes, SSL, SSL_CTX, SSL_CTX_set_num_tickets, SSL_CTX_set_session_cache_mode,
    SSL_CTX_set_timeout, SSL_CTX_set_tlsext_ticket_key_evp_cb, SSL_OP_NO_TICKET,
    SSL_SESS_CACHE_OFF, SSL_set_num_tickets, SSL_set_options, SSL_version, TLS1_3_VERSION)
from kore._core.tls_state cimport (
    TICKET_KEYS_MAX, TicketKey, TicketKeys, get_handshake_state)

cdef enum:
    IV_SIZE = 16
    LIFETIME = 86400        # seconds
    # What the callback tells OpenSSL.
    FAILED = -1
    NOT_DECRYPTED = 0       # so there is a full handshake
    DONE = 1
    DONE_AND_RENEW = 2


cdef int set_ticket_keys(TicketKeys *keys, list given) except -1:
    """Replace the keys: 16 bytes name, 32 for HMAC, 32 for AES each, the newest first.

    Without keys there are no tickets. Raises ValueError for another size, or too many keys.
    """
    cdef bytes key
    cdef int i
    if len(given) > TICKET_KEYS_MAX:
        raise ValueError(f"{len(given)} ticket keys, {TICKET_KEYS_MAX} are the limit")
    for key in given:
        if len(key) != sizeof(TicketKey):
            raise ValueError(f"a ticket key has {sizeof(TicketKey)} bytes, not {len(key)}")
    OPENSSL_cleanse(keys, sizeof(TicketKeys))
    keys.count = len(given)
    for i in range(keys.count):
        memcpy(&keys.keys[i], <const char *>(<bytes>given[i]), sizeof(TicketKey))
    return 0


cdef void enable_tickets(SSL_CTX *context) noexcept nogil:
    """Have connections that are created with a context use the keys of their server."""
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF)
    SSL_CTX_set_timeout(context, LIFETIME)
    SSL_CTX_set_num_tickets(context, 1)
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, protect_ticket)


cdef void disable_tickets(SSL *ssl) noexcept nogil:
    """Neither give nor take tickets on a connection, so that its handshake is a full one."""
    SSL_set_options(ssl, SSL_OP_NO_TICKET)
    SSL_set_num_tickets(ssl, 0)     # TLS 1.3 would issue tickets that name a session in the cache


cdef int protect_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                        EVP_MAC_CTX *mac, int encrypts) noexcept nogil:
    """Prepare the encryption or decryption of a ticket, RFC 5077 section 4."""
    cdef TicketKeys *keys = &get_handshake_state(ssl).server.tickets
    cdef int i = 0
    if encrypts:
        if not keys.count or RAND_bytes(iv, IV_SIZE) <= 0:
            return FAILED
        memcpy(name, keys.keys[0].name, sizeof(keys.keys[0].name))
    else:
        while i < keys.count and memcmp(name, keys.keys[i].name, sizeof(keys.keys[i].name)):
            i += 1
        if i == keys.count:
            return NOT_DECRYPTED
    if not set_key(&keys.keys[i], iv, cipher, mac, encrypts):
        return FAILED
    # Clients of TLS 1.3 use a ticket once, RFC 8446 appendix C.4.
    if not encrypts and (i or SSL_version(ssl) == TLS1_3_VERSION):
        return DONE_AND_RENEW
    return DONE


cdef bint set_key(TicketKey *key, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                  int encrypts) noexcept nogil:
    """Give the two halves of a key to AES-256-CBC and HMAC-SHA-256."""
    cdef OSSL_PARAM parameters[3]
    parameters[0] = OSSL_PARAM_construct_octet_string(
        OSSL_MAC_PARAM_KEY, key.mac, sizeof(key.mac))
    parameters[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 0)
    parameters[2] = OSSL_PARAM_construct_end()
    return (EVP_MAC_CTX_set_params(mac, parameters)
            and EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv, encrypts))

# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Settings that all contexts of a TLS server share: versions, cipher suites, groups, options.

The defaults follow Mozilla's recommendation "intermediate", version 6.0, of their guideline
Security/Server Side TLS. Groups and order of preference are not configurable: the client's order
counts, since it knows whether it has AES in hardware.
"""

from kore._core.openssl cimport (
    ERR_clear_error, NID_auth_ecdsa, NID_auth_rsa, NID_kx_ecdhe, NID_kx_rsa, SSL_CIPHER,
    SSL_CIPHER_get_auth_nid, SSL_CIPHER_get_kx_nid, SSL_CTX, SSL_CTX_free, SSL_CTX_get_ciphers,
    SSL_CTX_new, SSL_CTX_set1_groups_list, SSL_CTX_set_cipher_list, SSL_CTX_set_max_proto_version,
    SSL_CTX_set_min_proto_version, SSL_CTX_set_mode, SSL_CTX_set_options, SSL_CTX_set_read_ahead,
    SSL_CTX_set_security_level, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER,
    SSL_MODE_ENABLE_PARTIAL_WRITE, SSL_MODE_NO_AUTO_CHAIN, SSL_MODE_RELEASE_BUFFERS,
    SSL_OP_IGNORE_UNEXPECTED_EOF, SSL_OP_NO_COMPRESSION, SSL_OP_NO_RENEGOTIATION,
    STACK_OF_SSL_CIPHER, TLS1_2_VERSION, TLS1_3_VERSION, TLS_server_method, sk_SSL_CIPHER_num,
    sk_SSL_CIPHER_value)
from kore._core.tls_errors cimport make_error

import re

cdef enum:
    SECURITY_LEVEL = 2      # no keys or hashes below 112 bits, whatever openssl.cnf says

cdef dict VERSIONS = {"1.2": TLS1_2_VERSION, "1.3": TLS1_3_VERSION}
# X25519MLKEM768 needs OpenSSL 3.5.
cdef tuple GROUPS = (b"X25519MLKEM768:X25519:P-256:P-384", b"X25519:P-256:P-384")
# Words for suites that a library may be built without: lists exclude them to be on the safe side.
cdef frozenset EXCLUDABLE = frozenset(
    "3DES DES DSS EXP EXPORT IDEA KRB5 LOW MD5 RC2 RC4 SEED SSLv2 aDH aDSS aECDH kDH kECDH".split())


cdef class TlsSettings:
    """Versions and cipher suites of a TLS server. Raises ValueError if they cannot be used."""

    def __cinit__(self, str min_version not None, str max_version not None, str ciphers not None):
        if min_version not in VERSIONS or max_version not in VERSIONS or max_version < min_version:
            raise ValueError(f"no TLS versions from '{min_version}' to '{max_version}'")
        self.min_version = VERSIONS[min_version]
        self.max_version = VERSIONS[max_version]
        self.ciphers = ciphers.encode("ascii", "replace")
        check_ciphers(self.ciphers, self.min_version == TLS1_2_VERSION)
        self.groups = find_groups()

    cdef SSL_CTX *create_context(self) except NULL:
        """Return a new context with these settings, for its owner to free."""
        cdef SSL_CTX *context = create_bare_context()
        SSL_CTX_set_security_level(context, SECURITY_LEVEL)
        SSL_CTX_set_min_proto_version(context, self.min_version)
        SSL_CTX_set_max_proto_version(context, self.max_version)
        SSL_CTX_set_cipher_list(context, self.ciphers)
        SSL_CTX_set1_groups_list(context, self.groups)
        SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION
                            | SSL_OP_IGNORE_UNEXPECTED_EOF)
        # The chain is the configured one: nothing of the clients' CAs is to be added to it.
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS
                         | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN)
        SSL_CTX_set_read_ahead(context, 1)
        return context


cdef SSL_CTX *create_bare_context() except NULL:
    """Return a new context for servers."""
    cdef SSL_CTX *context = SSL_CTX_new(TLS_server_method())
    if context == NULL:
        raise make_error("OpenSSL cannot be used")
    return context


cdef bytes find_groups():
    """Return the groups for key exchanges that the library has."""
    cdef SSL_CTX *context = create_bare_context()
    cdef bytes groups
    for groups in GROUPS:
        if SSL_CTX_set1_groups_list(context, groups):
            break
    SSL_CTX_free(context)
    ERR_clear_error()
    return groups


cdef int check_ciphers(bytes ciphers, bint needs_suite) except -1:
    """Check a list of cipher suites, of which OpenSSL ignores what it does not know.

    Raises ValueError, also if no suite of TLS 1.2 can be used though *needs_suite*.
    """
    cdef SSL_CTX *context = create_bare_context()
    try:
        for word in re.split(b"[:, ]+", ciphers.strip(b":, ")):
            if word.startswith(b"TLS_"):
                raise ValueError(
                    f"tls_cipher: {word.decode()!r} is a suite of TLS 1.3, whose list is fixed")
            if not is_known(context, word):
                raise ValueError(f"tls_cipher: OpenSSL does not know {word.decode()!r}")
        if not SSL_CTX_set_cipher_list(context, ciphers):
            raise make_error("tls_cipher")
        if needs_suite and not has_usable_suite(context):
            raise ValueError(
                "tls_cipher: no suite with ECDHE or RSA and a certificate of ECDSA or RSA is left")
    finally:
        SSL_CTX_free(context)
        ERR_clear_error()
    return 0


cdef bint is_known(SSL_CTX *context, bytes word) except -1:
    """Return whether OpenSSL knows a word of a list, of which `!`, `-` and `+` are prefixes."""
    bare = word.lstrip(b"!-+")
    if bare != word and all(part.decode() in EXCLUDABLE for part in bare.split(b"+")):
        return True
    return (bare.startswith(b"@") or bare == b"DEFAULT"
            or SSL_CTX_set_cipher_list(context, bare) == 1)


cdef bint has_usable_suite(SSL_CTX *context) noexcept:
    """Return whether there is a suite of TLS 1.2 for the certificates and keys of servers."""
    cdef STACK_OF_SSL_CIPHER *ciphers = SSL_CTX_get_ciphers(context)
    cdef SSL_CIPHER *cipher
    cdef int i
    for i in range(sk_SSL_CIPHER_num(ciphers)):
        cipher = sk_SSL_CIPHER_value(ciphers, i)
        if (SSL_CIPHER_get_kx_nid(cipher) in (NID_kx_ecdhe, NID_kx_rsa)
                and SSL_CIPHER_get_auth_nid(cipher) in (NID_auth_ecdsa, NID_auth_rsa)):
            return True
    return False

# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""OpenSSL's errors in words, for exceptions and the log."""

from kore._core.openssl_errors cimport take_errors

# Reasons that say more than OpenSSL's abbreviations.
cdef dict PLAIN = {
    "no start line": "there is no such block in the PEM file",
    "key values mismatch": "the key is not that of the certificate",
    "different key types": "the key is not of the certificate's kind",
    "ee key too small": "its key is too small",
    "ca key too small": "the key of its issuer is too small",
    "ca md too weak": "it is signed with a hash that is not secure any more",
    "bad base64 decode": "the PEM file is damaged",
}


cdef str take_reason():
    """Return the reason of the oldest error that OpenSSL has recorded, and forget all of them."""
    cdef list reasons = take_errors()
    return PLAIN.get(reasons[0], reasons[0]) if reasons else "no reason given"


cdef object make_error(str what):
    """Return a ValueError that says what cannot be used, and OpenSSL's reason."""
    return ValueError(f"{what}: {take_reason()}")

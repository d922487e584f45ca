"""Requests for signatures: the datagrams of workers, and the texts that may be signed. Pure.

A key signs what a TLS server signs in a handshake, and nothing else, so that a worker which runs
the code of an attacker cannot have documents, client handshakes or tokens signed:

- TLS 1.3, CertificateVerify (RFC 8446 4.4.3): 64 spaces, a context string, a zero byte, and the
  hash of the handshake so far;
- TLS 1.2, ServerKeyExchange with ECDHE (RFC 8422 5.4): 32 random bytes of the client, 32 of the
  server, and a point on a named curve.

The worker sends the whole text, never a digest of it.
"""

from struct import Struct
from typing import Final, NamedTuple

TLS_1_2: Final = "TLS 1.2"
TLS_1_3: Final = "TLS 1.3"

# Request id, key id, then the scheme: padding of RSA, size of its salt, hash function, a zero.
# See RequestHead in _core/signing_queue.pxd.
HEAD: Final = Struct("=II4s")
REQUEST_ID: Final = Struct("=I")
# Bytes of a datagram: the longest text that may be signed has 201.
REQUEST_MAX: Final = 512

NO_PADDING: Final = 0
PKCS1_PADDING: Final = 1
PSS_PADDING: Final = 6

_CERTIFICATE_VERIFY: Final = b" " * 64 + b"TLS 1.3, server CertificateVerify\0"
# With the hash of a cipher suite, SHA-256 or SHA-384, behind it.
_CERTIFICATE_VERIFY_SIZES: Final = (len(_CERTIFICATE_VERIFY) + 32, len(_CERTIFICATE_VERIFY) + 48)

# The texts of ServerKeyExchange, by what follows the two randoms: "named curve", the number of the
# curve, the size of the point, and the first byte of an uncompressed point. The sizes of the texts.
_RANDOMS_SIZE: Final = 64
_POINTS: Final = {
    b"\x03\x00\x17\x41\x04": _RANDOMS_SIZE + 4 + 65,  # secp256r1
    b"\x03\x00\x18\x61\x04": _RANDOMS_SIZE + 4 + 97,  # secp384r1
    b"\x03\x00\x19\x85\x04": _RANDOMS_SIZE + 4 + 133,  # secp521r1
}
# Their points have no such byte.
_SHORT_POINTS: Final = {
    b"\x03\x00\x1d\x20": _RANDOMS_SIZE + 4 + 32,  # x25519
    b"\x03\x00\x1e\x38": _RANDOMS_SIZE + 4 + 56,  # x448
}


class SigningRequest(NamedTuple):
    """What a worker asks to be signed, with which key and how."""

    request_id: int
    key_id: int
    # Padding, salt size and hash function, as they are in the datagram.
    scheme: bytes
    text: bytes


def encode_scheme(padding: int, salt_size: int, hash_number: int) -> bytes:
    """Return a scheme as requests have it. Hash 1: SHA-256, 2: SHA-384, 3: SHA-512."""
    return bytes((padding, salt_size, hash_number, 0))


def parse_request(datagram: memoryview) -> SigningRequest | None:
    """Parse the datagram of a worker; return None if it is too short for its head."""
    if len(datagram) < HEAD.size:
        return None
    request_id, key_id, scheme = HEAD.unpack_from(datagram)
    return SigningRequest(request_id, key_id, scheme, bytes(datagram[HEAD.size :]))


def find_version(text: bytes) -> str:
    """Return the version of TLS in which a server signs such a text, "" if in none."""
    size = len(text)
    if text.startswith(_CERTIFICATE_VERIFY):
        return TLS_1_3 if size in _CERTIFICATE_VERIFY_SIZES else ""
    if size == _SHORT_POINTS.get(text[_RANDOMS_SIZE : _RANDOMS_SIZE + 4]):
        return TLS_1_2
    if size == _POINTS.get(text[_RANDOMS_SIZE : _RANDOMS_SIZE + 5]):
        return TLS_1_2
    return ""

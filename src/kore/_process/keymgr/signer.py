"""Signatures for workers: which keys, which texts, how many.

A request that is not for a signature of a TLS server, or for a key of another worker, is refused:
the response is the id of the request alone. A worker that asks for more than its rate is not read
for a while; the others are.
"""

import socket
import time
from collections.abc import Callable, Iterable
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from kore._process.keymgr.signing_requests import (
    NO_PADDING,
    PKCS1_PADDING,
    PSS_PADDING,
    REQUEST_ID,
    REQUEST_MAX,
    TLS_1_2,
    TLS_1_3,
    SigningRequest,
    encode_scheme,
    find_version,
    parse_request,
)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
# Arguments of a key's sign() by version of TLS and scheme.
_Schemes = dict[tuple[str, bytes], tuple[object, ...]]

# Signatures per second that a worker may have, and how many of them at once. A worker that did
# nothing but handshakes would need fewer.
RATE: Final = 10_000
BURST: Final = 2_000
# Seconds that are spent on one worker while others wait.
TURN_SECONDS: Final = 0.001
# Seconds for which a worker that is too fast is not read.
PAUSE_SECONDS: Final = 0.01

_HASHES: Final = {1: hashes.SHA256(), 2: hashes.SHA384(), 3: hashes.SHA512()}
# The hash function that TLS 1.3 combines with a curve (RFC 8446 4.2.3). 1.2 leaves it open.
_CURVE_HASHES: Final = {"secp256r1": 1, "secp384r1": 2, "secp521r1": 3}


def _list_ec_schemes(curve: str) -> _Schemes:
    found: _Schemes = {
        (TLS_1_2, encode_scheme(NO_PADDING, 0, number)): (ec.ECDSA(function),)
        for number, function in _HASHES.items()
    }
    number = _CURVE_HASHES[curve]
    found[TLS_1_3, encode_scheme(NO_PADDING, 0, number)] = (ec.ECDSA(_HASHES[number]),)
    return found


def _list_rsa_schemes() -> _Schemes:
    found: _Schemes = {}
    for number, function in _HASHES.items():
        size = function.digest_size
        pss = padding.PSS(padding.MGF1(function), size), function
        for version in (TLS_1_2, TLS_1_3):
            found[version, encode_scheme(PSS_PADDING, size, number)] = pss
        pkcs1 = padding.PKCS1v15(), function
        found[TLS_1_2, encode_scheme(PKCS1_PADDING, 0, number)] = pkcs1
    return found


class Signer:
    """The private keys, by id."""

    def __init__(self) -> None:
        self._keys: dict[int, tuple[Callable[..., bytes], _Schemes]] = {}

    def set_key(self, key_id: int, key: PrivateKey) -> None:
        """Sign with *key* for this id. Raises ValueError for a curve that TLS 1.3 has not."""
        if isinstance(key, rsa.RSAPrivateKey):
            self._keys[key_id] = key.sign, _list_rsa_schemes()
        elif key.curve.name in _CURVE_HASHES:
            self._keys[key_id] = key.sign, _list_ec_schemes(key.curve.name)
        else:
            raise ValueError(f"a key on the curve {key.curve.name}: TLS has P-256, P-384 and P-521")

    def remove_key(self, key_id: int) -> None:
        """Forget a key."""
        self._keys.pop(key_id, None)

    def sign(self, key_id: int, scheme: bytes, text: bytes) -> bytes:
        """Return the signature of a text.

        Raises SignatureRefusedError unless it is a text and a scheme of a TLS server.
        """
        if key_id not in self._keys:
            raise SignatureRefusedError("an unknown key")
        version = find_version(text)
        if not version:
            raise SignatureRefusedError("a text that TLS servers do not sign")
        sign, schemes = self._keys[key_id]
        arguments = schemes.get((version, scheme))
        if arguments is None:
            raise SignatureRefusedError(f"a scheme that the key has not in {version}")
        return sign(text, *arguments)


class SignatureRefusedError(Exception):
    """A signature that is not made, and why."""


class WorkerRequests:
    """A worker's channel for signatures: its requests are handled by `serve`.

    *sock* is an end of a SOCK_SEQPACKET pair. *key_ids* are the keys that the worker may use.
    """

    def __init__(
        self,
        sock: socket.socket,
        signer: Signer,
        key_ids: Iterable[int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._signer = signer
        self._clock = clock
        self._buffer = bytearray(REQUEST_MAX)
        self._view = memoryview(self._buffer)
        # What the worker may still ask for now; grows by RATE, up to BURST.
        self._credit = float(BURST)
        self._credited_at = clock()
        self.key_ids = frozenset(key_ids)
        self.signed_count = 0
        self.refused_count = 0
        # Why the latest request was refused; cleared by what reports it.
        self.refusal = ""

    def fileno(self) -> int:
        """Return the descriptor, which is readable when there are requests."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the channel."""
        self._sock.close()

    def serve(self) -> float | None:
        """Handle requests, as many as one turn may take.

        Returns seconds for which the worker is to be left alone, 0 as a rule; None if it is gone.
        """
        end = self._clock() + TURN_SECONDS
        while self._take_credit():
            try:
                size = self._sock.recv_into(self._buffer)
            except BlockingIOError:
                self._credit += 1
                return 0.0
            except OSError:
                return None
            if not size:
                return None
            if not self._send(self._respond(self._view[:size])):
                break
            if self._clock() >= end:
                return 0.0
        return PAUSE_SECONDS

    def _respond(self, datagram: memoryview) -> bytes:
        """Return the response to a request: its id, and the signature unless it is refused."""
        request = parse_request(datagram)
        if request is None:
            self._count_refusal("a datagram that is too short")
            return b""
        response = REQUEST_ID.pack(request.request_id)
        try:
            response += self._sign(request)
            self.signed_count += 1
        except SignatureRefusedError as error:
            self._count_refusal(str(error))
        return response

    def _sign(self, request: SigningRequest) -> bytes:
        if request.key_id not in self.key_ids:
            raise SignatureRefusedError("a key that is not for this worker")
        return self._signer.sign(request.key_id, request.scheme, request.text)

    def _send(self, response: bytes) -> bool:
        """Send a response; drop it and return False if the worker does not read."""
        try:
            return not response or bool(self._sock.send(response, socket.MSG_NOSIGNAL))
        except OSError:
            return False

    def _count_refusal(self, reason: str) -> None:
        self.refused_count += 1
        self.refusal = reason

    def _take_credit(self) -> bool:
        """Count one request; return whether the worker may ask for it now."""
        if self._credit < 1:
            now = self._clock()
            self._credit = min(self._credit + (now - self._credited_at) * RATE, BURST)
            self._credited_at = now
            if self._credit < 1:
                return False
        self._credit -= 1
        return True

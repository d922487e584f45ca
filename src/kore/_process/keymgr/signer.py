"""The private keys of this process, as the core signs with them.

What is signed, and for which worker, is decided in `_core/signing_service.pyx`.
"""

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kore._core.signing_service import SigningKeys

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

# The number of the hash function that TLS 1.3 combines with a curve (RFC 8446 4.2.3).
_CURVE_HASHES: Final = {"secp256r1": 1, "secp384r1": 2, "secp521r1": 3}


class Signer(SigningKeys):
    """The private keys, by id."""

    def set_key(self, key_id: int, key: PrivateKey) -> None:
        """Sign with *key* for this id. Raises ValueError for a curve that TLS 1.3 has not."""
        curve_hash = 0
        if isinstance(key, ec.EllipticCurvePrivateKey):
            name = key.curve.name
            if name not in _CURVE_HASHES:
                raise ValueError(f"a key on the curve {name}: TLS has P-256, P-384 and P-521")
            curve_hash = _CURVE_HASHES[name]
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        self.load_key(key_id, der, curve_hash)

"""What the files of a domain contain: certificates, private keys, revocation lists, in PEM. Pure.

No text that is made here shows anything of a private key's file.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
# Permission of users who are neither the owner nor in the group of a file.
OTHERS_READ: Final = 0o004
PRIVATE_KEY: Final = re.compile(
    rb"-----BEGIN ((?:[A-Z]+ )*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL
)
# What the library raises, at once or when a field is read, for what is not well-formed.
DAMAGED: Final = (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion)
CRL_BLOCK: Final = re.compile(rb"-----BEGIN (X509 CRL)-----.*?-----END \1-----", re.DOTALL)


class DomainFile(NamedTuple):
    """A file of a domain."""

    kind: str
    path: str
    content: bytes
    # Its permissions.
    mode: int = 0

    def __str__(self) -> str:
        return f"{self.kind} {self.path}"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with its chain, in the order to send, and its private key."""

    file: DomainFile
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey = field(repr=False)

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate of the server itself."""
        return self.chain[0]

    @property
    def chain_pem(self) -> bytes:
        """The chain in PEM."""
        return b"".join(one.public_bytes(Encoding.PEM) for one in self.chain)


@dataclass(slots=True)
class CheckedDomain:
    """What the files of a domain contain, and what is wrong with it."""

    pairs: list[KeyPair] = field(default_factory=list)
    client_ca: list[x509.Certificate] = field(default_factory=list)
    crls: list[x509.CertificateRevocationList] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_pair(certificate: DomainFile, key: DomainFile, found: CheckedDomain) -> KeyPair | None:
    """Return a certificate and its key, or None after noting what is wrong."""
    chain = read_certificates(certificate, found)
    private = _read_key(key, found)
    if key.mode & OTHERS_READ:
        found.warnings.append(f"{key}: every user of this machine can read it: chmod 640 or 600")
    if not chain or private is None:
        return None
    own = _get_public_bytes(private.public_key())
    if _get_public_bytes(chain[0].public_key()) != own:
        problem = f"{key}: it is not the key of certificate {certificate.path}"
        if any(_get_public_bytes(one.public_key()) == own for one in chain[1:]):
            problem = (
                f"{certificate}: the chain is out of order, the certificate of the server itself "
                "must be the first"
            )
        found.problems.append(problem)
        return None
    ordered = _order_chain(chain)
    if ordered != chain:
        found.warnings.append(f"{certificate}: the chain is out of order, it is sent in order")
    return KeyPair(certificate, tuple(ordered), private)


def read_certificates(file: DomainFile, found: CheckedDomain) -> list[x509.Certificate]:
    """Return the certificates of a file; none after noting what is wrong."""
    count = file.content.count(b"-----BEGIN CERTIFICATE-----")
    if not count:
        found.problems.append(f"{file}: {_explain_no_certificate(file.content)}")
        return []
    try:
        certificates = x509.load_pem_x509_certificates(file.content)
        for certificate in certificates:
            # Read only when asked for: now, so that nothing raises later.
            certificate.extensions, certificate.issuer, certificate.subject  # noqa: B018
            certificate.public_key()
    except DAMAGED:
        found.problems.append(f"{file}: damaged or incomplete")
        return []
    if len(certificates) < count:
        # The library passes over one without an end.
        found.problems.append(f"{file}: incomplete, its last certificate has no end")
        return []
    return certificates


def _explain_no_certificate(content: bytes) -> str:
    """Return why a file has no certificate."""
    if not content.strip():
        return "the file is empty"
    if PRIVATE_KEY.search(content):
        return "a private key, not a certificate: are the two files swapped?"
    if content.startswith(b"0\x82"):
        return "not PEM but DER: convert it with `openssl x509 -inform der`"
    return "not PEM, there is no certificate in it"


def _read_key(file: DomainFile, found: CheckedDomain) -> PrivateKey | None:
    """Return the private key of a file, or None after noting what is wrong."""
    block = PRIVATE_KEY.search(file.content)
    if block is None:
        found.problems.append(f"{file}: {_explain_no_key(file.content)}")
        return None
    if b"ENCRYPTED" in block[0]:
        found.problems.append(
            f"{file}: the key is encrypted, and a server cannot ask for its passphrase: decrypt it "
            "with `openssl pkey`"
        )
        return None
    try:
        # The library's own test takes up to 0.3 s, in which the key process does not sign.
        key = load_pem_private_key(block[0], None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        found.problems.append(f"{file}: the key is damaged, or of an unknown type")
        return None
    if isinstance(key, rsa.RSAPrivateKey):
        if not _can_sign(key):
            found.problems.append(f"{file}: the key is damaged")
            return None
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, CURVES):
        return key
    name = type(key).__name__.removesuffix("PrivateKey").strip("_")
    what = key.curve.name if isinstance(key, ec.EllipticCurvePrivateKey) else name
    found.problems.append(
        f"{file}: a key of type {what}: use RSA, or ECDSA with P-256, P-384 or P-521"
    )
    return None


def _can_sign(key: rsa.RSAPrivateKey) -> bool:
    """Return whether the numbers of a key belong together."""
    text = b"a text for a test"
    try:
        signature = key.sign(text, PKCS1v15(), SHA256())
        key.public_key().verify(signature, text, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError, InternalError):
        return False
    return True


def _explain_no_key(content: bytes) -> str:
    """Return why a file has no private key."""
    if not content.strip():
        return "the file is empty"
    if b"-----BEGIN CERTIFICATE-----" in content:
        return "a certificate, not a private key: are the two files swapped?"
    if b"PRIVATE KEY-----" in content:
        return "the key is incomplete"
    if content.startswith(b"0"):
        return "not PEM but DER: convert it with `openssl pkey -inform der`"
    return "not PEM, there is no private key in it"


def read_crls(file: DomainFile, found: CheckedDomain) -> list[x509.CertificateRevocationList]:
    """Return the revocation lists of a file; none after noting what is wrong."""
    blocks = [block[0] for block in CRL_BLOCK.finditer(file.content)]
    if not blocks or file.content.count(b"-----BEGIN X509 CRL-----") != len(blocks):
        reason = "the list is incomplete" if b"X509 CRL" in file.content else "not PEM, no X509 CRL"
        found.problems.append(f"{file}: {reason if file.content.strip() else 'the file is empty'}")
        return []
    try:
        crls = [x509.load_pem_x509_crl(block) for block in blocks]
        for crl in crls:
            # As above.
            crl.issuer, crl.last_update_utc, crl.next_update_utc  # noqa: B018
    except DAMAGED:
        found.problems.append(f"{file}: damaged")
        return []
    return crls


def _get_public_bytes(key: object) -> bytes:
    """Return a public key as bytes to compare; nothing if it has no such form."""
    if isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)):
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b""


def _order_chain(chain: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Return a chain in which each certificate is followed by its issuer's (RFC 5246, 7.4.2)."""
    ordered, rest = [chain[0]], list(chain[1:])
    while issuer := next((one for one in rest if one.subject == ordered[-1].issuer), None):
        rest.remove(issuer)
        ordered.append(issuer)
    # Such as a second path to another root.
    return ordered + rest

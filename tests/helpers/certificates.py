"""Certificates for tests: authorities, chains, clients, revocation lists, with realistic lifetimes.

Checkers such as sslyze refuse the lifetimes of trustme, a thousand years. Private keys are
generated once in a process: certificates of the same kind and number have the same key.
"""

import datetime as dt
import functools
import ipaddress
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

# Kinds of keys. Others can be given, such as p384, and rsa1024, which is too weak.
SERVER_KINDS: Final = ("p256", "rsa2048")
CLIENT_KINDS: Final = ("p256", "rsa2048", "ed25519", "pss")
VALID_DAYS: Final = 200
DAY: Final = dt.timedelta(days=1)


@functools.cache
def private_key(kind: str, number: int | str = 0) -> PrivateKey:
    """Return the key of that kind; *number* tells keys of one kind apart."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key({"p256": ec.SECP256R1(), "p384": ec.SECP384R1()}[kind])


class CertificatePaths(NamedTuple):
    """The files of a certificate: its chain and its key, in PEM."""

    certificate: str
    key: str


@dataclass(frozen=True)
class Certificate:
    """A certificate, its key, and the authorities between it and the root."""

    x509: x509.Certificate
    key: PrivateKey
    intermediates: tuple[x509.Certificate, ...] = ()

    @property
    def chain(self) -> bytes:
        """The chain in PEM, the certificate first, without the root."""
        return b"".join(map(to_pem, (self.x509, *self.intermediates)))

    @property
    def key_pem(self) -> bytes:
        """The key in PEM."""
        return key_to_pem(self.key)

    @property
    def serial(self) -> str:
        """The serial number as `openssl x509 -serial` shows it."""
        digits = f"{self.x509.serial_number:X}"
        return digits.zfill(len(digits) + len(digits) % 2)

    def write(self, directory: Path, name: str, *, password: bytes = b"") -> CertificatePaths:
        """Write `NAME.pem` and `NAME.key`, the latter for its owner only."""
        certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
        certificate.write_bytes(self.chain)
        key.touch(0o600)
        key.write_bytes(key_to_pem(self.key, password))
        return CertificatePaths(str(certificate), str(key))


class CertificateAuthority:
    """Issues certificates, and lists of those that it has revoked."""

    def __init__(
        self,
        name: str = "Test CA",
        kind: str = "p256",
        *,
        issuer: "CertificateAuthority | None" = None,
    ) -> None:
        """*issuer*: this is an intermediate authority of it."""
        self.key = private_key(kind, name)
        self.issuer = issuer
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _new_builder(self.name, self.key.public_key(), 10 * 365)
        builder = _add_basic_constraints(builder, authority=True)
        self.x509 = (issuer or self).sign(builder)

    @property
    def pem(self) -> bytes:
        """The certificate of this authority in PEM."""
        return to_pem(self.x509)

    @property
    def intermediates(self) -> tuple[x509.Certificate, ...]:
        """This authority and those between it and the root, which is left out."""
        return () if self.issuer is None else (self.x509, *self.issuer.intermediates)

    def write(self, directory: Path, name: str = "ca") -> str:
        """Write `NAME.pem`."""
        path = directory / f"{name}.pem"
        path.write_bytes(self.pem)
        return str(path)

    def issue(
        self,
        *names: str,
        kind: str = "p256",
        number: int = 0,
        starts: float = -1,
        days: float = VALID_DAYS,
        digest: hashes.HashAlgorithm | None = None,
    ) -> Certificate:
        """Issue the certificate of a server with these names, the first of which is its subject.

        It is valid from *starts* days from now on, for *days*.
        """
        key = private_key(kind, number)
        builder = _new_builder(_common_name(names[0]), key.public_key(), days, starts)
        builder = builder.add_extension(
            x509.SubjectAlternativeName(list(map(_general_name, names))), critical=False
        )
        builder = _add_leaf_extensions(builder, ExtendedKeyUsageOID.SERVER_AUTH)
        return Certificate(self.sign(builder, digest), key, self.intermediates)

    def issue_client(
        self, common_name: str, kind: str = "p256", *, number: int = 0, days: float = VALID_DAYS
    ) -> Certificate:
        """Issue the certificate of a client. For kind `pss` see `write_pss_client()`."""
        key = private_key(kind, number)
        builder = _new_builder(_common_name(common_name), key.public_key(), days)
        builder = _add_leaf_extensions(builder, ExtendedKeyUsageOID.CLIENT_AUTH)
        return Certificate(self.sign(builder), key, self.intermediates)

    def write_client(
        self, directory: Path, common_name: str, kind: str = "p256", name: str = "client"
    ) -> CertificatePaths:
        """Issue the certificate of a client and write `NAME.pem` and `NAME.key`."""
        if kind == "pss":
            return self.write_pss_client(directory, common_name, name)
        return self.issue_client(common_name, kind).write(directory, name)

    def write_pss_client(
        self, directory: Path, common_name: str, name: str = "client"
    ) -> CertificatePaths:
        """Do the same with a key of the type rsassaPss, which `cryptography` cannot make."""
        certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
        size = ["-pkeyopt", "rsa_keygen_bits:2048"]
        _openssl("genpkey", "-algorithm", "RSA-PSS", *size, "-out", key)
        with tempfile.TemporaryDirectory() as place:
            authority = Certificate(self.x509, self.key).write(Path(place), "ca")
            request, extensions = Path(place) / "request.pem", Path(place) / "extensions"
            extensions.write_text(
                "extendedKeyUsage = clientAuth\nsubjectKeyIdentifier = hash\n"
                "authorityKeyIdentifier = keyid\n"
            )
            _openssl("req", "-new", "-key", key, "-subj", f"/CN={common_name}", "-out", request)
            signing = ["-CA", authority.certificate, "-CAkey", authority.key, "-CAcreateserial"]
            signing += ["-days", str(VALID_DAYS), "-extfile", extensions]
            _openssl("x509", "-req", "-in", request, *signing, "-out", certificate)
        with certificate.open("ab") as chain:
            chain.writelines(map(to_pem, self.intermediates))
        return CertificatePaths(str(certificate), str(key))

    def sign_with_sha1(self, certificate: Certificate) -> Certificate:
        """Return a certificate signed anew, as `cryptography` refuses to sign one."""
        with tempfile.TemporaryDirectory() as place:
            old = certificate.write(Path(place), "old").certificate
            authority = Certificate(self.x509, self.key).write(Path(place), "ca")
            signing = ["-CA", authority.certificate, "-CAkey", authority.key, "-CAcreateserial"]
            new = Path(place) / "new.pem"
            _openssl("x509", "-in", old, *signing, "-sha1", "-days", str(VALID_DAYS), "-out", new)
            signed = x509.load_pem_x509_certificate(new.read_bytes())
        return replace(certificate, x509=signed)

    def revoke(self, *revoked: Certificate, expired: bool = False) -> bytes:
        """Return a revocation list in PEM that names these certificates."""
        now = dt.datetime.now(dt.UTC)
        serials = [certificate.x509.serial_number for certificate in revoked]
        return self.revoke_serials(serials, now - 3 * DAY, now + (-1 if expired else 30) * DAY)

    def revoke_serials(
        self, serials: Iterable[int], last_update: dt.datetime, next_update: dt.datetime
    ) -> bytes:
        """Return a revocation list in PEM that names these serial numbers."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        builder = builder.last_update(last_update).next_update(next_update)
        builder = builder.add_extension(_authority_key(self.key), critical=False)
        builder = builder.add_extension(x509.CRLNumber(1), critical=False)
        for serial in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial)
            builder = builder.add_revoked_certificate(entry.revocation_date(last_update).build())
        signed = builder.sign(self.key, _digest_of(self.key))
        return signed.public_bytes(serialization.Encoding.PEM)

    def sign(
        self, builder: x509.CertificateBuilder, digest: hashes.HashAlgorithm | None = None
    ) -> x509.Certificate:
        """Return the certificate that *builder* describes, as issued by this authority."""
        builder = builder.issuer_name(self.name)
        builder = builder.add_extension(_authority_key(self.key), critical=False)
        return builder.sign(self.key, digest or _digest_of(self.key))


def issue_self_signed(*names: str, kind: str = "p256", number: int = 0) -> Certificate:
    """Return the certificate of a server that is its own issuer."""
    key = private_key(kind, number)
    name = _common_name(names[0])
    builder = _new_builder(name, key.public_key(), VALID_DAYS).issuer_name(name)
    builder = builder.add_extension(
        x509.SubjectAlternativeName(list(map(_general_name, names))), critical=False
    )
    return Certificate(builder.sign(key, _digest_of(key)), key)


def to_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_to_pem(key: PrivateKey, password: bytes = b"") -> bytes:
    """Return a private key in PEM (PKCS #8), encrypted if there is a password."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def _new_builder(
    subject: x509.Name, key: PublicKey, days: float, starts: float = -1
) -> x509.CertificateBuilder:
    """Return what all certificates have."""
    start = dt.datetime.now(dt.UTC) + starts * DAY
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(start + days * DAY)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _add_leaf_extensions(
    builder: x509.CertificateBuilder, usage: x509.ObjectIdentifier
) -> x509.CertificateBuilder:
    """Add what certificates of servers and clients have."""
    builder = _add_basic_constraints(builder, authority=False)
    return builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)


def _add_basic_constraints(
    builder: x509.CertificateBuilder, *, authority: bool
) -> x509.CertificateBuilder:
    """Add what tells certificates of authorities and others apart."""
    constraints = x509.BasicConstraints(ca=authority, path_length=None)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
    return builder.add_extension(constraints, critical=True).add_extension(usage, critical=True)


def _authority_key(key: PrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _digest_of(key: PrivateKey) -> hashes.HashAlgorithm | None:
    """Return the hash function of a signature; Ed25519 has its own."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _openssl(*arguments: str | Path) -> None:
    """Run the command `openssl`; a test that needs it is skipped where it is not installed."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)

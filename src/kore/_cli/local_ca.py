"""A certificate authority of the user for development, and its certificate for localhost.

`kodev run --tls` serves with it. The authority can only issue certificates for this machine: a
stolen key is of no use for other names.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kore._conf.server_schema import LOCAL_CERTIFICATE, LOCAL_KEY

CA: Final = "ca.pem"
CA_KEY: Final = "ca-key.pem"
NAMES: Final = ("localhost",)
ADDRESSES: Final = ("127.0.0.1", "::1")
NETWORKS: Final = ("127.0.0.0/8", "::1/128")
CA_DAYS: Final = 3650
# Clients refuse certificates that are valid for more than 398 days, some for more than a year.
CERTIFICATE_DAYS: Final = 200
# It is renewed when it is valid for less.
RENEWAL_DAYS: Final = 30

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class LocalCertificate:
    """The directory of the files, and whether the authority is new, so that nothing trusts it."""

    directory: Path
    is_new: bool

    @property
    def ca(self) -> Path:
        """The certificate of the authority, to be trusted."""
        return self.directory / CA


def get_directory() -> Path:
    """Return the directory of the user's local authority (XDG Base Directory Specification).

    Raises OSError if the user has no home directory.
    """
    base = os.environ.get("XDG_DATA_HOME", "")
    try:
        home = Path(base) if base.startswith("/") else Path.home() / ".local" / "share"
    except RuntimeError:
        reason = "there is no home directory: set HOME or XDG_DATA_HOME"
        raise OSError(errno.ENOENT, reason) from None
    return home / "kore" / "local-ca"


def prepare_certificate(directory: Path, now: datetime) -> LocalCertificate:
    """Make the authority if there is none, and issue or renew the certificate if need be.

    Raises OSError if a file cannot be read or written.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    with _hold_lock(directory):
        ca = _load_pair(directory / CA, directory / CA_KEY)
        is_new = ca is None or _is_expiring(ca[0], now)
        if ca is None or is_new:
            ca = _make_authority(now)
            _save_pair(directory / CA, directory / CA_KEY, *ca)
        files = directory / LOCAL_CERTIFICATE, directory / LOCAL_KEY
        leaf = _load_pair(*files)
        if leaf is None or _is_expiring(leaf[0], now) or not _is_issued_by(leaf[0], ca[0]):
            _save_pair(*files, *_issue_certificate(*ca, now))
    return LocalCertificate(directory, is_new)


@contextmanager
def _hold_lock(directory: Path) -> Iterator[None]:
    """Wait until no other process changes the files."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _load_pair(path: Path, key_path: Path) -> tuple[x509.Certificate, Key] | None:
    """Return a certificate and its key; None if they are not there, or do not belong together."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if not isinstance(key, Key) or key.public_key() != certificate.public_key():
        return None
    return certificate, key


def _is_expiring(certificate: x509.Certificate, now: datetime) -> bool:
    """Return whether a certificate is to be replaced."""
    renewal = certificate.not_valid_after_utc - timedelta(days=RENEWAL_DAYS)
    return not certificate.not_valid_before_utc <= now < renewal


def _is_issued_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    """Return whether an authority has issued a certificate."""
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _save_pair(path: Path, key_path: Path, certificate: x509.Certificate, key: Key) -> None:
    """Write a certificate and its key, each in the place of the former one."""
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _replace_file(key_path, private, 0o600)
    _replace_file(path, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _replace_file(path: Path, data: bytes, mode: int) -> None:
    """Write a file of this mode, in one step for its readers."""
    made = path.with_suffix(".new")
    made.unlink(missing_ok=True)
    fd = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with open(fd, "wb") as file:  # noqa: PTH123 - of a descriptor
        file.write(data)
    made.replace(path)


def _begin_certificate(
    subject: x509.Name, issuer: x509.Name, key: Key, now: datetime, days: int
) -> x509.CertificateBuilder:
    """Return a builder with the fields that all certificates have."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of other machines may be slow.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _build_key_usage(*uses: str) -> x509.KeyUsage:
    """Return an extension with these uses of a key."""
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement "
        "key_cert_sign crl_sign encipher_only decipher_only"
    )
    return x509.KeyUsage(**{name: name in uses for name in names.split()})


def _make_authority(now: datetime) -> tuple[x509.Certificate, Key]:
    """Return the certificate of a new authority, which can issue for this machine only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kore local development CA")])
    permitted = [
        *(x509.DNSName(name) for name in NAMES),
        *(x509.IPAddress(ip_network(network)) for network in NETWORKS),
    ]
    certificate = (
        _begin_certificate(name, name, key, now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_build_key_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _issue_certificate(
    ca: x509.Certificate, ca_key: Key, now: datetime
) -> tuple[x509.Certificate, Key]:
    """Return a certificate for localhost and its addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    hosts = [
        *(x509.DNSName(name) for name in NAMES),
        *(x509.IPAddress(ip_address(address)) for address in ADDRESSES),
    ]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAMES[0])])
    identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _begin_certificate(subject, ca.subject, key, now, CERTIFICATE_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_build_key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )
    return certificate, key

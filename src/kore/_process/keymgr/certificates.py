"""Checks of a domain's certificates: is all of it valid, strong enough, and for this domain? Pure.

The key process checks what it is to serve, `kore -t` reports the same. A *problem* makes the files
of a domain unusable, a *warning* is only reported. Each is one line and begins with the file's kind
and path.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    PublicKeyAlgorithmOID,
)

from kore._process.ipc.tls_messages import CERTIFICATE, CLIENT_CA, CRL, KEY
from kore._process.keymgr.domain_names import is_name_covered
from kore._process.keymgr.pem_files import (
    CheckedDomain,
    DomainFile,
    KeyPair,
    read_certificates,
    read_crls,
    read_pair,
)

# Shorter keys are too weak for any client of today; OpenSSL's security level 2 refuses them.
RSA_BITS_MIN: Final = 2048
# Bytes of a chain: OpenSSL's clients refuse more (SSL_CTX_set_max_cert_list(3)).
CHAIN_SIZE_MAX: Final = 100 * 1024
# Lines about one domain: a file may have thousands of certificates, and a message has to be sent.
LINES_MAX: Final = 20
# Hash functions of signatures for which collisions can be made.
BROKEN_HASHES: Final = frozenset({"md5", "sha1"})


def check_domain(
    domain: str, files: Sequence[DomainFile], now: datetime, *, replaces: bool = False
) -> CheckedDomain:
    """Read and check the files of a domain. Each key follows its certificate.

    *replaces*: the domain is served already, and a certificate that is valid only later does not
    replace what is served.
    """
    found = CheckedDomain()
    certificates = (file for file in files if file.kind == CERTIFICATE)
    keys = (file for file in files if file.kind == KEY)
    for certificate, key in zip(certificates, keys, strict=True):
        if pair := read_pair(certificate, key, found):
            found.pairs.append(pair)
            _check_dates(pair, now, found, replaces=replaces)
            _check_strength(pair, found)
            _check_chain_size(pair, found)
            _check_names(pair, domain, found)
    for file in files:
        if file.kind == CLIENT_CA:
            found.client_ca = read_certificates(file, found)
            _check_client_ca(file, now, found)
    for file in files:
        if file.kind == CRL:
            found.crls = read_crls(file, found)
            _check_crls(file, now, found)
    _refuse_same_types(found)
    _limit_lines(found.problems)
    _limit_lines(found.warnings)
    return found


def format_serial(certificate: x509.Certificate) -> str:
    """Return the serial number in hexadecimal, as OpenSSL shows it."""
    digits = f"{certificate.serial_number:X}"
    return digits.zfill(len(digits) + len(digits) % 2)


def format_date(when: datetime) -> str:
    """Return a date for messages."""
    return f"{when:%Y-%m-%d %H:%M} UTC"


def _check_dates(pair: KeyPair, now: datetime, found: CheckedDomain, *, replaces: bool) -> None:
    """Note a certificate that is not valid now."""
    certificate = pair.certificate
    if now > certificate.not_valid_after_utc:
        when = format_date(certificate.not_valid_after_utc)
        found.problems.append(f"{pair.file}: expired on {when}")
    elif now < certificate.not_valid_before_utc:
        notes = found.problems if replaces else found.warnings
        when = format_date(certificate.not_valid_before_utc)
        notes.append(f"{pair.file}: not valid before {when}")
    for issuer in pair.chain[1:]:
        if now > issuer.not_valid_after_utc:
            when = format_date(issuer.not_valid_after_utc)
            name = _get_name(issuer)
            found.warnings.append(f"{pair.file}: {name} in its chain expired on {when}")


def _check_strength(pair: KeyPair, found: CheckedDomain) -> None:
    """Note keys and signatures that OpenSSL or clients refuse."""
    certificate, key = pair.certificate, pair.key
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < RSA_BITS_MIN:
        found.problems.append(
            f"{pair.file}: an RSA key of {key.key_size} bits is too weak: at least {RSA_BITS_MIN}"
        )
    if certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        found.problems.append(
            f"{pair.file}: a key of type RSASSA-PSS: use one of type RSA, it signs with PSS as well"
        )
    for one in pair.chain:
        if one.issuer != one.subject and _get_hash_name(one) in BROKEN_HASHES:
            found.problems.append(
                f"{pair.file}: {_get_name(one)} is signed with {_get_hash_name(one).upper()}, "
                "which clients do not accept"
            )


def _check_chain_size(pair: KeyPair, found: CheckedDomain) -> None:
    """Note a chain that clients do not accept, such as a whole bundle of authorities."""
    size = sum(len(one.public_bytes(Encoding.DER)) for one in pair.chain)
    if size > CHAIN_SIZE_MAX:
        found.problems.append(
            f"{pair.file}: a chain of {len(pair.chain)} certificates, {size} bytes, which clients "
            "do not accept: only those between it and the root are to follow it"
        )


def _check_names(pair: KeyPair, domain: str, found: CheckedDomain) -> None:
    """Warn about certificates that clients will not accept for the domain."""
    certificate, extensions = pair.certificate, pair.certificate.extensions
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns = names.get_values_for_type(x509.DNSName)
        addresses = [str(one) for one in names.get_values_for_type(x509.IPAddress)]
    except x509.ExtensionNotFound:
        dns, addresses = [], []
    if not is_name_covered(domain, dns, addresses):
        listed = ", ".join([*dns, *addresses][:5]) or "none"
        found.warnings.append(
            f"{pair.file}: it is not for {domain}; the names in it (subjectAltName): {listed}"
        )
    if _is_for_other_use(extensions):
        found.warnings.append(f"{pair.file}: it is not for servers (extendedKeyUsage)")
    if len(pair.chain) == 1 and _names_issuer_file(extensions):
        found.warnings.append(
            f"{pair.file}: the certificate of {_get_issuer_name(certificate)} is missing after it, "
            "so some clients will not trust it: use the full chain (fullchain.pem)"
        )


def _is_for_other_use(extensions: x509.Extensions) -> bool:
    """Return whether a certificate is restricted to other uses than servers."""
    try:
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    allowed = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    return allowed.isdisjoint(usage)


def _names_issuer_file(extensions: x509.Extensions) -> bool:
    """Return whether a certificate says where its issuer's is: its issuer is no root then."""
    try:
        access = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return False
    return any(one.access_method == AuthorityInformationAccessOID.CA_ISSUERS for one in access)


def _check_client_ca(file: DomainFile, now: datetime, found: CheckedDomain) -> None:
    """Warn about expired CA certificates: the certificates that they issued are refused."""
    for certificate in found.client_ca:
        if now > certificate.not_valid_after_utc:
            when = format_date(certificate.not_valid_after_utc)
            found.warnings.append(f"{file}: {_get_name(certificate)} expired on {when}")


def _check_crls(file: DomainFile, now: datetime, found: CheckedDomain) -> None:
    """Warn about lists that make the server refuse all clients of a CA."""
    for crl in found.crls:
        if crl.next_update_utc is not None and now > crl.next_update_utc:
            found.warnings.append(
                f"{file}: the list of {_format_name(crl.issuer)} was due to be replaced on "
                f"{format_date(crl.next_update_utc)}: until then its clients are refused"
            )
    listed = {crl.issuer for crl in found.crls}
    for certificate in found.client_ca if found.crls else ():
        if certificate.subject not in listed:
            found.warnings.append(
                f"{file}: no list of {_get_name(certificate)}: its clients are refused"
            )


def _refuse_same_types(found: CheckedDomain) -> None:
    """Note two certificates with keys of one type: OpenSSL uses only one of them."""
    seen: dict[type, DomainFile] = {}
    for pair in found.pairs:
        first = seen.setdefault(type(pair.key), pair.file)
        if first is not pair.file:
            found.problems.append(
                f"{pair.file}: its key is of the same type as that of {first}: a domain may have "
                "one certificate with RSA and one with ECDSA"
            )


def _limit_lines(lines: list[str]) -> None:
    """Replace all lines but the first ones by their number."""
    if len(lines) > LINES_MAX:
        lines[LINES_MAX:] = [f"and {len(lines) - LINES_MAX} more like these"]


def _get_hash_name(certificate: x509.Certificate) -> str:
    """Return the hash function of a signature; nothing if the algorithm has its own."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return ""
    return algorithm.name if algorithm else ""


def _get_name(certificate: x509.Certificate) -> str:
    """Return the name of a certificate's owner."""
    return _format_name(certificate.subject)


def _get_issuer_name(certificate: x509.Certificate) -> str:
    """Return the name of a certificate's issuer."""
    return _format_name(certificate.issuer)


def _format_name(name: x509.Name) -> str:
    """Return a name for messages."""
    common = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    text = str(common[0].value) if common else name.rfc4514_string()
    return f"'{text[:80]}'" if text.isprintable() else "one of its certificates"

"""The TLS keywords of a domain: certificates and keys, client certificates.

The messages begin with Kore's words where Kore has the same check.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

from kore._conf.arguments import build_unsupported_error, check_path_name, check_type
from kore._conf.diagnostics import make_absolute
from kore._conf.server_schema import CertificateFiles, DomainTls
from kore.errors import ConfigError

FilePath = str | os.PathLike[str]
# Keywords that restrict access. Ignoring one would protect less than was asked for; the others have
# no effect without TLS.
PROTECTING_KEYWORDS: Final = frozenset({"acme", "client_verify", "crl"})
DEFAULT_DEPTH: Final = 1
DEPTH_MAX: Final = 100  # OpenSSL's own limit
# One certificate with an ECDSA key, and one with an RSA key for clients without ECDSA.
CERTIFICATES_MAX: Final = 2


class TlsKeywords(TypedDict, total=False):
    """The TLS keywords of `kore.domain()`."""

    cert: FilePath | Sequence[FilePath] | None
    key: FilePath | Sequence[FilePath] | None
    client_verify: FilePath | None
    verify_depth: int | None
    crl: FilePath | None
    acme: bool


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """The TLS keywords of a domain as they were given; its server may be configured later."""

    # Absolute paths: certificates, and in the same order their keys.
    certificates: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    client_verify: str = ""
    verify_depth: int = DEFAULT_DEPTH
    crl: str = ""
    acme: bool = False
    # The place for errors about the files; empty: that of the domain.
    where: str = ""
    # Names of the keywords that have values, for notices.
    given: tuple[str, ...] = ()
    # From a file, in which `cert` is called certfile, and `key` certkey.
    in_file: bool = False
    # A statement has an error, which has been reported.
    broken: bool = False


KEYWORDS: Final = frozenset(TlsKeywords.__annotations__)


def read_keywords(given: Mapping[str, object], label: str) -> TlsOptions:
    """Return the keywords of a call for the domain called *label*.

    As in C Kore, an empty keyword counts as not given. Raises TypeError or ConfigError if one has
    a value that it cannot have.
    """
    present = {name: value for name, value in given.items() if value or name == "verify_depth"}
    if present.get("verify_depth", DEFAULT_DEPTH) is None:
        del present["verify_depth"]
    return TlsOptions(
        certificates=_read_paths(present.get("cert", ()), f"{label}: cert"),
        keys=_read_paths(present.get("key", ()), f"{label}: key"),
        client_verify=_read_path(present, "client_verify", label),
        verify_depth=_read_depth(present.get("verify_depth", DEFAULT_DEPTH), label),
        crl=_read_path(present, "crl", label),
        acme=check_type(present.get("acme", False), bool, f"{label}: acme"),
        given=tuple(present),
    )


def _read_paths(value: object, what: str) -> tuple[str, ...]:
    """Return the paths of `cert` or `key`: one, or a list of two."""
    if isinstance(value, str | os.PathLike):
        value = (value,)
    if not isinstance(value, list | tuple):
        raise TypeError(f"{what} must be a path or a list of two, not {type(value).__name__}")
    return check_paths([make_absolute(check_path_name(path, what)) for path in value], what)


def _read_path(given: Mapping[str, object], name: str, label: str) -> str:
    """Return the path of a keyword, absolute because another process will read it; else ""."""
    return make_absolute(check_path_name(given[name], f"{label}: {name}")) if name in given else ""


def _read_depth(value: object, label: str) -> int:
    """Return `verify_depth`."""
    if type(value) is not int or not 0 <= value <= DEPTH_MAX:
        raise ConfigError(f"{label}: invalid depth '{value}': 0 to {DEPTH_MAX}")
    return value


def check_paths(paths: Sequence[str], what: str) -> tuple[str, ...]:
    """Return the paths of a domain's certificates or keys.

    Raises ConfigError if there are too many, or the same one is there twice.
    """
    if len(paths) > CERTIFICATES_MAX:
        raise ConfigError(
            f"{what}: {len(paths)} files, {CERTIFICATES_MAX} at most: one for an ECDSA key, one "
            "for an RSA key"
        )
    if len(set(paths)) < len(paths):
        raise ConfigError(f"{what}: the same file twice: {paths[0]}")
    return tuple(paths)


def build_domain_tls(given: TlsOptions, domain: str, server: str, where: str) -> DomainTls:
    """Return the TLS part of a domain on a server with TLS.

    Raises ConfigError if keywords are missing, or do not belong together.
    """
    _check_complete(given, domain)
    if given.crl and not given.client_verify:
        raise ConfigError(f"domain '{domain}': crl needs client_verify, whose clients it revokes")
    return DomainTls(
        domain,
        server,
        tuple(map(CertificateFiles, given.certificates, given.keys)),
        client_verify=given.client_verify,
        verify_depth=given.verify_depth,
        crl=given.crl,
        where=given.where or where,
    )


def _check_complete(given: TlsOptions, domain: str) -> None:
    """Raise ConfigError unless each certificate has a key."""
    cert, key, verb = ("certfile", "certkey", "write") if given.in_file else ("cert", "key", "pass")
    counts = len(given.certificates), len(given.keys)
    if given.acme:
        missing = build_unsupported_error(f"domain '{domain}': acme")
        raise ConfigError(
            f"{missing}: {verb} {cert} and {key}, with the files of another ACME client"
        )
    if counts[0] == counts[1] and counts[0]:
        return
    if all(counts):
        raise ConfigError(
            f"domain '{domain}': {counts[0]} {cert} and {counts[1]} {key}: "
            "each certificate needs its key, in the same order"
        )
    if given.in_file:
        raise ConfigError(f"incomplete TLS setup for '{domain}': write certfile and certkey")
    if any(counts):
        raise ConfigError(
            f"domain '{domain}': missing key or cert keywords for TLS listener: pass both"
        )
    raise ConfigError(
        f"no keywords for TLS enabled domain {domain}: pass cert and key, or tls=False to "
        "kore.server() for plain HTTP; `kodev run --tls` has a certificate for localhost"
    )


def find_notices(given: TlsOptions, domain: str, server: str) -> list[str]:
    """Return a notice for each keyword of a call for a domain whose *server* is without TLS.

    Raises ConfigError if ignoring a keyword would protect less.
    """
    return [describe_ignored(name, f"domain '{domain}': {name}", server) for name in given.given]


def describe_ignored(keyword: str, label: str, server: str) -> str:
    """Return a notice for a keyword, called *label*, of a domain whose *server* is without TLS.

    Raises ConfigError if ignoring the keyword would protect less.
    """
    if keyword in PROTECTING_KEYWORDS:
        raise ConfigError(f"{label} needs a server with TLS, and server '{server}' is without")
    return f"{label} has no effect: server '{server}' is without TLS"

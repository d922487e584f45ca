"""The certificates that tests share, in files, and how an application is given one of them."""

import functools
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.helpers.certificates import CertificateAuthority, CertificatePaths
from tests.helpers.tls_client import trusting

NAMES: Final = ("localhost", "127.0.0.1", "::1", "test", "*.test")
# A call of kore.domain(), with at most one level of brackets among its arguments.
DOMAIN_CALL: Final = re.compile(r"\bkore\.domain\(((?:[^()]|\([^()]*\))*)\)")


@dataclass(frozen=True)
class ServedCertificate:
    """The files of a server's certificate, and of the authority that clients trust for it."""

    certificate: str
    key: str
    ca_file: str

    def client_context(self) -> ssl.SSLContext:
        """Return the context of a client that trusts it, for one connection or for many."""
        return _client_context(self.ca_file)


@functools.cache
def _client_context(ca_file: str) -> ssl.SSLContext:
    return trusting(ca_file)


class SessionCertificates:
    """An authority, another one that servers do not trust, and the certificates they issue."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = CertificateAuthority()
        self.ca_file = self.authority.write(directory)
        self.other_authority = CertificateAuthority("Other CA")
        self.other_ca_file = self.other_authority.write(directory, "other-ca")
        self._clients: dict[tuple[str, str, bool], CertificatePaths] = {}

    def server(self, kind: str = "p256") -> ServedCertificate:
        """Return a certificate for localhost, 127.0.0.1, ::1, `test` and its subdomains."""
        path = self.directory / f"server-{kind}"
        if not path.with_suffix(".pem").exists():
            self.authority.issue(*NAMES, kind=kind).write(self.directory, path.name)
        return ServedCertificate(f"{path}.pem", f"{path}.key", self.ca_file)

    def client(
        self, common_name: str = "client", kind: str = "p256", *, trusted: bool = True
    ) -> CertificatePaths:
        """Return the certificate of a client; not *trusted*: one of the other authority."""
        known = (common_name, kind, trusted)
        if known not in self._clients:
            authority = self.authority if trusted else self.other_authority
            name = f"client-{len(self._clients)}"
            self._clients[known] = authority.write_client(self.directory, common_name, kind, name)
        return self._clients[known]


def add_certificate(source: str, tls: ServedCertificate | None) -> str:
    """Return an application in which each kore.domain() without a certificate has this one."""

    def extend(call: re.Match[str]) -> str:
        if tls is None or "cert=" in call[1]:
            return call[0]
        arguments = call[1].rstrip(", \n")
        return f"kore.domain({arguments}, cert={tls.certificate!r}, key={tls.key!r})"

    return DOMAIN_CALL.sub(extend, source)

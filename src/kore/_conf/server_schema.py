"""The parts of the configuration that the parent uses: addresses, users, files. Frozen values."""

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: an IP address or host name with a port, or a Unix socket.

    A *path* that begins with `@` is an abstract Unix socket.
    """

    ip: str = ""
    port: int = 0
    path: str = ""
    # The IP address of a host name in *ip*, looked up when the application was loaded.
    numeric: str = field(default="", compare=False)

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class Server:
    """One address of a server. A server with several addresses is several of these."""

    name: str
    address: Address
    tls: bool
    # It serves nothing itself: it redirects to https.
    redirect_https: bool = False


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """The files of a certificate: its chain, the certificate of the server first, and its key."""

    certificate: str
    key: str


# In the directory of `kodev run --tls`, a certificate for localhost.
LOCAL_CERTIFICATE: Final = "localhost.pem"
LOCAL_KEY: Final = "localhost-key.pem"


def build_local_files(directory: str) -> CertificateFiles:
    """Return the files of the certificate for localhost in a directory."""
    return CertificateFiles(f"{directory}/{LOCAL_CERTIFICATE}", f"{directory}/{LOCAL_KEY}")


@dataclass(frozen=True, slots=True)
class DomainTls:
    """The TLS part of a domain: the files it needs, by absolute paths."""

    domain: str
    server: str
    # Several for keys of several types, such as ECDSA and RSA.
    certificates: tuple[CertificateFiles, ...]
    # The CA certificates for client certificates; empty: none are requested.
    client_verify: str = ""
    # How many intermediate certificates a client's chain may have.
    verify_depth: int = 1
    # Certificate revocation lists of these CAs.
    crl: str = ""
    # Certificate and key come from an ACME server.
    acme: bool = False
    where: str = field(default="", compare=False)

    def locate(self, text: str) -> str:
        """Return a message about the files of this domain, with its place in the configuration."""
        place = f"{self.where}: " if self.where else ""
        return f"{place}domain {self.domain}: {text}"


@dataclass(frozen=True, slots=True)
class Privsep:
    """The privileges that one kind of process drops: its view of the file system, its user."""

    process: str
    root: str = ""
    runas: str = ""
    skip: tuple[str, ...] = ()
    # Not compared: another line number is no other configuration.
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class AccessLogConfig:
    """The file that requests are logged to, and the format of its lines."""

    path: str
    format: str = "combined"
    where: str = field(default="", compare=False)

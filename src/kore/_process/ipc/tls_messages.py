"""Messages about TLS between the parent, the key process and the workers. Pure.

The parent opens the files of a domain, the key process reads them and returns the domain's *TLS
material* (`tls_material.py`) for the workers. Files and materials travel as descriptors beside
the datagrams; the parent reads neither.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final

from kore._process.ipc.messages import Message

# Kinds of the files of a domain, in `LoadDomain.kinds`. A key follows its certificate.
CERTIFICATE: Final = "certificate"
KEY: Final = "key"
CLIENT_CA: Final = "client_verify"
CRL: Final = "crl"
# A domain has at most so many certificates.
CERTIFICATES_MAX: Final = 8


def number_key(load: int, index: int) -> int:
    """Return the number by which workers name a key: that of a load's certificate at *index*."""
    return load * CERTIFICATES_MAX + index


@dataclass(frozen=True, slots=True)
class LoadDomain(Message):
    """Parent to key process: read, check and use the files of a domain.

    Their descriptors are in the order of *kinds* and *paths*. *load* is the number of this attempt.
    *replaces*: the domain is served already, and a certificate that is not valid yet does not
    replace its certificate.
    """

    code: ClassVar[int] = 17
    load: int
    # The domain, beside others of the same name on other servers or in other generations.
    domain_id: int
    server: str
    domain: str
    verify_depth: int
    kinds: tuple[str, ...]
    paths: tuple[str, ...]
    replaces: bool
    descriptors: tuple[int, ...] = ()

    @property
    def descriptor_count(self) -> int:
        """How many descriptors travel beside the datagram."""
        return len(self.kinds)


@dataclass(frozen=True, slots=True)
class DomainLoaded(Message):
    """Key process to parent: the material of a domain, made of its files.

    Its descriptors: the material for the workers, and what the key process needs to restore the
    domain (`RestoreDomain`), private keys included. Both are sealed files in memory.
    """

    code: ClassVar[int] = 18
    load: int
    # Of the certificate that expires first, in hexadecimal.
    serial: str
    not_after: float
    warnings: tuple[str, ...]
    descriptors: tuple[int, ...] = ()

    @property
    def descriptor_count(self) -> int:
        """How many descriptors travel beside the datagram."""
        return 2


@dataclass(frozen=True, slots=True)
class DomainUnchanged(Message):
    """Key process to parent: the files of a domain have the content that is used already."""

    code: ClassVar[int] = 19
    load: int


@dataclass(frozen=True, slots=True)
class DomainRefused(Message):
    """Key process to parent: why the files of a domain cannot be used."""

    code: ClassVar[int] = 20
    load: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RestoreDomain(Message):
    """Parent to key process, after a restart: use a domain as the previous process did."""

    code: ClassVar[int] = 21
    descriptors: tuple[int, ...] = ()

    @property
    def descriptor_count(self) -> int:
        """How many descriptors travel beside the datagram."""
        return 1


@dataclass(frozen=True, slots=True)
class DropKeys(Message):
    """Parent to key process: no worker uses the keys of this load any more."""

    code: ClassVar[int] = 22
    load: int


@dataclass(frozen=True, slots=True)
class SignFor(Message):
    """Parent to key process: sign for a worker that is at the other end of the descriptor.

    *domain_ids*: the domains that it serves; keys of others are not for it.
    """

    code: ClassVar[int] = 23
    number: int
    domain_ids: tuple[int, ...]
    descriptors: tuple[int, ...] = ()

    @property
    def descriptor_count(self) -> int:
        """How many descriptors travel beside the datagram."""
        return 1


@dataclass(frozen=True, slots=True)
class ServeTickets(Message):
    """Parent to key process: make ticket keys for these servers, and forget all others."""

    code: ClassVar[int] = 24
    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TicketKeys(Message):
    """The keys for session tickets of a server, newest first, in hexadecimal.

    Key process to parent and parent to worker; after a restart of the key process, the parent
    returns them to it, so that sessions are still resumed.
    """

    code: ClassVar[int] = 25
    server: str
    # When the newest was made.
    made: float
    keys: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class TlsMaterial(Message):
    """Parent to worker: serve a domain with the material in the descriptor from now on."""

    code: ClassVar[int] = 26
    load: int
    server: str
    domain: str
    descriptors: tuple[int, ...] = ()

    @property
    def descriptor_count(self) -> int:
        """How many descriptors travel beside the datagram."""
        return 1


@dataclass(frozen=True, slots=True)
class TlsServed(Message):
    """Worker to parent: it serves a domain with this material; with a *problem*, it does not."""

    code: ClassVar[int] = 27
    load: int
    problem: str


@dataclass(frozen=True, slots=True)
class KeysReplaced(Message):
    """Parent to worker: ask for signatures over this descriptor; there is a new key process."""

    code: ClassVar[int] = 28
    descriptors: tuple[int, ...] = ()

    @property
    def descriptor_count(self) -> int:
        """How many descriptors travel beside the datagram."""
        return 1


TLS_MESSAGES: Final[tuple[type[Message], ...]] = (
    LoadDomain,
    DomainLoaded,
    DomainUnchanged,
    DomainRefused,
    RestoreDomain,
    DropKeys,
    SignFor,
    ServeTickets,
    TicketKeys,
    TlsMaterial,
    TlsServed,
    KeysReplaced,
)

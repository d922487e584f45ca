"""Checks of servers and domains beside one another, and of the configuration as a whole.

The messages begin with Kore's words where Kore has the same check.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol, TypeVar

from kore._conf.arguments import build_unsupported_error, normalize_domain_name
from kore._conf.diagnostics import Diagnostics
from kore._conf.server_schema import Address, Server
from kore._values import hosts
from kore.errors import ConfigError

FIRST_SERVER_HINT: Final = (
    'call kore.server(ip="127.0.0.1", port=8888, tls=False), or write a server block with '
    "`bind 127.0.0.1 8888` and `tls no`"
)
# Keywords of a domain that restrict access. Ignoring one would protect less than was asked for;
# the other ones about TLS have no effect without it.
PROTECTING_KEYWORDS: Final = frozenset({"acme", "client_verify", "crl"})


class NamedDomain(Protocol):
    """A domain, as these checks see it."""

    @property
    def name(self) -> str:
        """The host name."""

    @property
    def attach(self) -> str:
        """The name of its server."""


D = TypeVar("D", bound=NamedDomain)


# Servers


def check_no_tls(name: str, server: Server) -> None:
    """Raise ConfigError if a server that `kore.bind()` would extend has TLS."""
    if server.tls:
        raise ConfigError(
            f"server '{name}' is one with TLS, and kore.bind() listens without: "
            "give that server another name, or call kore.server() with a name of its own"
        )


def check_server_name(server: str, taken: Collection[str]) -> None:
    """Raise ConfigError if there is a server of that name."""
    if server in taken:
        raise ConfigError(f"server '{server}' already exist: give each server a name of its own")


def check_address(wanted: Address, servers: Sequence[Server]) -> None:
    """Raise ConfigError if a server has that address. Port 0 is another port each time."""
    for server in servers:
        if server.address == wanted and (wanted.port or wanted.path):
            raise ConfigError(f"{wanted} is already the address of server '{server.name}'")


def check_servers(
    configured: Sequence[Server], places: Mapping[str, str], problems: Diagnostics, *, needed: bool
) -> None:
    """Report servers with TLS, and a missing server if one is *needed*."""
    # After other errors a server may be missing that the application meant to configure.
    if needed and not configured and not problems.found:
        problems.add("", f"no server configured: {FIRST_SERVER_HINT}")
    for server in configured:
        if server.tls:
            with problems.collect_errors(places[server.name], f"server '{server.name}'"):
                hint = problems.tls_hints.get(server.name, "")
                missing = build_unsupported_error("TLS")
                raise ConfigError(f"{missing}, pass tls=False or write `tls no`{hint}")


# Domains


def check_domain(name: str, attach: str, domains: Sequence[NamedDomain]) -> None:
    """Raise ConfigError if an earlier domain of the server takes all requests for *name*."""
    for earlier in domains:
        if earlier.attach == attach and _is_shadowed(name.lower(), earlier.name.lower()):
            raise ConfigError(
                f"domain exists: '{earlier.name}' on server '{attach}' already takes '{name}'"
            )


def _is_shadowed(name: str, earlier: str) -> bool:
    """Return whether an *earlier* domain matches every host that a later one is for."""
    return hosts.compile_wildcard(earlier)(name) is not None


def find_domain(wanted: str | None, domains: Sequence[D]) -> D:
    """Return the domain of a name, for None the only one. Raises ConfigError if there is none."""
    if not domains:
        raise ConfigError('no domains configured, please configure one: call kore.domain("*")')
    name = "" if wanted is None else normalize_domain_name(wanted).lower()
    found = [d for d in domains if wanted is None or d.name.lower() == name]
    if not found:
        known = ", ".join(sorted({f"'{domain.name}'" for domain in domains}))
        raise ConfigError(f"domain '{wanted}' does not exist, there is {known}")
    if len(found) > 1:
        places = ", ".join(f"'{domain.name}' on '{domain.attach}'" for domain in found)
        hint = "domain takes what kore.domain() returned, too"
        raise ConfigError(f"ambiguous domain on route, please specify one: {places}; {hint}")
    return found[0]


def check_attached(name: str, attach: str, configured: Collection[str]) -> None:
    """Raise ConfigError if the server of a domain does not exist."""
    if attach not in configured:
        known = ", ".join(f"'{server}'" for server in configured)
        raise ConfigError(f"domain '{name}': server '{attach}' does not exist, there is {known}")


def check_tls_keywords(domain: NamedDomain, given: Iterable[str], where: str) -> Iterator[str]:
    """Yield a notice for each TLS keyword of a domain whose server is without TLS."""
    for keyword in given:
        label = f"domain '{domain.name}': {keyword}"
        yield f"{where}: {check_tls_keyword(keyword, label, domain.attach)}"


def check_tls_keyword(keyword: str, label: str, server: str) -> str:
    """Return a notice for a TLS keyword of a domain, called *label*, on a server without TLS.

    Raises ConfigError if ignoring the keyword would protect less.
    """
    if keyword in PROTECTING_KEYWORDS:
        raise ConfigError(f"{label} needs a server with TLS, and server '{server}' is without")
    return f"{label} has no effect: server '{server}' is without TLS"

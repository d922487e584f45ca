"""Checks of servers and domains beside one another, and of the configuration as a whole.

The messages begin with Kore's words where Kore has the same check.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol, TypeVar

from kore._conf.arguments import normalize_domain_name
from kore._conf.diagnostics import Diagnostics
from kore._conf.server_schema import Address, Server
from kore._values import hosts
from kore.errors import ConfigError

FIRST_SERVER_HINT: Final = (
    'call kore.server(ip="127.0.0.1", port=8888, tls=False), or write a server block with '
    "`bind 127.0.0.1 8888` and `tls no`"
)


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
    """Report redirects to https without such a server, and a missing server if one is *needed*."""
    # After other errors a server may be missing that the application meant to configure.
    if needed and not configured and not problems.found:
        problems.add("", f"no server configured: {FIRST_SERVER_HINT}")
    has_tls = any(server.tls for server in configured)
    for server in configured:
        if server.redirect_https and not has_tls and not problems.found:
            where = places[server.name]
            problems.add(where, f"server '{server.name}': redirect_https needs a server with TLS")


def check_tls_domains(
    configured: Sequence[Server],
    places: Mapping[str, str],
    domains: Sequence[NamedDomain],
    problems: Diagnostics,
) -> None:
    """Report servers with TLS without any domain: they would have no certificate."""
    attached = {domain.attach for domain in domains}
    # After other errors a domain may be missing that the application meant to configure.
    for server in () if problems.found else configured:
        if server.tls and server.name not in attached:
            problems.add(
                places[server.name],
                f"server '{server.name}' has TLS, and no domain with a certificate: attach one, or "
                "pass tls=False or write `tls no` for plain HTTP",
            )


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

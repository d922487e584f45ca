"""Connection strings: parsed by libpq, completed with defaults, resolved to addresses."""

import asyncio
import ipaddress
import random
import socket
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

from kore.errors import ConfigError, DatabaseError

# Unless the string says otherwise. With these keep-alives a server that vanished is noticed
# within a minute, not in hours.
DEFAULT_KEYWORDS: Final = {
    "application_name": "kore",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}
DEFAULT_PORT: Final = "5432"
# Keywords that decide which addresses are tried, in the string or in the environment.
ADDRESS_KEYWORDS: Final = frozenset(
    {b"host", b"hostaddr", b"port", b"target_session_attrs", b"load_balance_hosts"}
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ConnectionTarget:
    """A parsed connection string: libpq's *keywords*, and a *timeout* for each address (s)."""

    keywords: dict[str, str]
    timeout: float


def parse_conninfo(
    connstring: str, connect_timeout: float, statement_timeout_ms: int
) -> ConnectionTarget:
    """Parse a connection string.

    *connect_timeout*, in seconds, holds if the string has none; a *statement_timeout_ms* of 0
    is no limit. Raises ConfigError if libpq does not understand the string.
    """
    try:
        options = Conninfo.parse(connstring.encode())
    except (psycopg.Error, UnicodeError) as error:
        raise ConfigError(str(error).strip()) from None
    keywords = {option.keyword.decode(): option.val.decode() for option in options if option.val}
    given = keywords.pop("connect_timeout", "")
    if given.strip().lstrip("-").isdigit() and int(given) > 0:
        connect_timeout = float(given)
    overrides = _build_overrides(keywords, statement_timeout_ms)
    return ConnectionTarget(DEFAULT_KEYWORDS | keywords | overrides, connect_timeout)


def _build_overrides(keywords: dict[str, str], statement_timeout_ms: int) -> dict[str, str]:
    """Return the keywords that hold whatever the string says."""
    overrides = {"client_encoding": "UTF8"}
    if statement_timeout_ms:
        # As a start option, so that RESET leads back to it. The last of several options counts.
        given = keywords.get("options", "")
        overrides["options"] = f"{given} -c statement_timeout={statement_timeout_ms}".strip()
    return overrides


async def resolve_attempts(keywords: dict[str, str]) -> list[bytes]:
    """Return a connection string for each address to try; libpq would block in the lookup.

    Raises DatabaseError if no host can be resolved.
    """
    known = {
        option.keyword.decode(): option.val.decode()
        for option in Conninfo.get_defaults()
        if option.keyword in ADDRESS_KEYWORDS and option.val
    } | keywords
    if "service" in keywords or known.get("hostaddr") or not known.get("host"):
        return [make_conninfo("", **keywords).encode()]
    attempts: list[bytes] = []
    problem: Exception | None = None
    for host, port in _order_attempts(_pair_hosts(known["host"], known.get("port", "")), known):
        try:
            for address in _order_attempts(await _resolve_host(host, port), known):
                attempt = keywords | {"host": host, "port": port} | address
                attempts.append(make_conninfo("", **attempt).encode())
        except (OSError, UnicodeError) as error:
            problem = error
    if not attempts:
        raise DatabaseError(f"pgsql error: cannot resolve host '{known['host']}': {problem}")
    if known.get("target_session_attrs") == "prefer-standby":
        # libpq tries all addresses twice; with a single address it accepts any server there.
        standby = b" target_session_attrs=standby"
        return [each + standby for each in attempts] + attempts
    return attempts


def _order_attempts(candidates: list[T], known: dict[str, str]) -> list[T]:
    """Return hosts, or the addresses of one, in the order in which to try them."""
    if known.get("load_balance_hosts") == "random":
        return random.sample(candidates, len(candidates))
    return candidates


def _pair_hosts(hosts: str, ports: str) -> list[tuple[str, str]]:
    """Return each host with its port; a single port holds for all.

    Raises DatabaseError if the numbers of hosts and ports differ.
    """
    names, numbers = hosts.split(","), ports.split(",")
    if len(numbers) == 1:
        numbers *= len(names)
    if len(numbers) != len(names):
        raise DatabaseError(f"pgsql error: {len(numbers)} ports for {len(names)} hosts")
    return [(name, number or DEFAULT_PORT) for name, number in zip(names, numbers, strict=True)]


async def _resolve_host(host: str, port: str) -> list[dict[str, str]]:
    """Return the addresses of a host as libpq's keywords; none for a socket directory."""
    if not host or host.startswith(("/", "@")) or _is_ip_address(host):
        return [{}]
    # Not loop.getaddrinfo(): a loop of uvloop cannot be closed while such a lookup hangs.
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    addresses = await asyncio.get_running_loop().run_in_executor(None, look_up)
    return [{"hostaddr": str(address[0])} for *_, address in addresses]


def _is_ip_address(host: str) -> bool:
    """Return whether a host is an IP address, with or without a zone."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True

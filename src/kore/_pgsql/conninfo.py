"""Connection strings: what libpq makes of them, where they lead, what we add."""

import asyncio
import ipaddress
import random
import socket
from functools import partial
from typing import Final, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

from kore._dataclass import dataclass
from kore.errors import ConfigError, DatabaseError

# Unless the string says otherwise. Peers that vanish are noticed within a minute, not in hours.
ADDED: Final = {
    "application_name": "kore",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}
DEFAULT_PORT: Final = "5432"
# What decides where to try, in a string or in the environment.
LEADING: Final = frozenset(
    {b"host", b"hostaddr", b"port", b"target_session_attrs", b"load_balance_hosts"}
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ConnectionTarget:
    """Where a database is, as libpq's keywords; *timeout* in seconds for each address."""

    words: dict[str, str]
    timeout: float


def target(connstring: str, timeout: float, statement_ms: int) -> ConnectionTarget:
    """Read a connection string. ConfigError: libpq does not understand it."""
    try:
        options = Conninfo.parse(connstring.encode())
    except (psycopg.Error, UnicodeError) as error:
        raise ConfigError(str(error).strip()) from None
    words = {option.keyword.decode(): option.val.decode() for option in options if option.val}
    own = words.pop("connect_timeout", "")
    if own.strip().lstrip("-").isdigit() and int(own) > 0:
        timeout = float(own)
    return ConnectionTarget(ADDED | words | forced(words, statement_ms), timeout)


def forced(words: dict[str, str], statement_ms: int) -> dict[str, str]:
    """Return what must be so whatever the string says."""
    made = {"client_encoding": "UTF8"}
    if statement_ms:
        # What a RESET leads back to; the last one of several counts.
        given = words.get("options", "")
        made["options"] = f"{given} -c statement_timeout={statement_ms}".strip()
    return made


async def attempts(words: dict[str, str]) -> list[bytes]:
    """Return a string for each address to be tried: libpq would wait for names to be resolved."""
    known = {
        option.keyword.decode(): option.val.decode()
        for option in Conninfo.get_defaults()
        if option.keyword in LEADING and option.val
    } | words
    if "service" in words or known.get("hostaddr") or not known.get("host"):
        return [make_conninfo("", **words).encode()]
    found: list[bytes] = []
    problem: Exception | None = None
    for host, port in shuffled(pairs(known["host"], known.get("port", "")), known):
        try:
            for address in shuffled(await resolved(host, port), known):
                one = words | {"host": host, "port": port} | address
                found.append(make_conninfo("", **one).encode())
        except (OSError, UnicodeError) as error:
            problem = error
    if not found:
        raise DatabaseError(f"pgsql error: cannot resolve host '{known['host']}': {problem}")
    if known.get("target_session_attrs") == "prefer-standby":
        # libpq goes round twice; of one address it would take whatever is there.
        standby = b" target_session_attrs=standby"
        return [each + standby for each in found] + found
    return found


def shuffled(those: list[T], known: dict[str, str]) -> list[T]:
    """Return hosts, or addresses of one, in the order in which to try them."""
    if known.get("load_balance_hosts") == "random":
        return random.sample(those, len(those))
    return those


def pairs(hosts: str, ports: str) -> list[tuple[str, str]]:
    """Return each host with its port; one port is for all."""
    names, numbers = hosts.split(","), ports.split(",")
    if len(numbers) == 1:
        numbers *= len(names)
    if len(numbers) != len(names):
        raise DatabaseError(f"pgsql error: {len(numbers)} ports for {len(names)} hosts")
    return [(name, number or DEFAULT_PORT) for name, number in zip(names, numbers, strict=True)]


async def resolved(host: str, port: str) -> list[dict[str, str]]:
    """Return the addresses of a host, as libpq's keywords; a directory of sockets has none."""
    if not host or host.startswith(("/", "@")) or is_address(host):
        return [{}]
    # Not the loop's own: uvloop could not be closed before one that hangs comes to its end.
    look = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(None, look)
    return [{"hostaddr": str(address[0])} for *_, address in found]


def is_address(host: str) -> bool:
    """Return whether a host is an address already."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True

"""Addresses of sockets: from what an application writes to what the system takes, and back."""

import os
import socket
from asyncio import get_running_loop
from typing import Any, Final

from kore._values.grammar import PORT_MAX, UNIX_PATH_MAX, parse_port
from kore.errors import KoreError, SocketError

INET_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)


def check_port(port: object) -> int:
    """Return a port that is an int or a str of digits. Raises KoreError if it is out of range."""
    number = parse_port(port, 1)
    if number is None:
        raise KoreError(f"invalid port number: {port!r} is not in 1..{PORT_MAX}")
    return number


def encode_unix_path(path: object) -> str | bytes:
    """Return the address of the unix socket at *path*; `@name` is an abstract one.

    Raises KoreError if it is empty or too long, ValueError if it contains NUL.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"the path of a unix socket must be str, not {type(path).__name__}")
    name = os.fsencode(path)
    if not 0 < len(name) <= UNIX_PATH_MAX:
        raise KoreError(
            f"unix socket path too long: {len(name)} bytes, 1 to {UNIX_PATH_MAX} are possible"
        )
    if b"\0" in name:
        raise ValueError("embedded null character")
    return b"\0" + name[1:] if name.startswith(b"@") else name


def decode_unix_path(address: object) -> str | None:
    """Return the path of a unix socket's address, `@name` for an abstract one, None if unnamed."""
    if isinstance(address, bytes) and address.startswith(b"\0"):
        address = b"@" + address[1:]
    return os.fsdecode(address) if isinstance(address, (str, bytes)) and address else None


async def resolve_host(sock: socket.socket, host: object, port: int) -> list[Any]:
    """Return the addresses of *host* for *sock*; a name is looked up without blocking the loop.

    An IPv6 socket can also reach IPv4 addresses, unless IPV6_V6ONLY is set. Raises SocketError if
    the name cannot be resolved.
    """
    if not isinstance(host, str):
        raise TypeError(f"a host must be str, not {type(host).__name__}")
    try:
        socket.inet_pton(sock.family, host)
    except (OSError, ValueError):
        pass
    else:
        return [(host, port)]
    loop, flags = get_running_loop(), _get_mapping_flags(sock)
    try:
        found = await loop.getaddrinfo(
            host, port, family=sock.family, type=sock.type, flags=flags
        )
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SocketError(f"invalid host '{host}': {reason}") from None
    return [address for *_, address in found]


def _get_mapping_flags(sock: socket.socket) -> int:
    """Return flags of getaddrinfo(3) for IPv4 addresses in IPv6 form, if *sock* can use them."""
    if sock.family != socket.AF_INET6 or sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        return 0
    return socket.AI_V4MAPPED | socket.AI_ALL

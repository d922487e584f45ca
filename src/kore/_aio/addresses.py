"""Addresses of sockets, as an application writes and reads them."""

import os
import socket
from asyncio import get_running_loop
from typing import Any, Final

from kore.errors import KoreError, SocketError

PORT_MAX: Final = 2**16 - 1
UNIX_PATH_MAX: Final = 107  # bytes of sun_path, its NUL left out
INTERNET: Final = (socket.AF_INET, socket.AF_INET6)


def port_number(port: object, least: int = 1) -> int:
    """Return a port given as int or as digits."""
    if isinstance(port, str) and port.isascii() and port.isdecimal():
        port = int(port)
    if type(port) is not int or not least <= port <= PORT_MAX:
        raise KoreError(f"invalid port number: {port!r} is not in {least}..{PORT_MAX}")
    return port


def unix_address(path: object) -> str | bytes:
    """Return what the system calls the unix socket at *path*; `@name` is an abstract one."""
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


def unix_name(address: object) -> str | None:
    """Return the path of a unix socket, `@name` for an abstract one, None for one without."""
    if isinstance(address, bytes) and address.startswith(b"\0"):
        address = b"@" + address[1:]
    return os.fsdecode(address) if isinstance(address, (str, bytes)) and address else None


async def internet_addresses(sock: socket.socket, host: object, port: int) -> list[Any]:
    """Return what the system calls *host* and *port*; a name is looked up, without blocking.

    A name may have several addresses. One of IPv4 can be reached from a socket of IPv6, too,
    unless that was told not to.
    """
    if not isinstance(host, str):
        raise TypeError(f"a host must be str, not {type(host).__name__}")
    try:
        socket.inet_pton(sock.family, host)
    except (OSError, ValueError):
        pass
    else:
        return [(host, port)]
    loop, flags = get_running_loop(), mapped(sock)
    try:
        found = await loop.getaddrinfo(
            host, port, family=sock.family, type=sock.type, flags=flags
        )
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SocketError(f"invalid host '{host}': {reason}") from None
    return [address for *_, address in found]


def mapped(sock: socket.socket) -> int:
    """Return the flags that have addresses of IPv4 written as some of IPv6."""
    if sock.family != socket.AF_INET6 or sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        return 0
    return socket.AI_V4MAPPED | socket.AI_ALL

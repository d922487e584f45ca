"""Addresses of servers as the kernel sees them: one address may be written in many ways."""

import socket
from dataclasses import dataclass
from typing import Any, Final

from kore._conf.server_schema import Address

# Prefix of IPv4-mapped IPv6 addresses (RFC 4291 section 2.5.5.2).
IPV4_MAPPED: Final = bytes(10) + b"\xff\xff"
EVERY_IPV4: Final = IPV4_MAPPED + bytes(4)
EVERY_ADDRESS: Final = bytes(16)


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """An address in the form that bind() takes."""

    family: int
    sockaddr: Any

    @property
    def port(self) -> int:
        """The port of an IP address."""
        return int(self.sockaddr[1])

    def with_port(self, port: int) -> "SocketAddress":
        """Return the same address with another port."""
        ip, _, *rest = self.sockaddr
        return SocketAddress(self.family, (ip, port, *rest))

    @property
    def scope(self) -> int:
        """The interface index of a link-local address, or 0."""
        return int(self.sockaddr[3]) if self.family == socket.AF_INET6 else 0

    @property
    def packed(self) -> bytes:
        """The IP address in 16 bytes; an IPv4 address as an IPv4-mapped one."""
        ip = self.sockaddr[0].partition("%")[0]
        return (IPV4_MAPPED if self.family == socket.AF_INET else b"") + socket.inet_pton(
            socket.AddressFamily(self.family), ip
        )


def resolve(address: Address) -> SocketAddress:
    """Return the socket address of an IP address. Raises OSError for anything else.

    Never looks up a name: that could block the parent. The template has looked up host names
    (`template/host_lookup.py`).
    """
    host = address.numeric or address.ip
    flags = socket.AI_PASSIVE | socket.AI_NUMERICHOST
    found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=flags)
    return SocketAddress(found[0][0], found[0][4])


def has_conflict(one: SocketAddress, other: SocketAddress) -> bool:
    """Return whether bind() would refuse the second of two addresses without SO_REUSEPORT."""
    if one.port != other.port:
        return False
    if (one.packed, one.scope) == (other.packed, other.scope):
        return True
    return _covers_address(one, other) or _covers_address(other, one)


def _covers_address(wide: SocketAddress, narrow: SocketAddress) -> bool:
    """Return whether *wide* is a wildcard address that includes *narrow*."""
    narrow_is_ipv4 = narrow.packed.startswith(IPV4_MAPPED)
    if wide.packed == EVERY_IPV4:
        return narrow_is_ipv4
    return wide.packed == EVERY_ADDRESS and not (narrow_is_ipv4 and _is_ipv6_only())


def _is_ipv6_only() -> bool:
    """Return whether `::` does not include IPv4 addresses on this system."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
        return bool(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))

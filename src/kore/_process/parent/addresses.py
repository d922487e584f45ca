"""Where servers listen, as the kernel sees it: one place may be spelled in many ways."""

import socket
from dataclasses import dataclass
from typing import Any, Final

from kore._conf.server_schema import Address

# An IPv4 address among those of IPv6.
MAPPED: Final = bytes(10) + b"\xff\xff"
EVERY_IPV4: Final = MAPPED + bytes(4)
EVERY_ADDRESS: Final = bytes(16)


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """An address as the kernel takes it."""

    family: int
    sockaddr: Any

    @property
    def port(self) -> int:
        """The port, of an address that has one."""
        return int(self.sockaddr[1])

    def at(self, port: int) -> "SocketAddress":
        """Return the same address with another port."""
        ip, _, *rest = self.sockaddr
        return SocketAddress(self.family, (ip, port, *rest))

    @property
    def scope(self) -> int:
        """The interface that a link-local address is about."""
        return int(self.sockaddr[3]) if self.family == socket.AF_INET6 else 0

    @property
    def packed(self) -> bytes:
        """The IP address in 16 bytes, also that of IPv4."""
        ip = self.sockaddr[0].partition("%")[0]
        return (MAPPED if self.family == socket.AF_INET else b"") + socket.inet_pton(
            socket.AddressFamily(self.family), ip
        )


def resolve(address: Address) -> SocketAddress:
    """Return the socket address of an IP address. Raises OSError for anything else.

    Never a name look-up: that could take long, and the parent must not wait. Names have been
    looked up by the template (`hostnames.py`).
    """
    host = address.numeric or address.ip
    flags = socket.AI_PASSIVE | socket.AI_NUMERICHOST
    found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=flags)
    return SocketAddress(found[0][0], found[0][4])


def collide(one: SocketAddress, other: SocketAddress) -> bool:
    """Whether the kernel would refuse to bind both, did SO_REUSEPORT not allow it."""
    if one.port != other.port:
        return False
    if (one.packed, one.scope) == (other.packed, other.scope):
        return True
    return takes_in(one, other) or takes_in(other, one)


def takes_in(wide: SocketAddress, narrow: SocketAddress) -> bool:
    """Whether the address of *narrow* is one of those that *wide* stands for."""
    narrow_is_ipv4 = narrow.packed.startswith(MAPPED)
    if wide.packed == EVERY_IPV4:
        return narrow_is_ipv4
    return wide.packed == EVERY_ADDRESS and not (narrow_is_ipv4 and ipv6_only())


def ipv6_only() -> bool:
    """Whether `::` leaves IPv4 alone on this system."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
        return bool(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))

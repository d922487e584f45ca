"""Which addresses of servers are one, and which exclude each other."""

import socket

import pytest

from kore._conf.server_schema import Address
from kore._process.parent.addresses import SocketAddress, has_conflict, resolve


def at(ip: str, port: int = 80) -> SocketAddress:
    return resolve(Address(ip=ip, port=port))


@pytest.mark.parametrize(
    ("ip", "family", "host"),
    [
        ("127.0.0.1", socket.AF_INET, "127.0.0.1"),
        ("::1", socket.AF_INET6, "::1"),
        ("0:0:0:0:0:0:0:1", socket.AF_INET6, "::1"),
        ("::", socket.AF_INET6, "::"),
        ("0.0.0.0", socket.AF_INET, "0.0.0.0"),
    ],
)
def test_an_ip_address_is_resolved(ip: str, family: int, host: str) -> None:
    found = at(ip, 8080)

    assert (found.family, found.sockaddr[0], found.port) == (family, host, 8080)


def test_the_numeric_address_of_a_name_is_used() -> None:
    found = resolve(Address(ip="a.test", port=80, numeric="192.0.2.1"))

    assert found.sockaddr == ("192.0.2.1", 80)


def test_a_name_is_not_looked_up() -> None:
    with pytest.raises(OSError, match=r"Name or service not known|not supported"):
        at("localhost")


def test_another_port_keeps_everything_else() -> None:
    assert at("::1", 80).with_port(81) == at("::1", 81)
    assert at("127.0.0.1", 80).with_port(0) == at("127.0.0.1", 0)


@pytest.mark.parametrize(
    ("one", "other", "conflict"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("0.0.0.0", "127.0.0.1", True),
        ("0.0.0.0", "::1", False),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("::1", "::2", False),
        ("::", "::1", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("::ffff:0.0.0.0", "127.0.0.1", True),
    ],
)
def test_addresses_conflict_where_bind_would_refuse_the_second(
    one: str, other: str, conflict: bool
) -> None:
    assert has_conflict(at(one), at(other)) == conflict
    assert has_conflict(at(other), at(one)) == conflict
    assert not has_conflict(at(one, 80), at(other, 81))


def test_a_wildcard_of_ipv6_includes_ipv4_where_the_system_does() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
        only = sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)

    assert has_conflict(at("::"), at("192.0.2.1")) == (not only)


def test_a_link_local_address_is_another_on_another_interface() -> None:
    first, second = (SocketAddress(socket.AF_INET6, ("fe80::1", 80, 0, n)) for n in (1, 2))

    assert (first.scope, second.scope) == (1, 2)
    assert not has_conflict(first, second)
    assert has_conflict(first, first)

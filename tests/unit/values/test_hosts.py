"""Names of hosts as a Host field has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._conf.builder import Builder
from kore._core.testing import parse
from kore._values.hosts import compile_wildcard, normalize_host
from kore.errors import ConfigError
from tests.helpers.build import request


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("Example.com", "Example.com"),
        ("example.com.", "example.com"),
        (".", "."),
        ("*.example.com", "*.example.com"),
        ("a_b-.test", "a_b-.test"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[fe80::*]", "[fe80::*]"),
        ("[2001:DB8:0:0::0:1]", "[2001:db8::1]"),
        ("[v1.A]", "[v1.A]"),
        ("m\u00fcnchen.de", "xn--mnchen-3ya.de"),
        ("*.B\u00dcCHER.test.", "*.xn--bcher-kva.test"),
        ("bu\u0308cher.test", "xn--bcher-kva.test"),
        ("stra\u00dfe.de", "xn--strae-oqa.de"),
        ("\u65e5\u672c\u3002jp", "xn--wgv71a.jp"),
        ("xn--bcher-kva.test", "xn--bcher-kva.test"),
    ],
)
def test_a_name_is_one_that_clients_send(name: str, normal: str) -> None:
    assert normalize_host(name) == normal
    head = parse(request("GET", "/", host=normal.replace("*", "a")))
    assert head is not None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("example.com/shop", "without scheme and path"),
        ("https://example.com", "without scheme and path"),
        ("//example.com", "without scheme and path"),
        ("a b", "no host has ' ' in its name"),
        (" example.com", "no host has ' ' in its name"),
        ("exa\nmple.com", r"no host has '\\n' in its name"),
        ("user@example.com", "no host has '@' in its name"),
        ("a?.test", "the only wildcard is '\\*'"),
        ("[ab]x.test", "the only wildcard is '\\*'"),
        ("::1", r"'\[::1\]'"),
        ("example.com:80", "leave the port out"),
        ("[::1]:80", "leave the port out"),
        ("[fe80::1%25eth0]", "an IPv6 address has hexadecimal digits and colons"),
        ("[::g]", "an IPv6 address has hexadecimal digits and colons"),
        ("fe80::1%eth0", "an IPv6 address has hexadecimal digits and colons"),
        ("\u00e9*.test", "write '\\*' apart"),
        ("\u00fc" * 60, "is not part of a host's name"),
        ("\u202e.test", "is not part of a host's name"),
        ("\u2100.test", "without scheme and path"),
    ],
)
def test_an_invalid_host_name_is_refused(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        normalize_host(name)
    with pytest.raises(ConfigError, match="domain '"):
        Builder().domain(name, "default")


@pytest.mark.parametrize(
    "wildcard", ["*", "*.test", "a*.test", "[*]", "[::*]", "(a).te+st", "a*b*c"]
)
@given(st.text(alphabet="ab.test[]:1(+)c?\n", max_size=8))
def test_only_the_asterisk_is_a_wildcard(wildcard: str, host: str) -> None:
    first, *others = wildcard.split("*")
    rest = host.removeprefix(first)
    expected = host == wildcard
    if others and host.startswith(first):
        *middle, last = others
        place = 0
        for part in middle:
            found = rest.find(part, place)
            place = len(rest) + 1 if found < 0 else found + len(part)
        expected = rest.endswith(last) and place + len(last) <= len(rest)

    if "\n" not in host:
        assert bool(compile_wildcard(wildcard)(host)) == expected

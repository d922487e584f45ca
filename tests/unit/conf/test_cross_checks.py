"""Checks of servers and domains beside one another."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from kore._conf import cross_checks
from kore._conf.diagnostics import Diagnostics
from kore._conf.server_schema import Address, Server
from tests.helpers.conf import get_error


@dataclass
class NamedDomain:
    """A domain with its name and server."""

    name: str
    attach: str = "plain"


def collect_errors(call: Callable[..., Any], *arguments: Any) -> list[str]:
    """Return the errors that a check reports."""
    problems = Diagnostics()
    call(*arguments, problems)
    return problems.found


def test_a_second_server_of_a_name_is_refused() -> None:
    cross_checks.check_server_name("other", ["plain"])
    assert get_error(cross_checks.check_server_name, "plain", ["plain"]).startswith(
        "server 'plain' already exist: "
    )


@pytest.mark.parametrize("address", [Address("::1", 80), Address(path="/x")])
def test_a_second_server_on_an_address_is_refused(address: Address) -> None:
    servers = [Server("plain", address, tls=False)]

    cross_checks.check_address(Address("::1", 81), servers)
    assert get_error(cross_checks.check_address, address, servers) == (
        f"{address} is already the address of server 'plain'"
    )


def test_port_0_may_be_configured_twice() -> None:
    anything = Address("::1", 0)
    cross_checks.check_address(anything, [Server("plain", anything, tls=False)])


@pytest.mark.parametrize(
    ("earlier", "name"),
    [
        ("*", "a.test"),
        ("A.test", "a.TEST"),
        ("*.a.test", "b.A.test"),
        ("[*]", "[::1]"),
        ("*", "*.a"),
    ],
)
def test_a_domain_that_an_earlier_one_shadows_is_refused(earlier: str, name: str) -> None:
    assert get_error(cross_checks.check_domain, name, "plain", [NamedDomain(earlier)]) == (
        f"domain exists: '{earlier}' on server 'plain' already takes '{name}'"
    )


def test_a_domain_after_narrower_ones_or_on_another_server_is_accepted() -> None:
    cross_checks.check_domain("*", "plain", [NamedDomain("a.test"), NamedDomain("*", "other")])
    cross_checks.check_domain("a", "plain", [NamedDomain("[ab]"), NamedDomain("?")])


def test_a_route_without_a_domain_is_for_the_only_one() -> None:
    only = NamedDomain("a.test")

    assert only is cross_checks.find_domain(None, [only])
    assert only is cross_checks.find_domain("A.test", [only])


@pytest.mark.parametrize(
    ("wanted", "domains", "words"),
    [
        (None, [], "no domains configured, please configure one"),
        ("a", [], "no domains configured, please configure one"),
        ("a", [NamedDomain("c"), NamedDomain("b")], "domain 'a' does not exist, there is 'b', 'c'"),
        (
            None,
            [NamedDomain("a"), NamedDomain("b")],
            "ambiguous domain on route, please specify one: 'a' on 'plain', 'b' on 'plain'; ",
        ),
        (
            "a",
            [NamedDomain("a"), NamedDomain("a", "other")],
            "ambiguous domain on route, please specify one: 'a' on 'plain', 'a' on 'other'; ",
        ),
    ],
)
def test_a_route_with_an_ambiguous_domain_is_refused_with_kores_message(
    wanted: str | None, domains: list[NamedDomain], words: str
) -> None:
    assert get_error(cross_checks.find_domain, wanted, domains).startswith(words)


def test_a_server_is_needed() -> None:
    (problem,) = collect_errors(partial(cross_checks.check_servers, needed=True), [], {})

    assert problem.startswith("no server configured: call kore.server(")
    assert "or write a server block with `bind" in problem


def test_a_missing_server_is_not_reported_after_another_error() -> None:
    problems = Diagnostics()
    problems.add("kore.conf:1", "wrong")

    cross_checks.check_servers([], {}, problems, needed=True)

    assert problems.found == ["kore.conf:1: wrong"]


def test_a_redirect_to_https_without_such_a_server_is_refused() -> None:
    server = Server("default", Address("::1", 80), tls=False, redirect_https=True)

    (problem,) = collect_errors(
        partial(cross_checks.check_servers, needed=True), [server], {"default": "app.py:3"}
    )

    assert problem == "app.py:3: server 'default': redirect_https needs a server with TLS"


def test_a_server_with_tls_needs_a_domain() -> None:
    servers = [Server(name, Address("::1", 443), tls=True) for name in ("one", "other")]
    places = {"one": "app.py:3", "other": "app.py:4"}
    problems = Diagnostics()

    cross_checks.check_tls_domains(servers, places, [NamedDomain("*", "one")], problems)

    (problem,) = problems.found
    assert problem.startswith("app.py:4: server 'other' has TLS, and no domain with a certificate")


def test_a_domain_on_an_unknown_server_is_refused() -> None:
    cross_checks.check_attached("a.test", "plain", ["plain"])
    assert get_error(cross_checks.check_attached, "a.test", "secure", ["plain", "other"]) == (
        "domain 'a.test': server 'secure' does not exist, there is 'plain', 'other'"
    )

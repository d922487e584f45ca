"""The TLS keywords of `kore.domain()`: what they add up to, and what they refuse."""

from pathlib import Path
from typing import Any

import pytest

from kore._conf.builder import Builder
from kore._conf.domain_tls import TlsOptions, build_domain_tls, describe_ignored, read_keywords
from kore._conf.server_schema import Address, CertificateFiles, DomainTls
from tests.helpers.conf import get_error

LABEL = "domain 'a'"


def read(**given: Any) -> TlsOptions:
    return read_keywords(given, LABEL)


def build(**given: Any) -> DomainTls:
    return build_domain_tls(read(**given), "a", "secure", "app.py:3")


def test_paths_are_absolute() -> None:
    here = Path.cwd()

    made = build(cert="c.pem", key=Path("../k.pem"), client_verify="ca.pem", crl="/x/crl.pem")

    assert made == DomainTls(
        "a",
        "secure",
        (CertificateFiles(f"{here}/c.pem", f"{here.parent}/k.pem"),),
        client_verify=f"{here}/ca.pem",
        crl="/x/crl.pem",
    )
    assert made.where == "app.py:3"


def test_two_certificates_have_their_keys_in_the_same_order() -> None:
    assert build(cert=["/ec", "/rsa"], key=("/eck", "/rsak")).certificates == (
        CertificateFiles("/ec", "/eck"),
        CertificateFiles("/rsa", "/rsak"),
    )


def test_verify_depth_is_1_unless_given() -> None:
    pair = {"cert": "/c", "key": "/k", "client_verify": "/ca"}

    assert build(**pair).verify_depth == 1
    assert build(**pair, verify_depth=None).verify_depth == 1
    assert build(**pair, verify_depth=0).verify_depth == 0


def test_empty_keywords_are_not_given() -> None:
    assert read(cert=None, key="", client_verify="", crl=None, acme=False) == TlsOptions()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "no keywords for TLS enabled domain a: pass cert and key, or tls=False to"),
        ({"cert": "/c"}, "domain 'a': missing key or cert keywords for TLS listener: pass both"),
        ({"key": "/k"}, "domain 'a': missing key or cert keywords for TLS listener: pass both"),
        (
            {"cert": ["/c", "/d"], "key": "/k"},
            "domain 'a': 2 cert and 1 key: each certificate needs its key, in the same order",
        ),
        (
            {"acme": True},
            "domain 'a': acme is not part of this version yet: pass cert and key, with the",
        ),
        (
            {"cert": "/c", "key": "/k", "crl": "/r"},
            "domain 'a': crl needs client_verify, whose clients it revokes",
        ),
    ],
)
def test_what_is_incomplete_is_refused(given: dict[str, Any], problem: str) -> None:
    assert get_error(lambda: build(**given)).startswith(problem)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"cert": ["/a", "/a"]}, "domain 'a': cert: the same file twice: /a"),
        ({"key": ["/a", "/b", "/c"]}, "domain 'a': key: 3 files, 2 at most: one for an ECDSA key"),
        ({"verify_depth": -1}, "domain 'a': invalid depth '-1': 0 to 100"),
        ({"verify_depth": "2"}, "domain 'a': invalid depth '2': 0 to 100"),
    ],
)
def test_a_value_is_checked_when_the_call_is_made(given: dict[str, Any], problem: str) -> None:
    assert get_error(lambda: read(**given)).startswith(problem)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"cert": "a\0b"}, "domain 'a': cert: embedded null character"),
        ({"key": [""]}, "domain 'a': key is empty"),
    ],
)
def test_a_path_is_one(given: dict[str, Any], problem: str) -> None:
    assert get_error(lambda: read(**given), error=ValueError) == problem


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"cert": 7}, "domain 'a': cert must be a path or a list of two, not int"),
        ({"acme": "yes"}, "domain 'a': acme must be bool, not str"),
        ({"client_verify": ["/ca"]}, "domain 'a': client_verify must be str, not list"),
    ],
)
def test_a_value_of_another_type_is_refused(given: dict[str, Any], problem: str) -> None:
    assert get_error(lambda: read(**given), error=TypeError) == problem


def test_keywords_on_a_server_without_tls_are_named() -> None:
    assert describe_ignored("cert", "domain 'a': cert", "plain") == (
        "domain 'a': cert has no effect: server 'plain' is without TLS"
    )
    assert get_error(describe_ignored, "crl", "domain 'a': crl", "plain") == (
        "domain 'a': crl needs a server with TLS, and server 'plain' is without"
    )


def test_a_domain_has_tls_whether_its_server_comes_before_or_after() -> None:
    builder = Builder()
    builder.domain("a", "secure", cert="/c", key="/k")
    builder.server("secure", Address("::1", 443), tls=True)
    builder.domain("b", "secure", cert="/d", key="/l")

    assert [(made.domain, made.server) for made in builder.build().tls] == [
        ("a", "secure"),
        ("b", "secure"),
    ]


LOCAL = CertificateFiles("/local.pem", "/local-key.pem")


def test_a_local_certificate_is_for_servers_without_tls_and_domains_without_certificates() -> None:
    builder = Builder()
    builder.local_certificate = LOCAL
    builder.server("plain", Address("::1", 80), tls=False)
    builder.add_address("plain", Address("::1", 81))
    builder.server("redirect", Address("::1", 82), tls=False, redirect_https=True)
    builder.server("secure", Address("::1", 443), tls=True)
    builder.domain("a", "plain")
    builder.domain("b", "plain", cert="/c", key="/k")
    builder.domain("c", "secure")
    builder.domain("d", "redirect")

    made = builder.build()

    assert [server.tls for server in made.servers] == [True, True, False, True]
    assert {each.domain: each.certificates for each in made.tls} == {
        "a": (LOCAL,),
        "b": (CertificateFiles("/c", "/k"),),
        "c": (LOCAL,),
    }

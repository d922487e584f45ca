"""The TLS directives of domain blocks: what they add up to, and what they refuse."""

import pytest

from kore._conf.server_schema import CertificateFiles, DomainTls
from tests.helpers.conf import complaints, config, domain

SECURE = "server secure {\n bind ::1 443\n}\n"
PAIR = "certfile a.pem\n certkey a.key"


def secure(lines: str, name: str = "a.test") -> str:
    """Return a domain on a server with TLS; *lines* begin on line 6."""
    return f"{SECURE}domain {name} {{\n attach secure\n {lines}\n}}\n"


def test_a_domain_on_a_server_with_tls_has_certificate_and_key() -> None:
    made = config(secure(PAIR))

    assert made.tls == (DomainTls("a.test", "secure", (CertificateFiles("a.pem", "a.key"),)),)
    assert made.tls[0].where == "kore.conf:6"
    assert made.servers[1].tls


def test_two_certificates_have_their_keys_in_the_same_order() -> None:
    lines = "certfile ec.pem\n certfile rsa.pem\n certkey ec.key\n certkey rsa.key"

    assert config(secure(lines)).tls[0].certificates == (
        CertificateFiles("ec.pem", "ec.key"),
        CertificateFiles("rsa.pem", "rsa.key"),
    )


def test_clients_are_verified_with_authority_list_and_depth() -> None:
    lines = f"{PAIR}\n client_verify ca.pem crl.pem\n client_verify_depth 2"

    (made,) = config(secure(lines)).tls

    assert (made.client_verify, made.crl, made.verify_depth) == ("ca.pem", "crl.pem", 2)
    (made,) = config(secure(f"{PAIR}\n client_verify ca.pem")).tls
    assert (made.client_verify, made.crl, made.verify_depth) == ("ca.pem", "", 1)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("certfile a", "4: incomplete TLS setup for 'a.test': write certfile and certkey"),
        ("certkey a", "4: incomplete TLS setup for 'a.test': write certfile and certkey"),
        ("acme no", "4: incomplete TLS setup for 'a.test': write certfile and certkey"),
        (
            "certfile a\n certkey b\n certfile c",
            "4: domain 'a.test': 2 certfile and 1 certkey: each certificate needs its key",
        ),
        (
            "certfile a\n certfile b\n certfile c",
            "8: domain 'a.test': certfile: 3 files, 2 at most: one for an ECDSA key",
        ),
        ("certkey a\n certkey a", "7: domain 'a.test': certkey: the same file twice: a"),
        (
            "acme yes",
            "4: domain 'a.test': acme is not part of this version yet: write certfile and",
        ),
        (
            f"{PAIR}\n client_verify a\n client_verify b",
            "9: domain 'a.test': client_verify already set for 'a.test'",
        ),
    ],
)
def test_what_is_incomplete_is_refused_with_its_place(lines: str, problem: str) -> None:
    (said,) = complaints(secure(lines))

    assert said.startswith(f"kore.conf:{problem}")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("client_verify_depth -1", "bad value '-1' for client_verify_depth: 0..100"),
        ("client_verify_depth 101", "bad value '101' for client_verify_depth: 0..100"),
        ("client_verify", "write `client_verify CA [CRL]`, not 0 words"),
        ('certfile ""', "certfile is empty"),
        ("certkey", "write `certkey PATH`, not 0 words"),
        ("acme maybe", "invalid 'maybe' for yes|no acme option"),
        ("acme yes", "acme: wildcards not supported due to lack of dns-01"),
    ],
)
def test_a_statement_is_checked_when_the_file_is_read(line: str, problem: str) -> None:
    (said,) = complaints(domain(line))

    assert said.startswith(f"kore.conf:2: domain '*': {problem}")


def test_directives_that_restrict_access_are_refused_without_tls() -> None:
    lines = "certfile a\n certkey b\n client_verify_depth 1\n"
    plain = f"domain a.test {{\n attach plain\n {lines}"

    assert config(plain + "}").notices == tuple(
        f"kore.conf:{line}: domain 'a.test': {name} has no effect: server 'plain' is without TLS"
        for line, name in ((3, "certfile"), (4, "certkey"), (5, "client_verify_depth"))
    )
    assert config(plain + "}").tls == ()
    assert complaints(plain + "client_verify ca\n acme yes\n}") == [
        f"kore.conf:{line}: domain 'a.test': {name} needs a server with TLS, "
        "and server 'plain' is without"
        for line, name in ((6, "client_verify"), (7, "acme"))
    ]


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("cert a", "cert: write `certfile PATH` in a domain block"),
        ("ssl_certificate_key a", "ssl_certificate_key: write `certkey PATH` in a domain block"),
        ("crl a", "crl: write `client_verify CA CRL` in a domain block"),
        ("verify_depth 2", "verify_depth: write `client_verify_depth NUMBER` in a domain block"),
    ],
)
def test_names_of_the_same_elsewhere_have_hints(line: str, hint: str) -> None:
    assert complaints(domain(line)) == [f"kore.conf:2: domain '*': {hint}"]

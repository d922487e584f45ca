"""Versions, cipher suites and groups of a server; options that protect connections."""

import ssl

import pytest

from kore._conf.settings import Settings
from kore._core.tls_context import TlsServer
from tests.helpers.certificates import CertificateAuthority
from tests.helpers.tls_memory import CIPHERS, Handshake, add_domain, client_context, make_server

AUTHORITY = CertificateAuthority()
ECDSA = AUTHORITY.issue("a.test", kind="p256")
RSA = AUTHORITY.issue("a.test", kind="rsa2048")
DEFAULT_CIPHERS = Settings().tls_cipher


def serve(*, versions: tuple[str, str] = ("1.2", "1.3"), ciphers: str = CIPHERS) -> TlsServer:
    server = make_server(versions=versions, ciphers=ciphers)
    add_domain(server, "a.test", ECDSA, RSA)
    return server


@pytest.mark.parametrize(
    ("versions", "accepted"),
    [
        (("1.2", "1.3"), {"1.2", "1.3"}),
        (("1.2", "1.2"), {"1.2"}),
        (("1.3", "1.3"), {"1.3"}),
    ],
)
def test_versions_are_those_of_the_configuration(
    versions: tuple[str, str], accepted: set[str]
) -> None:
    server = serve(versions=versions)

    for version in ("1.2", "1.3"):
        handshake = Handshake(server, client_context(version), "a.test")

        assert handshake.accepted == (version in accepted)
        if not handshake.accepted:
            assert handshake.alert == "protocol_version"
            assert handshake.connection.failure == "unsupported protocol"


@pytest.mark.parametrize("versions", [("1.1", "1.3"), ("1.3", "1.2"), ("1.2", "both"), ("", "")])
def test_other_versions_are_refused(versions: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="no TLS versions from"):
        make_server(versions=versions)


# Cipher suites


@pytest.mark.parametrize(
    "suite",
    [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
    ],
)
def test_the_default_suites_work_with_both_kinds_of_keys(suite: str) -> None:
    context = client_context("1.2")
    context.set_ciphers(suite)

    handshake = Handshake(serve(ciphers=DEFAULT_CIPHERS), context, "a.test")

    assert handshake.accepted
    assert (handshake.client.cipher() or ("",))[0] == suite


@pytest.mark.parametrize(
    "suite",
    ["DHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "AES128-GCM-SHA256", "AES256-SHA"],
)
def test_other_suites_are_not_in_the_default(suite: str) -> None:
    context = client_context("1.2")
    context.set_ciphers(suite)

    handshake = Handshake(serve(ciphers=DEFAULT_CIPHERS), context, "a.test")

    assert handshake.alert == "handshake_failure"
    assert handshake.connection.failure == "no shared cipher"


def test_the_clients_order_counts() -> None:
    suites = ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"]
    for first, second in (suites, reversed(suites)):
        context = client_context("1.2")
        context.set_ciphers(f"{first}:{second}")

        handshake = Handshake(serve(ciphers=DEFAULT_CIPHERS), context, "a.test")

        assert (handshake.client.cipher() or ("",))[0] == first


@pytest.mark.parametrize(
    "ciphers",
    [
        DEFAULT_CIPHERS,
        "HIGH:!aNULL:!MD5",
        "ECDHE+AESGCM,ECDHE+CHACHA20",
        "ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384",
        "DEFAULT:!RC4:!3DES:!EXPORT:!aNULL:!eNULL:@STRENGTH",
        "AES128-SHA256",
        "@SECLEVEL=2:HIGH",
    ],
)
def test_lists_in_openssls_words_are_accepted(ciphers: str) -> None:
    make_server(ciphers=ciphers)


@pytest.mark.parametrize(
    ("ciphers", "message"),
    [
        ("", "OpenSSL does not know ''"),
        ("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GMC-SHA256", "know 'ECDHE-RSA-AES128-GMC"),
        ("HIGH:!aNUL", "OpenSSL does not know '!aNUL'"),
        ("HIGH:@STRONG", "tls_cipher: invalid command"),
        ("HIGH:é", "OpenSSL does not know '?'"),
        ("TLS_AES_128_GCM_SHA256", "is a suite of TLS 1.3, whose list is fixed"),
        ("DHE-RSA-AES128-GCM-SHA256", "no suite with ECDHE or RSA"),
        ("aNULL", "no suite with ECDHE or RSA"),
    ],
)
def test_other_lists_are_refused(ciphers: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        make_server(ciphers=ciphers)


# Groups


def test_groups_are_those_of_the_guideline() -> None:
    groups = make_server().groups

    assert groups in (
        ["X25519", "P-256", "P-384"],
        ["X25519MLKEM768", "X25519", "P-256", "P-384"],
    )


@pytest.mark.parametrize(
    ("curve", "accepted"),
    [("X25519", True), ("prime256v1", True), ("secp384r1", True), ("secp521r1", False)],
)
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_client_with_one_group(version: str, curve: str, *, accepted: bool) -> None:
    context = client_context(version)
    try:
        context.set_ecdh_curve(curve)
    except ssl.SSLError:
        pytest.skip(f"this version of Python cannot select {curve}")
    if version == "1.2":
        context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # whatever the curve of a certificate

    assert Handshake(serve(), context, "a.test").accepted == accepted


# Options


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_there_is_no_compression(version: str) -> None:
    context = client_context(version)
    context.options &= ~ssl.OP_NO_COMPRESSION

    assert Handshake(serve(), context, "a.test").client.compression() is None

"""Certificates of clients: which are accepted, what is logged, what applications see."""

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from kore._core.testing_tls import MemoryConnection
from kore._core.tls_context import TlsServer
from tests.helpers.certificates import (
    CLIENT_KINDS,
    Certificate,
    CertificateAuthority,
    CertificatePaths,
    issue_self_signed,
)
from tests.helpers.tls_hello import client_hello, name_extension
from tests.helpers.tls_memory import Handshake, add_domain, client_context, make_server

AUTHORITY = CertificateAuthority()
CLIENTS = CertificateAuthority("clients")
BETWEEN = CertificateAuthority("between", issuer=CLIENTS)
SERVER = AUTHORITY.issue("a.test")
VERSIONS = ("1.2", "1.3")
NOW = dt.datetime.now(dt.UTC)


def serve(*, client_ca: bytes = CLIENTS.pem, verify_depth: int = 1, crl: bytes = b"") -> TlsServer:
    server = make_server()
    add_domain(
        server, "a.test", SERVER, client_ca=client_ca, verify_depth=verify_depth, crl=crl
    )
    return server


def shake_hands(
    server: TlsServer,
    certificate: Certificate | CertificatePaths | None,
    place: Path,
    *,
    version: str = "1.3",
) -> Handshake:
    """Connect with a client certificate."""
    context = client_context(version)
    if isinstance(certificate, Certificate):
        certificate = certificate.write(place, "client")
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return Handshake(server, context, "a.test")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", CLIENT_KINDS)
def test_keys_of_all_kinds_are_accepted(version: str, kind: str, tmp_path: Path) -> None:
    paths = CLIENTS.write_client(tmp_path, "alice", kind)
    pem = Path(paths.certificate).read_bytes()

    handshake = shake_hands(serve(), paths, tmp_path, version=version)

    assert handshake.accepted
    assert handshake.connection.certificate == x509.load_pem_x509_certificate(pem).public_bytes(
        serialization.Encoding.DER
    )
    assert handshake.connection.names == {
        "issuer": {"CN": "clients"},
        "subject": {"CN": "alice"},
    }
    assert handshake.connection.common_name == b"alice"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_domain_that_does_not_verify_asks_for_no_certificate(
    version: str, tmp_path: Path
) -> None:
    server = serve(client_ca=b"")

    handshake = shake_hands(server, CLIENTS.issue_client("alice"), tmp_path, version=version)

    assert handshake.accepted
    assert handshake.connection.certificate is None
    assert handshake.connection.names is None
    assert handshake.connection.common_name is None


# Refused, each with its reason in one line of the log


@pytest.mark.parametrize("version", VERSIONS)
def test_no_certificate_is_refused(version: str, tmp_path: Path) -> None:
    handshake = shake_hands(serve(), None, tmp_path, version=version)

    assert not handshake.accepted
    assert handshake.connection.failure == "peer did not return a certificate"
    assert handshake.alert in ("certificate_required", "handshake_failure")


EXPIRED = CLIENTS.issue_client("late", days=0.5)
FOREIGN = CertificateAuthority("others").issue_client("mallory")
REFUSED = {
    "expired": (EXPIRED, "depth:0 - certificate has expired, certificate of 'late'"),
    "foreign": (
        FOREIGN,
        "depth:0 - unable to get local issuer certificate, certificate of 'mallory'",
    ),
    "self-signed": (
        issue_self_signed("eve"),
        "depth:0 - self-signed certificate, certificate of 'eve'",
    ),
    "a server's": (
        CLIENTS.issue("server.test"),
        "depth:0 - unsuitable certificate purpose, certificate of 'server.test'",
    ),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", REFUSED)
def test_a_certificate_is_refused_for_a_reason(version: str, case: str, tmp_path: Path) -> None:
    certificate, reason = REFUSED[case]

    handshake = shake_hands(serve(), certificate, tmp_path, version=version)

    assert not handshake.accepted
    failure = (handshake.connection.failure or "").replace("self signed", "self-signed")
    assert failure == f"X509 verification error {reason}"
    assert handshake.connection.certificate is None


def test_the_depth_of_chains_is_limited(tmp_path: Path) -> None:
    client = BETWEEN.issue_client("alice")
    assert shake_hands(serve(verify_depth=1), client, tmp_path).accepted

    handshake = shake_hands(serve(verify_depth=0), client, tmp_path)

    assert not handshake.accepted
    assert "certificate chain too long" in (handshake.connection.failure or "")


def test_clients_of_several_authorities_are_accepted_and_told_their_names(tmp_path: Path) -> None:
    others = CertificateAuthority("others")
    server = serve(client_ca=CLIENTS.pem + others.pem)
    assert shake_hands(server, FOREIGN, tmp_path).accepted
    assert shake_hands(server, CLIENTS.issue_client("x"), tmp_path).accepted

    flight = MemoryConnection(server).shake_hands(client_hello(name_extension(b"a.test")))

    assert CLIENTS.name.public_bytes() in flight
    assert others.name.public_bytes() in flight


# Revocation


@pytest.mark.parametrize("version", VERSIONS)
def test_a_revoked_certificate_is_refused(version: str, tmp_path: Path) -> None:
    revoked, other = CLIENTS.issue_client("revoked"), CLIENTS.issue_client("other")
    server = serve(crl=CLIENTS.revoke(revoked))

    assert shake_hands(server, other, tmp_path, version=version).accepted
    handshake = shake_hands(server, revoked, tmp_path, version=version)

    assert not handshake.accepted
    failure = "X509 verification error depth:0 - certificate revoked, certificate of 'revoked'"
    assert handshake.connection.failure == failure
    assert handshake.alert == "certificate_revoked"


@pytest.mark.parametrize(
    ("crl", "reason"),
    [
        pytest.param(CLIENTS.revoke(expired=True), "CRL has expired", id="expired"),
        pytest.param(
            CertificateAuthority("others").revoke(), "unable to get certificate CRL", id="missing"
        ),
        pytest.param(
            CLIENTS.revoke_serials([], NOW + dt.timedelta(1), NOW + dt.timedelta(2)),
            "CRL is not yet valid",
            id="not yet valid",
        ),
    ],
)
def test_without_a_valid_list_all_clients_are_refused(
    crl: bytes, reason: str, tmp_path: Path
) -> None:
    handshake = shake_hands(serve(crl=crl), CLIENTS.issue_client("alice"), tmp_path)

    assert not handshake.accepted
    assert reason in (handshake.connection.failure or "")


def test_the_list_of_the_issuer_is_enough(tmp_path: Path) -> None:
    # As nginx, which wants the lists of all authorities in the chain, does not.
    server = serve(crl=BETWEEN.revoke())

    assert shake_hands(server, BETWEEN.issue_client("alice"), tmp_path).accepted


def test_a_new_list_revokes_open_connections(tmp_path: Path) -> None:
    revoked, other = CLIENTS.issue_client("revoked"), CLIENTS.issue_client("other")
    server = serve(crl=CLIENTS.revoke())
    connections = [shake_hands(server, one, tmp_path).connection for one in (revoked, other)]
    assert [one.revoked for one in connections] == [False, False]

    add_domain(server, "a.test", SERVER, client_ca=CLIENTS.pem, crl=CLIENTS.revoke(revoked))

    assert [one.revoked for one in connections] == [True, False]


def test_another_authoritys_list_revokes_no_open_connection(tmp_path: Path) -> None:
    client, others = CLIENTS.issue_client("alice"), CertificateAuthority("others")
    server = serve()
    connection = shake_hands(server, client, tmp_path).connection

    lists = others.revoke(client) + CLIENTS.revoke()
    add_domain(server, "a.test", SERVER, client_ca=CLIENTS.pem, crl=lists)

    assert not connection.revoked


# Names


def issue_named(*attributes: x509.NameAttribute) -> Certificate:
    """Return a client certificate with this subject."""
    plain = CLIENTS.issue_client("x")
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attributes))
        .public_key(plain.key.public_key())
        .serial_number(7)
        .not_valid_before(plain.x509.not_valid_before_utc)
        .not_valid_after(plain.x509.not_valid_after_utc)
    )
    return Certificate(CLIENTS.sign(builder), plain.key)


def test_names_are_short_and_the_last_of_several_counts(tmp_path: Path) -> None:
    certificate = issue_named(
        x509.NameAttribute(NameOID.COUNTRY_NAME, "NO"),
        x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "Viken"),
        x509.NameAttribute(NameOID.LOCALITY_NAME, "Ås"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Øl & Brød"),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "first"),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "last"),
        x509.NameAttribute(NameOID.COMMON_NAME, "old"),
        x509.NameAttribute(NameOID.COMMON_NAME, "Kari"),
        x509.NameAttribute(NameOID.EMAIL_ADDRESS, "kari@a.test"),
        x509.NameAttribute(x509.ObjectIdentifier("1.2.3.4.5"), "own"),
    )

    connection = shake_hands(serve(), certificate, tmp_path).connection

    assert (connection.names or {})["subject"] == {
        "C": "NO",
        "ST": "Viken",
        "L": "Ås",
        "O": "Øl & Brød",
        "OU": "last",
        "CN": "Kari",
        "emailAddress": "kari@a.test",
        "1.2.3.4.5": "own",
    }
    assert connection.common_name == b"Kari"


def test_a_subject_without_a_common_name(tmp_path: Path) -> None:
    certificate = issue_named(x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme"))

    connection = shake_hands(serve(), certificate, tmp_path).connection

    assert (connection.names or {})["subject"] == {"O": "Acme"}
    assert connection.common_name is None


def test_text_in_a_refused_name_cannot_break_the_log_line(tmp_path: Path) -> None:
    certificate = Certificate(
        CertificateAuthority("others").issue_client("a\nb\x1b[31m'é").x509, FOREIGN.key
    )

    failure = shake_hands(serve(), certificate, tmp_path).connection.failure

    assert failure is not None
    assert failure.isascii()
    assert failure.isprintable()

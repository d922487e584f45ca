"""Contexts of domains: certificates and chains, what cannot be used, how long contexts live."""

import gc
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from kore._core.testing_tls import LocalKey, MemoryConnection
from kore._core.tls_context import TlsContext
from tests.helpers.certificates import Certificate, CertificateAuthority, issue_self_signed
from tests.helpers.tls_hello import client_hello, name_extension
from tests.helpers.tls_memory import Handshake, add_domain, client_context, make_server

AUTHORITY = CertificateAuthority()
BETWEEN = CertificateAuthority("between", issuer=AUTHORITY)
ECDSA = BETWEEN.issue("a.test", kind="p256")
RSA = BETWEEN.issue("a.test", kind="rsa2048")


def make_context(*pairs: tuple[bytes, bytes], client_ca: bytes = b"", crl: bytes = b"") -> None:
    """Create a context of chains and keys."""
    TlsContext(
        make_server(),
        "a.test",
        [(chain, LocalKey(key)) for chain, key in pairs],
        client_ca=client_ca,
        crl=crl,
    )


def serve(*certificates: Certificate, name: str = "a.test", client_ca: bytes = b"") -> Handshake:
    """Return a handshake with a server of this domain, by a client that checks the chain."""
    server = make_server()
    add_domain(server, name, *certificates, client_ca=client_ca)
    server.set_default(name)
    return Handshake(server, client_context(ca=AUTHORITY.pem), "a.test")


@pytest.mark.parametrize("certificate", [ECDSA, RSA], ids=["p256", "rsa2048"])
def test_the_whole_chain_is_sent(certificate: Certificate) -> None:
    handshake = serve(certificate)

    assert handshake.accepted
    shown = handshake.client.getpeercert(binary_form=True)
    assert shown == certificate.x509.public_bytes(serialization.Encoding.DER)


def test_authorities_of_clients_are_not_added_to_the_chain() -> None:
    leaf = Certificate(ECDSA.x509, ECDSA.key)  # without what is between it and the root
    server = make_server()
    add_domain(server, "a.test", leaf, client_ca=BETWEEN.pem + AUTHORITY.pem)

    flight = MemoryConnection(server).shake_hands(client_hello(name_extension(b"a.test")))

    assert leaf.x509.public_bytes(serialization.Encoding.DER) in flight
    assert BETWEEN.x509.public_bytes(serialization.Encoding.DER) not in flight


@pytest.mark.parametrize("kind", ["RSA", "ECDSA"])
def test_the_certificate_is_of_a_kind_that_the_client_knows(kind: str) -> None:
    server = make_server()
    add_domain(server, "a.test", RSA, ECDSA)
    context = client_context("1.2", AUTHORITY.pem)
    context.set_ciphers(f"ECDHE-{kind}-AES128-GCM-SHA256")

    handshake = Handshake(server, context, "a.test")

    assert handshake.accepted
    wanted = {"RSA": RSA, "ECDSA": ECDSA}[kind]
    shown = handshake.client.getpeercert(binary_form=True)
    assert shown == wanted.x509.public_bytes(serialization.Encoding.DER)


OTHER = AUTHORITY.issue("a.test", number=1)
CUT = ECDSA.chain[: len(ECDSA.chain) // 4]


@pytest.mark.parametrize(
    ("chain", "key", "message"),
    [
        (b"", ECDSA.key_pem, "certificate of a.test: there is none in the PEM file"),
        (b"no PEM", ECDSA.key_pem, "certificate of a.test: there is none in the PEM file"),
        (ECDSA.key_pem, ECDSA.key_pem, "certificate of a.test: there is none in the PEM file"),
        (CUT, ECDSA.key_pem, "certificate of a.test: bad end line"),
        (ECDSA.chain, OTHER.key_pem, "the key is not that of the certificate"),
        (ECDSA.chain, RSA.key_pem, "the key is not of the certificate's kind"),
        (ECDSA.chain[:-100], ECDSA.key_pem, "certificate of a.test: bad end line"),
        (
            ECDSA.chain.replace(b"MII", b"M!!", 1),
            ECDSA.key_pem,
            "certificate of a.test: the PEM file is damaged",
        ),
    ],
)
def test_a_certificate_that_cannot_be_used_has_a_reason(
    chain: bytes, key: bytes, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_context((chain, key))


def test_weak_certificates_are_refused() -> None:
    weak = AUTHORITY.issue("a.test", kind="rsa1024")

    with pytest.raises(ValueError, match=r"of a\.test: its key is too small"):
        make_context((weak.chain, weak.key_pem))


def test_signatures_with_sha1_are_refused() -> None:
    weak = AUTHORITY.sign_with_sha1(issue_self_signed("a.test"))

    with pytest.raises(ValueError, match="signed with a hash that is not secure any more"):
        make_context((weak.chain, weak.key_pem))


@pytest.mark.parametrize(
    ("client_ca", "crl", "message"),
    [
        (b"x", b"", "client_verify of a.test: there is no certificate in the file"),
        (ECDSA.key_pem, b"", "client_verify of a.test: there is no certificate in the file"),
        (AUTHORITY.pem[:200], b"", "client_verify of a.test: bad end line"),
        (AUTHORITY.pem, b"x", "crl of a.test: there is no revocation list in the file"),
        (AUTHORITY.pem, AUTHORITY.pem, "crl of a.test: there is no revocation list in the file"),
        (AUTHORITY.pem, AUTHORITY.revoke()[:200], "crl of a.test: bad end line"),
    ],
)
def test_files_for_client_certificates_have_to_be_whole(
    client_ca: bytes, crl: bytes, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_context((ECDSA.chain, ECDSA.key_pem), client_ca=client_ca, crl=crl)


def test_an_error_is_not_taken_for_the_next_ones() -> None:
    with pytest.raises(ValueError, match="bad end line"):
        make_context((CUT, ECDSA.key_pem))

    make_context((ECDSA.chain, ECDSA.key_pem))
    with pytest.raises(ValueError, match="the key is not that"):
        make_context((ECDSA.chain, OTHER.key_pem))


def test_a_context_lives_as_long_as_its_connections() -> None:
    server = make_server()
    context = add_domain(server, "a.test", ECDSA)
    handshake = Handshake(server, client_context(), "a.test")
    add_domain(server, "a.test", OTHER)

    del context
    server.set_ticket_keys([])
    gc.collect()

    assert handshake.connection.server_name == "a.test"
    handshake.incoming.write(handshake.connection.write(b"more"))
    assert handshake.client.read() == b"more"


def test_a_handshake_goes_on_with_the_context_that_it_began_with(tmp_path: Path) -> None:
    clients = CertificateAuthority("clients")
    server = make_server()
    add_domain(server, "a.test", ECDSA, client_ca=clients.pem)
    context = client_context("1.2")
    context.load_cert_chain(*clients.issue_client("alice").write(tmp_path, "client"))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="a.test")
    connection = MemoryConnection(server)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    incoming.write(connection.shake_hands(outgoing.read()))

    add_domain(server, "a.test", OTHER)
    gc.collect()
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    incoming.write(connection.shake_hands(outgoing.read()))
    client.do_handshake()

    assert connection.established
    assert connection.common_name == b"alice"


# What a handshake has shown


@pytest.mark.parametrize(
    ("certificate", "domain", "name", "sends"),
    [
        (ECDSA, "a.test", "a.test", True),
        (ECDSA, "*", "b.test", True),
        (ECDSA, "*", None, False),
        (ECDSA, "*", "localhost", False),
        (ECDSA, "*", "app.localhost", False),
        (ECDSA, "*", "notlocalhost", True),
        (ECDSA, "*", "localhost.test", True),
        (issue_self_signed("a.test"), "a.test", "a.test", False),
    ],
)
def test_hsts_is_for_names_that_stay(
    certificate: Certificate, domain: str, name: str | None, *, sends: bool
) -> None:
    server = make_server()
    add_domain(server, domain, certificate)
    server.set_default(domain)

    connection = Handshake(server, client_context(), name).connection

    assert connection.established
    assert connection.sends_hsts == sends


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_version_and_suite_have_openssls_names(version: str) -> None:
    server = make_server()
    add_domain(server, "a.test", ECDSA)

    handshake = Handshake(server, client_context(version), "a.test")

    assert handshake.connection.version == handshake.client.version() == f"TLSv{version}"
    assert handshake.connection.cipher == (handshake.client.cipher() or ("",))[0]


def test_a_failed_handshake_has_the_clients_alert_as_reason() -> None:
    server = make_server()
    add_domain(server, "a.test", ECDSA)
    stranger = client_context(ca=CertificateAuthority("others").pem)
    handshake = Handshake(server, stranger, "a.test")
    assert "CERTIFICATE_VERIFY_FAILED" in handshake.error

    handshake.connection.shake_hands(handshake.outgoing.read())

    assert handshake.connection.failure == "tlsv1 alert unknown ca"


def test_what_is_no_tls_is_named() -> None:
    connection = MemoryConnection(make_server())

    connection.shake_hands(b"GET / HTTP/1.1\r\n\r\n")

    assert connection.failure == "http request"

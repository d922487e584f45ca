"""Certificates of clients on real connections: what handlers see, and the end of revoked ones."""

import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from kore._core.request import Request
from kore._core.testing_tls import LocalKey
from kore._core.tls_context import TlsContext, TlsServer
from tests.helpers.certificates import Certificate, CertificateAuthority
from tests.helpers.core_client import get
from tests.helpers.core_tls_client import TlsCoreClient, local_server
from tests.helpers.fix_core import Pair
from tests.helpers.remote_keys import NAME, certificate, client_context

Make = Callable[..., Pair]

CLIENTS = CertificateAuthority("clients")
ALICE, BOB = CLIENTS.issue_client("alice"), CLIENTS.issue_client("bob")


def ask_for_certificates(server: TlsServer, crl: bytes = b"") -> None:
    """Have the domain verify clients from now on."""
    found = certificate("p256")
    pairs = [(found.chain, LocalKey(found.key_pem))]
    context = TlsContext(server, NAME, pairs, client_ca=CLIENTS.pem, crl=crl)
    server.set_domain(NAME, context)


def context_of(client: Certificate | None, place: Path) -> ssl.SSLContext:
    """Return the context of a client with this certificate."""
    context = client_context("1.3")
    if client is not None:
        context.load_cert_chain(*client.write(place, "client"))
    return context


@pytest.fixture
def verifying(pair: Make, tmp_path: Path) -> Callable[..., tuple[Pair, TlsServer]]:
    """Make pairs of a server that verifies clients, whose first client is alice."""

    def make(run: Any, crl: bytes = b"") -> tuple[Pair, TlsServer]:
        server = local_server()
        ask_for_certificates(server, crl)
        return pair(run, tls=server, context=context_of(ALICE, tmp_path), tcp=True), server

    return make


def test_a_handler_sees_the_certificate(verifying: Callable[..., tuple[Pair, TlsServer]]) -> None:
    seen: list[object] = []

    def run(request: Request) -> None:
        seen.extend([request.connection.x509, request.connection.x509dict])
        request.response(200)

    house, _ = verifying(run)

    assert house.ask(get()) == [200]
    assert seen == [
        ALICE.x509.public_bytes(serialization.Encoding.DER),
        {"issuer": {"CN": "clients"}, "subject": {"CN": "alice"}},
    ]


@pytest.mark.parametrize("tls", [False, True])
def test_without_a_certificate_a_handler_sees_none(pair: Make, *, tls: bool) -> None:
    seen: list[object] = []

    def run(request: Request) -> None:
        seen.extend([request.connection.x509, request.connection.x509dict])
        request.response(200)

    options: dict[str, Any] = {"tls": local_server(), "context": client_context("1.3")}
    house = pair(run, tcp=True, **(options if tls else {}))

    assert house.ask(get()) == [200]
    assert seen == [None, None]


def test_after_the_end_of_the_connection_there_is_no_certificate(
    verifying: Callable[..., tuple[Pair, TlsServer]],
) -> None:
    house, _ = verifying(None)
    house.client.send(get())
    house.turn(lambda: house.held)

    house.client.close(reset=True)
    house.turn()

    assert house.connection().x509 is None
    assert house.connection().x509dict is None


def test_connections_of_revoked_certificates_end(
    verifying: Callable[..., tuple[Pair, TlsServer]], tmp_path: Path
) -> None:
    house, server = verifying(None, CLIENTS.revoke())
    alice = house.client
    house.client_context = context_of(BOB, tmp_path)
    bob = house.connect()
    alice.send(get())
    house.turn(lambda: len(house.held) == 1)  # her handler waits, his connection is idle
    bob.send(get())
    house.turn(lambda: len(house.held) == 2)
    house.held[1].response(200)
    house.turn()
    assert server.close_revoked(house.poller) == 0

    ask_for_certificates(server, CLIENTS.revoke(ALICE))
    assert server.close_revoked(house.poller) == 1
    house.turn()
    alice.read()

    assert alice.end
    assert not bob.end
    assert server.close_revoked(house.poller) == 0
    bob.send(get())
    house.turn(lambda: len(house.held) == 3)
    house.held[-1].response(200)
    house.turn()
    bob.read()
    assert bob.statuses == [200, 200]


def test_a_handshake_with_older_lists_ends(
    verifying: Callable[..., tuple[Pair, TlsServer]],
) -> None:
    house, server = verifying(None, CLIENTS.revoke())
    client = house.knock()
    assert isinstance(client, TlsCoreClient)
    client.step()  # its hello, and no certificate yet
    house.turn()

    ask_for_certificates(server, CLIENTS.revoke(BOB))
    assert server.close_revoked(house.poller) == 1
    house.turn()

    client.step()
    house.turn()
    client.step()
    assert client.error or client.end
    assert not house.client.end


def test_a_refused_certificate_is_logged_with_its_reason(
    verifying: Callable[..., tuple[Pair, TlsServer]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "kore")
    house, _ = verifying(None, CLIENTS.revoke(BOB))
    house.client_context = context_of(BOB, tmp_path)
    client = house.knock()
    assert isinstance(client, TlsCoreClient)

    while not client.established:
        client.step()
        house.turn()
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_REVOKED"):
        client.take()

    reason = "X509 verification error depth:0 - certificate revoked, certificate of 'bob'"
    assert house.logged() == [f"TLS handshake with 127.0.0.1: {reason}"]

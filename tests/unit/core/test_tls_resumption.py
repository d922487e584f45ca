"""Which handshakes may resume a session: domains, client certificates, contexts, workers, keys.

CVE-2025-23419 and its like: a session of one domain opens another, or evades its certificate.
"""

import itertools
import os
import ssl
from collections.abc import Callable

import pytest

from kore._core.tls_context import TlsServer
from tests.helpers.certificates import CertificateAuthority
from tests.helpers.tls_memory import Handshake, add_domain, client_context, make_server

Contexts = Callable[..., ssl.SSLContext]

AUTHORITY = CertificateAuthority()
CLIENT_AUTHORITIES = {
    "a.test": CertificateAuthority("clients of a"),
    "b.test": CertificateAuthority("clients of b"),
}
DOMAINS = ("open.test", "other.test", "a.test", "b.test")
CERTIFICATES = {name: AUTHORITY.issue(name) for name in DOMAINS}
KEYS = [os.urandom(80) for _ in range(4)]
VERSIONS = ("1.2", "1.3")


def add_domains(server: TlsServer) -> None:
    """Give two open domains and two that verify clients new contexts."""
    for name in DOMAINS:
        authority = CLIENT_AUTHORITIES.get(name)
        add_domain(server, name, CERTIFICATES[name], client_ca=authority.pem if authority else b"")
    server.set_default("open.test")


def serve_domains(*keys: bytes) -> TlsServer:
    server = make_server(ticket_keys=keys or KEYS[:1])
    add_domains(server)
    return server


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    """Contexts of clients: by version, and by the domain that their certificate is for."""
    place = tmp_path_factory.mktemp("clients")
    made = {}
    for version in VERSIONS:
        made[version, ""] = client_context(version)
        for name, authority in CLIENT_AUTHORITIES.items():
            made[version, name] = context = client_context(version)
            context.load_cert_chain(*authority.issue_client("client").write(place, name))
    return lambda version, of="": made[version, of]


@pytest.mark.parametrize("version", VERSIONS)
def test_only_a_certificate_for_the_domain_opens_it(contexts: Contexts, version: str) -> None:
    server = serve_domains()

    for of, name in itertools.product(["", *CLIENT_AUTHORITIES], DOMAINS):
        handshake = Handshake(server, contexts(version, of), name)

        assert handshake.accepted == (name not in CLIENT_AUTHORITIES or of == name), (of, name)
        assert (handshake.connection.certificate is not None) == (of == name), (of, name)


def replace_contexts(server: TlsServer) -> TlsServer:
    add_domains(server)
    return server


def remove_keys(server: TlsServer) -> TlsServer:
    server.set_ticket_keys([])
    return server


@pytest.mark.parametrize(
    ("follow", "has_keys"),
    [
        pytest.param(lambda server: server, True, id="same worker"),
        pytest.param(replace_contexts, True, id="new contexts"),
        pytest.param(lambda server: serve_domains(), True, id="other worker"),
        pytest.param(remove_keys, False, id="no keys"),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_resumed_on_its_own_domain_only(
    contexts: Contexts, version: str, follow: Callable[[TlsServer], TlsServer], *, has_keys: bool
) -> None:
    first = serve_domains()
    sessions = {}
    for name in DOMAINS:
        of = name if name in CLIENT_AUTHORITIES else ""
        sessions[name] = Handshake(first, contexts(version, of), name).client.session
    server = follow(first)

    for before, after in itertools.product(DOMAINS, DOMAINS):
        # The client still has the certificate: a full handshake would ask for it.
        of = before if before in CLIENT_AUTHORITIES else ""
        handshake = Handshake(server, contexts(version, of), after, sessions[before])

        cell = (before, after)
        assert handshake.accepted == (after not in CLIENT_AUTHORITIES or after == before), cell
        is_resumable = has_keys and after == before and after not in CLIENT_AUTHORITIES
        assert handshake.resumed == is_resumable, cell
        assert handshake.connection.reused == is_resumable, cell
        assert (handshake.connection.certificate is not None) == (after == of), cell


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_without_a_name_is_the_default_domains(contexts: Contexts, version: str) -> None:
    server = serve_domains()
    first = Handshake(server, contexts(version), None)

    assert Handshake(server, contexts(version), None, first.client.session).resumed
    server.set_default("other.test")
    second = Handshake(server, contexts(version), None, first.client.session)
    assert second.accepted
    assert not second.connection.reused
    server.set_default("a.test")
    assert not Handshake(server, contexts(version), None, first.client.session).accepted


@pytest.mark.parametrize("version", VERSIONS)
def test_a_domain_that_now_verifies_clients_resumes_nothing(
    contexts: Contexts, version: str
) -> None:
    server = serve_domains()
    first = Handshake(server, contexts(version), "open.test")
    authority = CLIENT_AUTHORITIES["a.test"]
    add_domain(server, "open.test", CERTIFICATES["open.test"], client_ca=authority.pem)

    second = Handshake(server, contexts(version), "open.test", first.client.session)

    assert not second.accepted
    assert not second.connection.reused


# Tickets


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", DOMAINS)
def test_domains_that_verify_clients_issue_no_tickets(
    contexts: Contexts, version: str, name: str
) -> None:
    is_verifying = name in CLIENT_AUTHORITIES

    handshake = Handshake(serve_domains(), contexts(version, name if is_verifying else ""), name)

    assert handshake.accepted
    assert (handshake.new_session is None) == is_verifying


@pytest.mark.parametrize("version", VERSIONS)
def test_without_keys_there_are_no_tickets(contexts: Contexts, version: str) -> None:
    server = make_server()
    add_domains(server)

    first = Handshake(server, contexts(version), "open.test")

    assert first.accepted
    assert first.new_session is None
    assert not Handshake(server, contexts(version), "open.test", first.client.session).resumed


@pytest.mark.parametrize("version", VERSIONS)
def test_tickets_are_accepted_until_their_key_is_gone(contexts: Contexts, version: str) -> None:
    server = serve_domains(KEYS[0])
    session = Handshake(server, contexts(version), "open.test").new_session

    for keys, is_resumable in (
        (KEYS[:1], True),
        ([KEYS[1], KEYS[0]], True),
        ([KEYS[2], KEYS[1], KEYS[0]], True),
        ([KEYS[3], KEYS[2], KEYS[1]], False),
    ):
        server.set_ticket_keys(keys)
        handshake = Handshake(server, contexts(version), "open.test", session)
        assert handshake.accepted
        assert handshake.resumed == is_resumable


@pytest.mark.parametrize("version", VERSIONS)
def test_a_ticket_of_an_older_key_is_renewed(contexts: Contexts, version: str) -> None:
    server = serve_domains(KEYS[0])
    session = Handshake(server, contexts(version), "open.test").new_session
    server.set_ticket_keys([KEYS[1], KEYS[0]])

    renewed = Handshake(server, contexts(version), "open.test", session).new_session

    server.set_ticket_keys([KEYS[1]])
    assert Handshake(server, contexts(version), "open.test", renewed).resumed
    assert not Handshake(server, contexts(version), "open.test", session).resumed


def test_ticket_keys_of_another_size_are_refused() -> None:
    server = serve_domains(KEYS[0])

    with pytest.raises(ValueError, match="a ticket key has 80 bytes, not 48"):
        server.set_ticket_keys([KEYS[0], bytes(48)])
    with pytest.raises(ValueError, match="5 ticket keys, 4 are the limit"):
        server.set_ticket_keys([*KEYS, bytes(80)])


def test_refused_keys_leave_the_others(contexts: Contexts) -> None:
    server = serve_domains(KEYS[0])
    session = Handshake(server, contexts("1.3"), "open.test").new_session
    with pytest.raises(ValueError, match="80 bytes"):
        server.set_ticket_keys([b""])

    assert Handshake(server, contexts("1.3"), "open.test", session).resumed


@pytest.mark.parametrize("version", VERSIONS)
def test_a_damaged_ticket_makes_a_full_handshake(contexts: Contexts, version: str) -> None:
    session = Handshake(serve_domains(KEYS[0]), contexts(version), "open.test").new_session
    stranger = KEYS[0][:16] + os.urandom(64)  # the same name, other keys

    handshake = Handshake(serve_domains(stranger), contexts(version), "open.test", session)

    assert handshake.accepted
    assert not handshake.resumed

"""Private keys that are in another process: handshakes with them, and how these fail."""

import ssl
from collections.abc import Callable, Iterator

import pytest

from kore._core.key_channel import KeyChannel
from kore._core.remote_key import RemoteKey
from kore._core.tls_context import TlsContext, TlsServer
from tests.helpers.certificates import CertificateAuthority, to_pem
from tests.helpers.memory_connection import CIPHERS, NAME
from tests.helpers.remote_keys import KeyPair, authority, certificate, client_context

Make = Callable[..., KeyPair]


@pytest.fixture
def pair() -> Iterator[Make]:
    made: list[KeyPair] = []

    def make(*kinds: str, timeout_ms: int = 60_000) -> KeyPair:
        made.append(KeyPair(*kinds, timeout_ms=timeout_ms))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("kind", ["p256", "p384", "rsa2048"])
def test_a_handshake_is_signed_by_the_key_process(pair: Make, kind: str, version: str) -> None:
    keys = pair(kind)
    connection = keys.connect(client_context(version))

    assert (connection.server.state, keys.channel.waiting_count) == ("signing", 1)
    assert not connection.is_client_done
    keys.sign(connection)
    assert connection.is_done
    assert connection.client.version() == f"TLSv{version}"
    assert (connection.server.resumable_count, keys.channel.waiting_count) == (1, 0)
    assert (keys.requests.signed_count, keys.requests.refusal) == (1, "")


@pytest.mark.parametrize(
    ("ciphers", "chosen"), [("ECDHE+ECDSA", "ECDHE-ECDSA-"), ("ECDHE+aRSA", "ECDHE-RSA-")]
)
def test_a_domain_has_a_key_of_each_kind(pair: Make, ciphers: str, chosen: str) -> None:
    keys = pair("p256", "rsa2048")
    context = client_context("1.2")
    context.set_ciphers(ciphers)
    connection = keys.connect(context)
    keys.sign(connection)

    assert connection.is_done
    assert (connection.client.cipher() or "")[0].startswith(chosen)


def test_handshakes_wait_side_by_side(pair: Make) -> None:
    keys = pair("p256", "rsa2048")
    connections = [keys.connect(client_context(version)) for version in ("1.2", "1.3") * 20]

    assert keys.channel.waiting_count == 40
    while keys.channel.waiting_count:
        keys.sign()
    for connection in reversed(connections):
        connection.resume()
    assert [connection.is_done for connection in connections] == [True] * 40


def test_a_key_that_is_refused_ends_the_handshake(pair: Make) -> None:
    keys = pair("p256")
    keys.requests.key_ids = frozenset()
    connection = keys.connect()

    with pytest.raises(ssl.SSLError, match="ALERT_INTERNAL_ERROR"):
        keys.sign(connection)
    assert connection.server.errors[0] == "the key process has refused to sign"


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_signature_of_another_key_is_refused_by_the_client(pair: Make, version: str) -> None:
    keys = pair("p256")
    keys.signer.set_key(1, certificate("p384").key)  # type: ignore[arg-type]
    keys.signer.set_key(1, CertificateAuthority("another").key)  # type: ignore[arg-type]
    connection = keys.connect(client_context(version))

    with pytest.raises(ssl.SSLError, match="BAD_SIGNATURE"):
        keys.sign(connection)
    assert keys.connect().server.state == "signing"


def test_a_job_that_is_resumed_too_early_gives_up(pair: Make) -> None:
    keys = pair("p256")
    connection = keys.connect()

    with pytest.raises(ssl.SSLError, match="ALERT_INTERNAL_ERROR"):
        connection.resume()
    assert connection.server.errors[0] == "the connection was closed"
    assert keys.channel.waiting_count == 0
    keys.sign(connection)
    assert keys.channel.ignored_count == 1
    assert connection.server.resumable_count == 0


def test_a_client_that_leaves_while_it_is_signed_leaves_nothing(pair: Make) -> None:
    keys = pair("p256")
    left, stays = keys.connect(), keys.connect()
    left.server.close()

    assert keys.channel.waiting_count == 1
    keys.sign(stays)
    assert stays.is_done
    assert keys.channel.ignored_count == 1


def test_the_connection_may_end_after_its_signature_has_come(pair: Make) -> None:
    keys = pair("p256")
    connection = keys.connect()
    keys.sign()
    connection.server.close()

    assert connection.server.resumable_count == 1
    assert keys.channel.waiting_count == 0


def test_a_key_outlives_its_channel(pair: Make) -> None:
    keys = pair("p256")
    keys.poller.close()
    del keys.channel
    connection = None

    with pytest.raises(ssl.SSLError, match="ALERT_INTERNAL_ERROR"):
        connection = keys.connect()
    assert connection is None


@pytest.mark.parametrize("pem", [b"", b"no certificate", authority().pem[:200]])
def test_a_key_needs_a_certificate(pair: Make, pem: bytes) -> None:
    with pytest.raises(ValueError, match="not a certificate in PEM"):
        RemoteKey(pair().channel, 1, pem)


def test_a_key_of_another_kind_is_an_error(pair: Make) -> None:
    pem = to_pem(authority().issue(NAME, kind="ed25519").x509)

    with pytest.raises(ValueError, match="neither RSA nor ECDSA"):
        RemoteKey(pair().channel, 1, pem)


def test_a_key_and_the_certificate_of_another_one_do_not_match(pair: Make) -> None:
    keys = pair("p256")
    server = TlsServer(min_version="1.2", max_version="1.3", ciphers=CIPHERS)
    other = authority().issue(NAME, kind="p256", number=1)

    with pytest.raises(ValueError, match="the key is not that of the certificate"):
        TlsContext(server, NAME, [(other.chain, keys.keys[0])])


def test_a_key_is_made_once(pair: Make) -> None:
    keys = pair("p256")

    with pytest.raises(RuntimeError):
        keys.keys[0].__init__(keys.channel, 1, certificate("p256").chain)  # type: ignore[misc]


def test_a_key_needs_a_channel() -> None:
    with pytest.raises(TypeError):
        RemoteKey(None, 1, certificate("p256").chain)  # type: ignore[arg-type]
    assert KeyChannel.__new__(KeyChannel).waiting_count == 0


def test_python_goes_on_to_use_openssl(pair: Make) -> None:
    pair("p256")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    assert {"TLS_AES_128_GCM_SHA256"} <= {cipher["name"] for cipher in context.get_ciphers()}

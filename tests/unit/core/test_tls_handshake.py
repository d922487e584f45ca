"""Handshakes: in any pieces, limited in time, paused for signatures, and logged when they fail."""

import logging
import select
import socket
import ssl
from collections.abc import Callable, Iterator

import pytest

from kore._core.key_channel import KeyChannel
from kore._core.remote_key import RemoteKey
from kore._core.signing_service import WorkerRequests
from kore._core.testing_tls import LocalKey
from kore._core.tls_context import TlsContext, TlsServer
from kore._process.keymgr.signer import Signer
from tests.helpers.certificates import CertificateAuthority
from tests.helpers.core_client import get
from tests.helpers.core_tls_client import TlsCoreClient, local_server, trusting_context
from tests.helpers.fix_core import Pair
from tests.helpers.remote_keys import CIPHERS, NAME, certificate

Make = Callable[..., Pair]
PLAINTEXT = b"This port speaks TLS: use https://\n"


@pytest.fixture(autouse=True)
def _log_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kore")


@pytest.fixture
def house(pair: Make) -> Pair:
    return pair(tls=local_server(), tcp=True)


def knock(house: Pair) -> TlsCoreClient:
    """Return a client that the core has accepted, and that has sent nothing."""
    client = house.knock()
    assert isinstance(client, TlsCoreClient)
    house.turn()
    return client


def hello(client: TlsCoreClient) -> bytes:
    """Return the client hello."""
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.do_handshake()
    return client.outgoing.read()


def speaks(house: Pair, client: TlsCoreClient) -> bool:
    house.shake_hands(client)
    return house.ask(get(), client) == [200]


@pytest.mark.parametrize("size", [1, 5, 100, 300])
def test_client_hello_in_pieces(house: Pair, size: int) -> None:
    client = knock(house)
    data = hello(client)

    for at in range(0, len(data), size):
        client.send_raw(data[at : at + size])
        house.turn()

    assert speaks(house, client)


def test_client_hello_in_two_records(house: Pair) -> None:
    client = knock(house)
    data = hello(client)
    body = data[5:]
    first, second = body[:100], body[100:]

    for part in (first, second):
        client.send_raw(data[:3] + len(part).to_bytes(2, "big") + part)
        house.turn()

    assert speaks(house, client)


def test_request_with_the_end_of_the_handshake(house: Pair) -> None:
    client = knock(house)
    client.send_raw(hello(client))
    house.turn()
    client.pull()
    client.tls.do_handshake()
    client.send_raw(client.outgoing.read() + client.seal(get()))
    house.turn()
    client.read()

    assert client.statuses == [200]


def test_change_cipher_spec_of_version_1_3_is_skipped(house: Pair) -> None:
    client = knock(house)
    data = hello(client)
    client.send_raw(data + b"\x14\x03\x03\x00\x01\x01")
    house.turn()

    assert speaks(house, client)


def test_silent_client_is_closed_after_five_seconds(house: Pair) -> None:
    client = knock(house)
    client.send_raw(hello(client)[:50])
    house.turn()

    house.sweep(4.9)
    assert house.service.connections == 2
    house.sweep(0.2)

    assert house.service.connections == 1
    assert house.logged() == ["TLS handshake with 127.0.0.1: not finished within 5 seconds"]


def test_limit_of_a_request_begins_with_the_end_of_the_handshake(pair: Make) -> None:
    house = pair(tls=local_server(), tcp=True, http_header_timeout=10)
    client = knock(house)
    house.sweep(4)
    house.shake_hands(client)
    house.sweep(9)

    assert house.service.connections == 1, "that of this client"
    house.sweep(2)
    assert house.service.connections == 0


def test_causes_are_logged_once_a_minute(house: Pair) -> None:
    for _ in range(3):
        client = knock(house)
        client.send_raw(b"\x16\x03\x01\x00\x05xxxxx")
        house.turn()
    found = house.logged()

    assert len(found) == 1
    assert found[0].startswith("TLS handshake with 127.0.0.1: ")

    house.sweep(61)
    knock(house).send_raw(b"\x16\x03\x01\x00\x05xxxxx")
    house.turn()
    assert house.logged() == found


def test_client_without_trust_is_logged_with_its_alert(house: Pair) -> None:
    context = trusting_context()
    house.client_context = ssl.create_default_context(
        cadata=CertificateAuthority("another").pem.decode()
    )
    client = knock(house)
    while not client.error:
        client.step()
        house.turn()
    house.client_context = context

    assert "alert unknown ca" in house.logged()[0]


def test_failed_handshake_ends_with_an_alert_and_without_a_reset(house: Pair) -> None:
    client = knock(house)
    client.send_raw(b"\x16\x03\x01\x00\x05xxxxx" + b"x" * 10_000)
    house.turn()
    alert = b""
    while data := client.socket.recv(100):
        alert += data

    assert alert[:1] == b"\x15"
    assert house.logged()


def test_check_of_the_port_is_not_logged(house: Pair) -> None:
    knock(house).socket.close()
    house.turn()

    assert house.service.connections == 1


@pytest.mark.parametrize("first", [get(), b"POST / HTTP/1.1\r\n", b"G"])
def test_plain_http_is_told_to_use_tls(house: Pair, first: bytes) -> None:
    client = knock(house)
    client.send_raw(first)
    house.turn()
    with socket.socket(fileno=client.socket.detach()) as sock:
        head, _, body = sock.recv(1000).partition(b"\r\n\r\n")
        ended = sock.recv(1000)
    house.turn()

    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in head
    assert (body, ended) == (PLAINTEXT, b"")


def test_half_open_handshakes_make_room(pair: Make) -> None:
    house = pair(tls=local_server(), tcp=True, worker_max_connections=3)
    waiting = [knock(house), knock(house)]
    house.poller.advance_clock(1500)

    assert speaks(house, knock(house))
    assert house.service.connections == 3
    assert [client.take() for client in waiting] == [b"", b""]
    assert "closing idle connections" in house.logged()[0]


def test_handshake_under_way_is_finished_when_the_worker_stops(house: Pair) -> None:
    client = knock(house)
    client.send_raw(hello(client))
    house.turn()
    house.drain()

    assert speaks(house, client)
    house.sweep(1)
    client.take()
    assert client.end == "closed"


def test_silent_client_does_not_delay_the_stop(house: Pair) -> None:
    knock(house)
    house.drain()
    house.sweep(1.5)

    assert house.service.connections == 0
    assert house.logged()


class Remote:
    """A house whose key is elsewhere: the test signs when it likes."""

    def __init__(self, pair: Make) -> None:
        ours, self.other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        found = certificate("p256")
        signer = Signer()
        signer.set_key(7, found.key)
        self.requests = WorkerRequests(self.other, signer, {7})
        server = TlsServer(min_version="1.2", max_version="1.3", ciphers=CIPHERS)
        local = TlsContext(server, NAME, [(found.chain, LocalKey(found.key_pem))])
        server.set_domain(NAME, local)      # for the client that each house has
        self.house = pair(tls=server, tcp=True)
        self.channel = KeyChannel(self.house.poller, ours.detach())
        key = RemoteKey(self.channel, 7, found.chain)
        server.set_domain(NAME, TlsContext(server, NAME, [(found.chain, key)]))
        self.house.listeners = 2
        self.house.turn()

    def sign(self) -> None:
        """Sign what has been asked for."""
        while select.select([self.other], [], [], 0)[0]:
            self.requests.serve()
        self.house.turn()

    def close(self) -> None:
        """Close both ends."""
        self.other.close()


@pytest.fixture
def remote(pair: Make) -> Iterator[Remote]:
    made = Remote(pair)
    yield made
    made.close()


def begin(remote: Remote) -> TlsCoreClient:
    """Return a client whose handshake waits for a signature."""
    client = knock(remote.house)
    client.send_raw(hello(client))
    remote.house.turn()
    return client


def test_handshake_waits_for_its_signature(remote: Remote) -> None:
    client = begin(remote)
    other = begin(remote)
    client.step()
    assert not client.established

    remote.sign()
    remote.sign()

    assert speaks(remote.house, client)
    assert speaks(remote.house, other)


def test_input_waits_for_the_signature_too(remote: Remote) -> None:
    client = begin(remote)
    client.send_raw(b"\x14\x03\x03\x00\x01\x01")
    remote.house.turn()
    assert not remote.house.ready(), "nothing happens until the signature is there"
    remote.sign()

    assert speaks(remote.house, client)


@pytest.mark.parametrize("reset", [False, True])
def test_client_that_leaves_before_its_signature(remote: Remote, *, reset: bool) -> None:
    client = begin(remote)
    client.close(reset=reset)
    remote.house.turn()
    remote.sign()
    assert remote.house.service.connections == 1, "another one"
    remote.house.logged()
    client = begin(remote)
    remote.sign()

    assert speaks(remote.house, client)


def test_handshake_without_a_signature_fails(remote: Remote) -> None:
    client = begin(remote)
    remote.house.turn(lambda: client.step() or client.error)

    assert "250 ms" in remote.house.logged()[0]
    client.socket.close()
    remote.house.turn()
    assert remote.house.service.connections == 1, "another one"

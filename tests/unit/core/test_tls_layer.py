"""The seam between a stream and TLS, without OpenSSL."""

from collections.abc import Callable

from kore._core.first_protocol import FirstProtocol
from kore._core.listener import Listener
from kore._core.tls_layer import TlsFactory, TlsLayer
from tests.helpers.core_client import get
from tests.helpers.fix_core import Pair, listening

Make = Callable[..., Pair]


def test_a_layer_knows_no_name_before_its_handshake() -> None:
    layer = TlsLayer()

    assert (layer.server_name, layer.domain, layer.named) == ("", "", False)


def test_a_client_that_cannot_be_given_tls_is_closed(pair: Make) -> None:
    house = pair()
    with house.socket, listening(tcp=False) as house.socket:
        Listener(
            house.poller, house.service, house.socket, FirstProtocol(house.find), tls=TlsFactory()
        )
        house.listeners = 2
        client = house.knock()
        house.turn()
    client.take()

    assert client.end == "closed"
    assert house.logged() == ["cannot serve another client"]
    assert house.ask(get()) == [200]

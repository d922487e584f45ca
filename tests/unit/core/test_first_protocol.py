"""The first protocol of a connection: HTTP/1, or what a listener has been given."""

from collections.abc import Callable
from typing import Any

import pytest

from kore._core.first_protocol import FirstProtocol
from kore._core.listener import Listener
from kore._core.protocol import Protocol
from tests.helpers.core_client import get
from tests.helpers.fix_core import Pair, listening

Make = Callable[..., Pair]


def test_a_listener_has_nothing_else_than_a_protocol(pair: Make) -> None:
    house = pair()
    wrong: Any = house.find

    with pytest.raises(TypeError, match="FirstProtocol"):
        Listener(house.poller, house.service, house.socket, wrong)


def test_the_other_protocol_is_made_for_each_connection(pair: Make) -> None:
    house = pair()
    made: list[tuple[Any, Any]] = []

    def make_other(resolve: Any, access_log: Any) -> Protocol:
        made.append((resolve, access_log))
        return Protocol()

    with house.socket, listening(tcp=False) as house.socket:
        first = FirstProtocol(house.find, None, make_other)
        Listener(house.poller, house.service, house.socket, first)
        house.listeners = 2
        house.connect().send(get())
        house.connect()

    assert made == [(house.find, None)] * 2


def test_http_1_is_what_is_spoken_otherwise(pair: Make) -> None:
    assert pair().ask(get()) == [200]

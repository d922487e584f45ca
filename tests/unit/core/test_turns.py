"""Connections take turns: what one has sent at once cannot hold the others up."""

from collections.abc import Callable

import pytest

from kore._core.connection import Connection
from kore._core.request import Request
from tests.helpers.core_client import Client, get
from tests.helpers.fix_core import Pair, shake
from tests.unit.core.test_finalizers import Hub, message
from tests.unit.core.test_websocket_bytes import terms

Make = Callable[..., Pair]
MANY = 100
TURN = 10  # milliseconds
LONG = 4  # a handler's


def slow(pair: Make, **options: object) -> Pair:
    """Return a pair whose handler takes its time on one path; no time passes really."""

    def run(request: Request) -> None:
        if request.path == "/slow":
            house.poller.advance_clock(LONG)
        request.response(200, request.path.encode())

    house = pair(run, http_request_ms=TURN, **options)
    return house


def answered(client: Client) -> list[bytes]:
    client.read()
    return [answer.body for answer in client.reader.final]


def test_another_client_waits_for_one_turn_only(pair: Make) -> None:
    house = slow(pair)
    other = house.connect()
    house.client.send(get("/slow") * MANY)
    other.send(get("/quick"))
    house.turn()

    assert house.seen.index("/quick") <= TURN // LONG + 1
    assert answered(other) == [b"/quick"]
    assert answered(house.client) == [b"/slow"] * MANY


def test_two_of_them_alternate(pair: Make) -> None:
    house = slow(pair)
    other = house.connect()
    house.client.send(get("/slow") * MANY)
    other.send(get("/slow") * MANY)
    house.step()
    first = len(house.seen)
    while len(house.seen) < MANY:
        house.step()
    parts = [len(answered(client)) for client in (house.client, other)]
    house.turn()

    assert first <= 4 * (TURN // LONG + 1)  # a dispatch, and what it deferred
    assert abs(parts[0] - parts[1]) <= TURN // LONG + 1


def test_quick_requests_need_no_second_turn(pair: Make) -> None:
    house = slow(pair)
    house.client.send(get("/quick") * MANY)
    house.step()

    assert len(house.seen) == MANY


def test_a_half_closed_client_has_all_its_answers(pair: Make) -> None:
    house = slow(pair)
    house.client.send(get("/slow") * MANY)
    house.client.finish()
    house.turn()

    assert answered(house.client) == [b"/slow"] * MANY
    assert house.client.end == "closed"


def test_what_waits_for_its_turn_is_not_read_on(pair: Make) -> None:
    """Or the memory of one client would grow as long as it sends."""
    house = slow(pair)
    house.client.send(get("/slow") * MANY)
    house.step()
    house.client.send(get("/slow") * MANY)
    before = house.client.queues()
    house.poller.dispatch()

    assert house.client.queues() == before
    house.turn()
    assert answered(house.client) == [b"/slow"] * MANY * 2


def test_a_client_that_leaves_before_its_turn_is_forgotten(pair: Make) -> None:
    house = slow(pair)
    house.client.send(get("/slow") * MANY)
    house.step()
    house.client.close(reset=True)
    house.turn(lambda: not house.service.connections)

    assert house.service.requests == 0


@pytest.mark.parametrize("patient", [False, True])
def test_a_drain_in_the_middle_ends_with_a_whole_answer(pair: Make, *, patient: bool) -> None:
    house = slow(pair)
    house.client.send(get("/slow") * MANY)
    house.step()
    house.drain(patient=patient)
    bodies = answered(house.client)

    assert set(bodies) == {b"/slow"}
    assert house.client.end == "closed"


def test_messages_take_turns_as_well(pair: Make) -> None:
    def run(request: Request) -> None:
        if request.path == "/quick":
            request.response(200)
        else:
            request.upgrade(terms(), (None, hear, None), None)

    def hear(connection: Connection, op: int, data: bytes) -> None:
        house.poller.advance_clock(LONG)
        heard.append(len(house.seen))

    heard: list[int] = []
    house = pair(run, hub=Hub(), http_request_ms=TURN)
    shake(house, house.client)
    other = house.connect()
    house.client.send(message(b"hello") * MANY)
    other.send(get("/quick"))
    house.turn()

    assert len(heard) == MANY
    assert heard.count(1) <= TURN // LONG + 1  # before the other was heard

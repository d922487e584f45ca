"""Room for clients that wait: a full worker closes idle connections; a limit for each address."""

import socket
from collections.abc import Callable

import pytest

from kore._core.request import Request
from tests.helpers.core_client import Client, get
from tests.helpers.fix_core import Pair
from tests.unit.core.test_finalizers import Hub
from tests.unit.core.test_websocket_bytes import terms

Make = Callable[..., Pair]
FULL = 4


def full(pair: Make, run: Callable[[Request], object] | None = None) -> Pair:
    """Return a pair with as many clients as it may have, idle one after another."""
    house = pair(run or answer, hub=Hub(), worker_max_connections=FULL)
    for number in range(FULL):
        client = house.client if not number else house.connect()
        assert house.ask(get("/idle"), client) == [200]
        house.poller.advance_clock(100)
    return house


def answer(request: Request) -> None:
    request.response(200, b"ok")


def ended(house: Pair) -> list[bool]:
    """Return whose connection is closed."""
    for client in house.clients:
        client.read()
    return [client.end == "closed" for client in house.clients]


def newcomer(house: Pair) -> Client:
    client = house.knock()
    client.send(get("/new"))
    house.turn()
    return client


def test_the_connection_that_is_idle_longest_makes_room(pair: Make) -> None:
    house = full(pair)
    house.ask(get("/again"))  # the first is the one that was busy last
    newcomer(house)
    once = ended(house)
    newcomer(house)

    assert once == [False, True, False, False, False]
    assert ended(house) == [False, True, True, False, False, False]
    assert [client.statuses[-1] for client in house.clients] == [200] * 6
    assert house.service.connections == FULL
    assert len(house.logged()) == 1


def test_many_find_room_one_after_another(pair: Make) -> None:
    house = full(pair)
    newcomers = [house.knock() for _ in range(FULL * 3)]
    for client in newcomers:
        client.send(get("/new"))
    house.turn()
    for client in newcomers:
        client.read()

    assert [client.statuses for client in newcomers] == [[200]] * FULL * 3
    house.logged()


def test_a_request_that_has_come_meanwhile_is_answered(pair: Make) -> None:
    house = full(pair)
    client = house.knock()
    client.send(get("/new"))
    house.client.send(get("/late"))  # it would be the first to go
    house.turn()

    assert ended(house)[0] is False
    assert house.client.statuses == [200, 200]
    house.logged()


def test_who_is_busy_keeps_its_connection(pair: Make) -> None:
    def run(request: Request) -> object:
        if request.path == "/held":
            return house.hold(request)
        if request.path == "/socket":
            return request.upgrade(terms(), (None, None, None), None)
        return request.response(200)

    house = pair(run, hub=Hub(), worker_max_connections=3)
    shaken = get("/socket")
    house.client.send(shaken)
    house.turn()
    assert house.client.take().startswith(b"HTTP/1.1 101")
    for client in (house.connect(), house.connect()):
        client.send(get("/held"))
    house.sweep(5)
    client = newcomer(house)
    waits = client.read()
    house.held[0].response(200)
    house.sweep(1)
    client.read()

    assert (waits, client.statuses) == (b"", [200])
    assert house.client.end == ""
    house.logged()


@pytest.mark.parametrize("begun", [b"", b"GET / HT"])
def test_who_says_nothing_has_a_second(pair: Make, begun: bytes) -> None:
    house = pair(worker_max_connections=1)
    house.client.send(begun)
    house.turn()
    client = newcomer(house)
    early = client.read()
    house.sweep(1)
    house.sweep(1)
    client.read()

    assert (early, client.statuses) == (b"", [200])
    house.logged()


def test_an_address_has_so_many_connections(pair: Make) -> None:
    house = pair(tcp=True, worker_max_connections_per_address=2)
    others = [house.connect() for _ in range(3)]
    house.turn()
    refused = [client.read() == b"" and bool(client.end) for client in others]
    others[0].close()
    house.turn(lambda: house.service.connections == 1)
    again = house.connect()

    assert refused == [False, True, True]
    assert house.ask(get(), again) == [200] or again.statuses == [200]
    assert len(house.logged()) == 1


def test_a_unix_socket_has_no_addresses(pair: Make) -> None:
    house = pair(worker_max_connections_per_address=1)
    others = [house.connect() for _ in range(3)]

    assert [house.ask(get(), client) for client in others] == [[200]] * 3


def test_a_drain_closes_the_listener_before_anything_else(pair: Make) -> None:
    """Or clients that the kernel lets in after the last accept would be lost."""

    def run(request: Request) -> None:
        with socket.socket(socket.AF_UNIX) as late, pytest.raises(ConnectionRefusedError):
            late.connect(address)
        request.response(200)

    house = pair(run)
    address = house.socket.getsockname()
    others = [house.connect() for _ in range(3)]
    house.socket.close()  # the listener has a descriptor of its own
    for client in others:
        client.send(get())
    house.drain()
    for client in others:
        client.read()

    assert [client.statuses for client in others] == [[200]] * 3


def test_who_came_last_may_send_its_request_after_the_drain_began(pair: Make) -> None:
    house = pair()
    last = house.knock()
    house.drain()
    last.send(get())
    house.turn()
    last.read()

    assert (last.statuses, last.end) == ([200], "closed")
    house.sweep(1)

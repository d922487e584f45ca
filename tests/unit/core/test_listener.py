"""Clients let in: as many as there may be, a few at a time, as long as the system lets us."""

import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from kore._core.first_protocol import FirstProtocol
from kore._core.listener import Listener
from tests.helpers.core_client import get
from tests.helpers.fix_core import Pair

Make = Callable[..., Pair]


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Let the kernel refuse every new descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("tcp", [False, True])
def test_clients_are_let_in_and_served(pair: Make, *, tcp: bool) -> None:
    house = pair(tcp=tcp)

    assert [house.ask(get(), house.connect()) for _ in range(20)] == [[200]] * 20
    assert house.service.connections == 21


def test_a_listener_keeps_a_descriptor_of_its_own(pair: Make) -> None:
    house = pair()
    address = house.socket.getsockname()
    house.socket.close()
    client = socket.socket(socket.AF_UNIX)
    with client:
        client.connect(address)
        house.turn()
        assert house.service.connections == 2
    house.turn()


def test_a_client_inherits_neither_blocking_nor_the_way_into_other_programs(pair: Make) -> None:
    house = pair(None)
    house.ask(get())
    handle = house.connection().fd

    assert not os.get_blocking(handle)
    assert not os.get_inheritable(handle)


def test_a_full_worker_lets_nobody_in_until_somebody_leaves(pair: Make) -> None:
    house = pair(None, worker_max_connections=3)
    for _ in range(4):
        house.knock().send(get())
    house.turn()
    first = (house.service.connections, len(house.held))
    house.client.close()
    house.turn()

    assert first == (3, 2)
    assert (house.service.connections, len(house.held)) == (3, 3)
    assert not house.ready(), "those at the door are not looked at again and again"


def test_a_full_worker_stays_full_in_one_batch_of_comings_and_goings(pair: Make) -> None:
    house = pair(worker_max_connections=2)
    for _ in range(10):
        house.clients[-1].close()
        for _ in range(3):
            house.knock()
        house.turn()
        assert house.service.connections <= 2


def test_a_listener_of_a_full_worker_waits(pair: Make) -> None:
    house = pair(worker_max_connections=1)
    Listener(house.poller, house.service, house.socket, FirstProtocol(house.find))
    client = house.knock()
    house.turn()
    before = house.service.connections
    house.client.close()
    house.turn()

    assert (before, house.ask(get(), client)) == (1, [200])
    house.poller.close()


def test_some_clients_are_let_in_at_a_time(pair: Make) -> None:
    """Between them those who are in have their turn."""
    house = pair(worker_accept_threshold=3)
    for _ in range(10):
        house.knock()
    counts = []
    while house.ready():
        house.step()
        counts.append(house.service.connections)

    assert counts == [4, 7, 10, 11]


def test_a_client_that_left_at_the_door_is_no_trouble(pair: Make) -> None:
    house = pair(tcp=True)
    for reset in (True, False):
        house.knock().close(reset=reset)
    house.turn(lambda: house.service.connections == 1)

    assert house.ask(get()) == [200]


def test_without_descriptors_the_listener_rests_and_tries_again(pair: Make) -> None:
    house = pair()
    waiting = house.knock()
    with no_descriptors_left():
        house.poller.dispatch()
        rests = house.service.connections
    logged = house.logged()
    busy = house.ready(20)
    house.sweep(0.6)

    assert (rests, busy, house.service.connections) == (1, False, 2)
    assert logged == ["cannot accept clients: Too many open files; trying again soon"]
    assert house.ask(get(), waiting) == [200]


def test_a_socket_that_is_shut_down_is_given_up(pair: Make) -> None:
    house = pair()
    house.socket.shutdown(socket.SHUT_RDWR)
    house.turn()

    assert [text.partition(": ")[2] for text in house.logged()] == ["the listening socket is gone"]
    assert len(house.poller) == 1
    assert house.ask(get()) == [200]
    house.poller.close()


def test_a_listener_that_is_closed_does_not_come_back(pair: Make) -> None:
    house = pair(worker_max_connections=1)
    house.drain(patient=True)
    house.client.close()
    house.turn()
    house.listener.resume()
    house.knock()

    assert not house.ready(20)
    assert len(house.poller) == 0


def test_a_listener_that_was_never_opened_is_harmless() -> None:
    Listener.__new__(Listener).resume()


def test_several_listeners_share_a_service(pair: Make) -> None:
    house = pair()
    other = socket.socket(socket.AF_UNIX)
    with other:
        other.bind("")
        other.listen()
        other.setblocking(False)
        Listener(house.poller, house.service, other, FirstProtocol(house.find))
        client = socket.socket(socket.AF_UNIX)
        with client:
            client.connect(other.getsockname())
            house.turn()
            assert house.service.connections == 2
        house.turn()
    house.poller.close()

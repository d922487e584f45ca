"""Descriptors that are closed behind the poller's back, while the open file lives on."""

import os
from collections.abc import Callable

import pytest

from kore._core.request import Request
from tests.helpers.core_client import get
from tests.helpers.fix_core import Pair, descriptors

Make = Callable[..., Pair]


def steal(house: Pair) -> int:
    """Duplicate the descriptor of the latest connection that is held and close it."""
    handle = house.connection().fd
    copy = os.dup(handle)
    os.close(handle)
    return copy


def stolen(pair: Make) -> tuple[Pair, int]:
    """Return a pair whose first client has an answer, and no descriptor any more."""
    house = pair(None)
    house.ask(get())
    house.held[0].response(200)
    house.client.read()
    return house, steal(house)


def test_events_of_a_stolen_file_reach_nobody(pair: Make) -> None:
    house, copy = stolen(pair)
    others = [house.connect() for _ in range(3)]  # the first of them has the number now
    before = len(house.seen)
    house.client.send(get("/stolen"))
    house.turn()
    ours = [house.ask(get("/other"), client) for client in others]
    for request in house.held[1:]:
        request.response(200)
    house.turn()
    os.close(copy)

    assert house.seen[before:] == ["/other"] * 3
    assert ours == [[]] * 3
    assert [client.read()[:12] for client in others] == [b"HTTP/1.1 200"] * 3


def test_a_stolen_file_does_not_keep_the_poller_busy(pair: Make) -> None:
    house, copy = stolen(pair)
    other = house.connect()
    house.client.send(get("/stolen"))
    house.turn()  # fails for a busy loop
    reader = house.poller.fileno()

    assert not house.ready()
    assert house.loop.reader == reader
    os.close(copy)
    house.ask(get("/other"), other)
    assert house.seen[-1] == "/other"


def test_a_stolen_file_that_is_in_use_again_elsewhere_is_not_closed(pair: Make) -> None:
    house, copy = stolen(pair)
    number = house.held[0].connection.fd
    mine, other = os.pipe()
    assert number in (mine, other)
    house.held[0].connection.disconnect()
    house.turn()

    os.write(other, b"x")
    assert os.read(mine, 1) == b"x"
    for handle in (mine, other, copy):
        os.close(handle)


def test_many_stolen_files_leave_a_poller_that_works(pair: Make) -> None:
    def run(request: Request) -> None:
        if request.path == "/steal":
            copies.append(os.dup(request.connection.fd))
            os.close(request.connection.fd)
        request.response(200)

    copies: list[int] = []
    house = pair(run)
    for _ in range(20):
        house.ask(get("/steal"), house.connect())
        for client in house.clients[1:]:
            client.send(get("/late"))
        house.turn()
        assert house.ask(get("/fine")) == [200]
    for copy in copies:
        os.close(copy)


@pytest.mark.parametrize("registered", [True, False])
def test_a_number_that_was_given_away_has_no_events_of_the_past(
    pair: Make, registered: bool
) -> None:
    """In one batch: a client leaves, and its number goes to another."""

    def run(request: Request) -> None:
        if request.path == "/leave":
            request.connection.disconnect()
        request.response(200)

    house = pair(run)
    before = descriptors()
    for _ in range(3):
        client = house.connect()
        client.send(get("/leave") + (get("/more") if registered else b""))
        house.turn()
        client.read()
        assert client.end == "closed"

    assert descriptors() - before == 3  # the clients' own
    assert "/more" not in house.seen

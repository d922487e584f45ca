"""One epoll instance: batches, closing in two steps, deadlines, and nothing that goes past it."""

import gc
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kore._core.poller import Poller, PollSource
from kore._core.request import Request
from tests.helpers.core_client import get
from tests.helpers.fix_core import Pair, descriptors

Make = Callable[..., Pair]
ROOT = Path(__file__).parents[3]


def test_a_poller_without_sources_has_nothing_to_do() -> None:
    poller = Poller()
    poller.dispatch()
    poller.sweep()
    poller.drain()

    assert len(poller) == 0
    assert not os.get_inheritable(poller.fileno())


def test_a_closed_poller_is_harmless() -> None:
    poller = Poller()
    for _ in range(2):
        poller.close()
        poller.dispatch()
        poller.sweep()
        poller.drain()

    assert poller.fileno() == -1


def test_a_source_of_nobody_is_harmless() -> None:
    before = descriptors()
    sources = [PollSource() for _ in range(3)]
    del sources

    assert descriptors() == before


def test_closing_the_poller_closes_every_client(pair: Make) -> None:
    house = pair(None)
    house.ask(get())
    house.poller.close()
    house.client.read()

    assert house.client.end == "closed"
    assert (len(house.poller), house.service.connections, house.tasks[0].cancelled) == (0, 0, 1)


def test_a_handler_may_close_the_poller(pair: Make) -> None:
    def run(request: Request) -> None:
        house.poller.close()

    house = pair(run)
    others = [house.connect() for _ in range(3)]
    for client in [house.client, *others]:
        client.send(get())
    house.step()

    assert (len(house.poller), house.seen, house.failed()) == (0, ["/"], [])


# ---- closing in two steps


def ready(house: Pair, *paths: str) -> list[Request]:
    """Give each of some clients a request, all of them in the next batch."""
    for path in paths:
        house.connect().send(get(path))
    return house.held


def test_a_handler_closes_a_client_whose_event_waits_in_the_same_batch(pair: Make) -> None:
    def run(request: Request) -> None:
        for client in clients:
            if client is not request.connection:
                client.disconnect()
        request.response(200)

    house = pair(None)
    ready(house, "/1", "/2", "/3")
    house.turn()
    clients = [request.connection for request in house.held]
    for request in house.held:
        request.response(200)
    house.route.run = run
    for client in house.clients[1:]:
        client.send(get("/again"))
    house.step()

    assert house.seen == ["/1", "/2", "/3", "/again"]
    assert sorted(client.fd == -1 for client in clients) == [False, True, True]
    assert house.service.connections == 2


def test_a_descriptor_is_not_given_to_another_client_in_the_batch_of_its_end(pair: Make) -> None:
    numbers: list[int] = []

    def run(request: Request) -> None:
        numbers.append(request.connection.fd)
        if request.path == "/leave":
            request.connection.disconnect()
        else:
            request.response(200)

    house = pair(run)
    house.client.send(get("/leave"))
    newcomer = house.knock()
    house.step()
    house.turn()
    house.ask(get("/new"), newcomer)

    assert len(set(numbers)) == 2


def test_outside_of_a_batch_a_descriptor_is_closed_by_the_next_turn_of_the_loop(
    pair: Make,
) -> None:
    house = pair(None)
    house.ask(get())
    before = descriptors()
    house.connection().disconnect()
    planned = len(house.deferred)
    house.turn()

    assert planned == 1
    assert descriptors() == before - 1
    assert len(house.poller) == 1


def test_closing_twice_closes_once(pair: Make) -> None:
    house = pair(None)
    house.ask(get())
    connection = house.connection()

    assert connection.disconnect() is True
    assert connection.disconnect() is False
    house.turn()
    assert (connection.fd, house.service.connections) == (-1, 0)


def test_a_forked_process_that_holds_the_socket_brings_no_events_back(pair: Make) -> None:
    house = pair(None)
    house.ask(get())
    wait, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go)
        os.read(wait, 1)
        os._exit(0)
    try:
        house.connection().disconnect()
        house.client.send(b"to nobody")

        assert not house.ready()
    finally:
        os.close(wait)
        os.close(go)
        os.waitpid(child, 0)


def test_a_forked_process_that_returns_from_its_handler_serves_nobody(pair: Make) -> None:
    """It is in the middle of a batch whose sources it has let go of."""

    def run(request: Request) -> None:
        if request.path == "/fork":
            children.append(os.fork())
            if children == [0]:
                house.poller.abandon()
        request.response(200)

    children: list[int] = []
    house = pair(run)
    others = [house.connect(), house.connect()]
    for client, path in zip([house.client, *others], ["/fork", "/2", "/3"], strict=True):
        client.send(get(path))
    house.step()
    if children == [0]:
        os._exit(len(house.seen) - 1 + len(house.poller))
    _, status = os.waitpid(children[0], 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert [client.read()[:15] for client in house.clients] == [b"HTTP/1.1 200 OK"] * 3


def test_a_poller_that_is_dropped_closes_what_it_watched() -> None:
    def drop() -> None:
        house = Pair(None)
        house.client.send(get())
        house.turn()
        house.client.send(b"GET /")  # a block is borrowed
        house.turn()
        for client in house.clients:
            client.close()
        house.socket.close()
        logging.getLogger("kore").removeHandler(house.log)

    gc.collect()
    before = descriptors()
    for _ in range(5):
        drop()
    gc.collect()

    assert descriptors() == before


# ---- batches


def test_many_clients_are_served_in_as_few_batches_as_there_can_be(pair: Make) -> None:
    house = pair(worker_accept_threshold=1000)
    clients = [house.connect() for _ in range(300)]
    for client in clients:
        client.send(get())
    house.step()
    first = len(house.seen)
    house.step()

    assert (first, len(house.seen)) == (256, 300)
    assert not house.ready()


@pytest.mark.parametrize("verb", ["dispatch", "sweep", "drain"])
def test_what_a_handler_asks_of_the_poller_waits(pair: Make, verb: str) -> None:
    def run(request: Request) -> None:
        getattr(house.poller, verb)()
        counts.append(len(house.seen))
        request.response(200)

    counts: list[int] = []
    house = pair(run)
    others = [house.connect() for _ in range(3)]
    for client in others:
        client.send(get())
    house.step()

    assert counts == [1, 2, 3]
    assert house.service.connections == 4


# ---- deadlines


def test_a_sweep_ends_who_is_late_and_nobody_else(pair: Make) -> None:
    house = pair(None, http_header_timeout=50)
    working = house.connect()
    house.ask(get(), working)
    house.sweep(60)
    fresh = house.connect()
    house.poller.sweep()
    house.turn()
    for client in house.clients:
        client.read()

    assert [client.end for client in (house.client, working, fresh)] == ["closed", "", ""]


def test_a_sweep_before_the_time_does_nothing(pair: Make) -> None:
    house = pair(http_header_timeout=100)
    for _ in range(3):
        house.sweep(20)

    assert house.ask(get()) == [200]


# ---- nothing goes past


class Unclosable:
    """A body whose `close` cannot even be looked at."""

    def __iter__(self) -> "Unclosable":
        return self

    def __next__(self) -> bytes:
        return b"x" * 100_000

    @property
    def close(self) -> None:
        raise SystemExit("unforeseen")


class Loud(logging.Filter):
    """An application's filter with a mistake in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        raise RuntimeError("the filter's own")


class Full(list[BaseException | None]):
    """Where no failure can be reported."""

    def append(self, _: object) -> None:
        raise RuntimeError("no room")


def broken(pair: Make) -> Pair:
    """Return a pair whose first client's end is an error, and of which another client waits."""

    def run(request: Request) -> None:
        request.response(200, Unclosable() if request.path == "/broken" else b"")

    house = pair(run)
    house.connect()
    house.client.send(get("/broken"))
    house.turn()
    house.client.close()
    return house


def test_a_body_that_cannot_be_closed_costs_one_client_only(pair: Make) -> None:
    house = broken(pair)
    house.turn()

    assert (house.failed(), house.logged()) == ([SystemExit], [])
    assert house.ask(get(), house.clients[1]) == [200]
    assert house.service.connections == 1


def test_not_even_the_log_can_stop_the_poller(pair: Make) -> None:
    house = broken(pair)
    log = logging.getLogger("kore")
    log.addFilter(loud := Loud())
    house.failures = Full()
    try:
        house.turn()
    finally:
        log.removeFilter(loud)
        house.logged()

    assert house.ask(get(), house.clients[1]) == [200]


STOLEN = """
import socket
from tests.helpers.core_client import get
from tests.helpers.fix_core import Pair
house = Pair()
connections = {}
def run(request):
    if request.path == "/kill":
        socket.socket(fileno=connections.pop("/victim").fd).close()
    else:
        connections[request.path] = request.connection
    request.response(200)
house.route.run = run
victim = house.connect()
house.ask(get("/first"))
house.ask(get("/victim"), victim)
house.client.send(get("/kill"))
house.knock()
victim.send(get("/again"))
house.step()
house.turn()
"""


def test_an_application_that_closes_a_clients_descriptor_crashes_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOLEN], cwd=ROOT, capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr

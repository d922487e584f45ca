"""Clients that leave or stop sending: what they sent is read, what works for them is ended."""

from collections.abc import Callable
from typing import Any

import pytest

from kore._conf.schema import BodyOptions
from kore._core.connection import Connection
from kore._core.request import Request
from kore._core.ws_options import WebSocketOptions
from tests.helpers.core_client import get, post
from tests.helpers.fix_core import Pair, Pending
from tests.helpers.websocket import LIMITS, TEXT, frame
from tests.unit.core.test_websocket_time import Hub

Make = Callable[..., Pair]
SOON = 50
COUNT = 40

# A reset after everything was sent, and a close of a Unix socket: both are a hang-up.
each_hang_up = pytest.mark.parametrize("tcp", [False, True], ids=["unix", "reset"])


def websocket(pair: Make, onmsg: Callable[..., Any], *, tcp: bool) -> Pair:
    """Return a pair whose client has a WebSocket."""
    terms = WebSocketOptions(LIMITS, label=b"/ws")

    def upgrade(request: Request) -> None:
        request.response_header("sec-websocket-accept", "accepted")
        Request.upgrade(request, terms, (None, onmsg, None), None)

    house = pair(upgrade, hub=Hub(), tcp=tcp)
    house.client.send(get())
    house.turn(lambda: house.client.take())
    return house


def leave(house: Pair, data: bytes) -> None:
    """Send *data* and hang up before the core looks."""
    house.client.send(data)
    house.client.close(reset=house.tcp)


# ---- hung up: what was sent is read


@each_hang_up
@pytest.mark.parametrize("answers", [False, True])
def test_messages_before_a_hang_up_are_all_heard(pair: Make, *, tcp: bool, answers: bool) -> None:
    heard = []

    def onmsg(connection: Connection, op: int, data: object) -> None:
        heard.append(data)
        if answers:
            connection.websocket_send(op, b"x" * 100_000)

    house = websocket(pair, onmsg, tcp=tcp)
    leave(house, b"".join(frame(TEXT, str(n)) for n in range(COUNT)))
    house.turn(lambda: not house.service.connections)

    assert heard == [str(n) for n in range(COUNT)]


def test_messages_before_a_hang_up_wait_for_slow_callbacks(pair: Make) -> None:
    """And cost no time while they do."""
    heard = []

    def onmsg(connection: Connection, op: int, data: object) -> Pending:
        heard.append(data)
        return Pending()

    house = websocket(pair, onmsg, tcp=False)
    leave(house, b"".join(frame(TEXT, "x" * 3000) for _ in range(COUNT)))
    house.turn()
    hub: Any = house.hub
    while hub.waiting:
        assert not house.ready()
        hub.go_on()
        house.turn()

    assert len(heard) == COUNT
    assert house.service.connections == 0


def test_a_callback_that_never_ends_does_not_keep_a_client_that_hung_up(pair: Make) -> None:
    house = websocket(pair, lambda *_: Pending(), tcp=False)
    leave(house, b"".join(frame(TEXT, "x" * 3000) for _ in range(COUNT)))
    house.turn()
    assert house.service.connections == 1

    house.sweep(SOON)
    assert house.service.connections == 0


@each_hang_up
@pytest.mark.parametrize("size", [3, 20_000])
def test_requests_before_a_hang_up_are_all_run(pair: Make, size: int, *, tcp: bool) -> None:
    bodies = []

    def run(request: Request) -> None:
        bodies.append(request.body)
        request.response(200, b"x" * 100_000)

    house = pair(run, tcp=tcp)
    leave(house, post(b"a" * size) * 2)
    house.turn(lambda: not house.service.connections)

    assert bodies == [b"a" * size] * 2


def test_a_request_that_is_not_complete_is_not_run(pair: Make) -> None:
    house = pair()
    leave(house, post(b"abc")[:-1])
    house.turn()

    assert (house.failures, house.service.connections) == ([], 0)


def test_a_handler_of_a_client_that_hung_up_takes_its_first_step(pair: Make) -> None:
    house = pair(None)
    leave(house, get())
    house.poller.dispatch()
    assert [task.cancelled for task in house.tasks] == [0]

    house.turn()
    assert [task.cancelled for task in house.tasks] == [1]


def paused(pair: Make) -> Pair:
    """Return a pair whose handler has taken the first piece of a body; its client has hung up."""
    house = pair(None)
    house.room = 1
    house.route.extras = BodyOptions(stream=True)
    leave(house, post(b"x" * 150_000))
    house.turn()
    assert not house.ready()
    return house


def test_a_body_before_a_hang_up_is_read_as_its_handler_takes_it(pair: Make) -> None:
    house = paused(pair)
    while house.service.connections and house.sinks[0].said != ["end"]:
        house.held[0].resume_body()
        house.poller.dispatch()

    assert len(house.sinks[0]) == 150_000


def test_a_handler_that_takes_no_more_of_a_body_is_cancelled(pair: Make) -> None:
    house = paused(pair)
    house.sweep(SOON)

    assert [task.cancelled for task in house.tasks] == [1]
    assert house.service.connections == 0


# ---- stopped sending, over TCP: gone, unless it is known to wait


def stopped(pair: Make, data: bytes, *, leave: bool, tcp: bool = True) -> Pair:
    """Return a pair whose client has stopped sending behind *data*, and a handler that waits."""
    house = pair(None, tcp=tcp)
    house.client.send(data)
    house.turn(lambda: bool(house.held))
    if b"/stream" in data:
        house.held[0].open_body(200)
        house.held[0].write_body(b"first")
        house.turn(lambda: house.client.take())
    if leave:
        house.client.close()
    else:
        house.client.finish()
    house.turn()
    return house


@pytest.mark.parametrize("path", ["/handler", "/stream"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_what_waits_for_a_client_that_left_is_cancelled(
    pair: Make, path: str, version: str
) -> None:
    house = stopped(pair, get(path, version=version), leave=True)
    house.sweep(SOON)

    assert [task.cancelled for task in house.tasks] == [1]
    assert house.service.connections == 0


def test_a_client_is_not_gone_at_once(pair: Make) -> None:
    house = stopped(pair, get(version="1.0"), leave=False)
    house.sweep(1)
    house.held[0].response(200, b"late")
    house.turn(lambda: not house.service.connections)
    house.client.read()

    assert house.client.last.body == b"late"


@pytest.mark.parametrize("tcp", [False, True])
def test_a_client_that_stopped_sending_and_waits_has_its_answer(pair: Make, *, tcp: bool) -> None:
    house = stopped(pair, get(), leave=False, tcp=tcp)
    for _ in range(20):
        house.sweep(SOON)
    house.held[0].response(200, b"late")
    house.turn(lambda: not house.service.connections)
    house.client.read()

    assert (house.client.statuses, house.client.last.body) == ([100, 200], b"late")


def test_a_stream_that_is_heard_goes_on_and_may_be_quiet_later(pair: Make) -> None:
    house = stopped(pair, get("/stream"), leave=False)
    house.held[0].write_body(b"second")
    house.turn()
    for _ in range(20):
        house.sweep(SOON)
    house.held[0].write_body(b"third")
    house.held[0].end_body()
    house.turn(lambda: not house.service.connections)

    assert house.client.take() == b"6\r\nsecond\r\n5\r\nthird\r\n0\r\n\r\n"


def test_an_answer_that_the_end_would_complete_is_broken_off_by_a_reset(pair: Make) -> None:
    house = stopped(pair, get("/stream", version="1.0"), leave=False)
    house.sweep(SOON)
    house.client.take()

    assert house.client.end == "reset"


def test_a_quiet_answer_over_a_unix_socket_goes_on(pair: Make) -> None:
    """There a client that left is a hang-up."""
    house = stopped(pair, get("/stream"), leave=False, tcp=False)
    house.sweep(SOON)
    assert house.service.connections == 1

    house.client.close()
    house.turn()
    assert house.service.connections == 0

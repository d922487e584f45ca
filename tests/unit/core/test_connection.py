"""One client's life: whatever it does, in any state, it is answered or ended, never spun on."""

import contextlib
import gc
import itertools
import socket
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kore._core.connection import Connection
from kore._core.request import Request
from kore._core.testing_protocol import resume_transport
from tests.helpers.core_client import get, post
from tests.helpers.fix_core import Pair

Make = Callable[..., Pair]
LARGE = b"x" * 3_000_000


def run(house: Pair, request: Request) -> object:
    """Do what the path says."""
    if request.path == "/held":
        return house.hold(request)
    if request.path == "/endless":
        return request.response(200, itertools.repeat(b"x" * 1000))
    if request.path == "/many":
        return request.response(200, (b"x" for _ in range(200)))
    if request.path == "/stream":
        house.held.append(request)
        request.open_body(200)
        request.write_body(LARGE)
        return house.hold(request)
    return request.response(200, LARGE if request.path == "/large" else b"")


def make(pair: Make, **options: Any) -> Pair:
    """Return a pair whose requests to /no are refused, and others do what their path says."""

    def resolve(request: Request) -> object:
        if request.path == "/no":
            request.refuse(404)
            return None
        return house.route

    house: Pair = pair(lambda request: run(house, request), resolve=resolve, **options)
    return house


# Bytes that bring a connection into a state and leave it there, unread answers included.
STATES: dict[str, bytes] = {
    "fresh": b"",
    "idle": get(),
    "in a blank line": b"\r\n",
    "in a head": get()[:-3],
    "in a second head": get() + get()[:-1],
    "in a body": post(b"abc")[:-1],
    "in a chunked body": get("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\nab",
    "told to go on": post(b"abc", "/", "Expect: 100-continue")[:-3],
    "in a body nobody wants": post(b"abc", "/no")[:-1],
    "waiting for a handler": get("/held"),
    "waiting, the next request here": get("/held") + get("/held"),
    "waiting, with all it can hold": get("/held") + get() * 20_000,
    "slow to read": get("/large"),
    "slow to read, requests waiting": get("/large") * 5,
    "slow to read what is refused": get("/large") + b"nonsense\r\n\r\n",
    "slow to read the last answer": get("/large", "Connection: close"),
    "slow to read the last answer, sending on": get("/large", "Connection: close") + b"y" * 900_000,
    "slow to read an iterator": get("/endless"),
    "slow to read a stream": get("/stream"),
    "refused": b"nonsense\r\n\r\n",
    "refused, sending on": post(b"abc", "/no", "Expect: x") + b"y" * 900_000,
}


def in_state(pair: Make, state: str, **options: Any) -> Pair:
    house = make(pair, **options)
    house.pour(STATES[state])
    house.turn()
    return house


# Where there are more answers than requests, or fewer.
UNUSUAL = {
    "in a body": -1,
    "in a chunked body": -1,
    "told to go on": -1,
    "refused": 1,
    "refused, sending on": 1,
    "slow to read what is refused": 1,
}

# Its last byte waits at its own end until somebody reads what comes before.
SILENT = "waiting, with all it can hold"
LEAVING = [
    (state, tcp, reset)
    for state, tcp, reset in itertools.product(STATES, (False, True), (False, True))
    if (state, tcp, reset) != (SILENT, True, False)
]

each_state = pytest.mark.parametrize("state", STATES)
both_families = pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])


# ---- leaving, in every state


@pytest.mark.parametrize(("state", "tcp", "reset"), LEAVING)
def test_a_client_that_leaves_is_gone(pair: Make, state: str, *, tcp: bool, reset: bool) -> None:
    house = in_state(pair, state, tcp=tcp)
    waiting = {id(request) for request in house.held if request.is_served}
    house.client.close(reset=reset)
    house.turn(lambda: not house.service.connections)

    assert (house.service.requests, len(house.poller)) == (0, 1)
    assert [task.cancelled for task in house.tasks] == [1] * len(waiting)


@each_state
@both_families
def test_a_client_that_half_closes_gets_its_answers(pair: Make, state: str, *, tcp: bool) -> None:
    """And costs no time until they are there."""
    house = in_state(pair, state, tcp=tcp)
    house.client.finish()
    house.turn()
    if state == "slow to read an iterator":
        return  # it has no end
    answer_all(house)

    assert house.client.end == "closed"
    assert len(house.client.reader.final) == len(house.seen) + UNUSUAL.get(state, 0)


def answer_all(house: Pair) -> None:
    """Let the client read, and answer whatever is held."""
    while not house.client.end:
        house.drink()
        for request in house.held:
            if request.is_served and request.answered:
                request.end_body()
            elif request.is_served:
                with contextlib.suppress(RuntimeError):
                    finish(request)
        house.held.clear()


def finish(request: Request) -> None:
    if request.path == "/stream":
        request.end_body()
    else:
        request.response(200)


@each_state
def test_a_client_that_does_nothing_costs_nothing(pair: Make, state: str) -> None:
    house = in_state(pair, state)

    assert not house.ready(20)
    assert house.service.connections == 1
    if state == "slow to read a stream":
        house.held[0].fail()


# ---- half-closing, in particular


def test_requests_before_the_end_of_input_are_all_answered(pair: Make) -> None:
    house = make(pair)
    house.client.send(get() + get("/many") + get("/large") + get("/many") + get())
    house.client.finish()
    house.drink()

    assert house.client.statuses == [200] * 5
    assert house.client.end == "closed"


def test_a_pending_handler_asks_whether_its_client_is_there(pair: Make) -> None:
    house = make(pair)
    house.ask(get("/held"))
    house.client.finish()
    house.turn()
    house.client.read()
    asked = list(house.client.statuses)
    house.held[0].response(200, b"still here")
    house.turn()
    house.client.read()

    assert (asked, house.client.statuses) == ([100], [100, 200])
    assert (house.client.last.body, house.client.end) == (b"still here", "closed")
    assert house.tasks[0].cancelled == 0


def test_each_pending_request_asks_once(pair: Make) -> None:
    house = make(pair)
    house.client.send(get("/held") * 2)
    house.client.finish()
    house.turn()
    for number in range(2):
        house.held[number].response(102)
        house.held[number].response(200)
        house.turn()
    house.client.read()

    assert house.client.statuses == [100, 102, 200, 100, 102, 200]


@pytest.mark.parametrize("data", [get("/held", version="1.0"), get("/stream")])
def test_nobody_is_asked_who_would_not_understand(pair: Make, data: bytes) -> None:
    house = make(pair)
    house.client.send(data)
    house.client.finish()
    house.drink()

    assert 100 not in house.client.statuses
    house.held[-1].fail()


def test_a_handler_of_http_1_0_is_not_cancelled_by_a_half_close(pair: Make) -> None:
    house = make(pair, tcp=True)
    house.client.send(get("/held", version="1.0"))
    house.client.finish()
    house.turn(lambda: bool(house.held))
    house.held[0].response(200, b"ok")
    house.turn(lambda: not house.service.connections)
    house.client.read()

    assert house.client.last.body == b"ok"


def test_a_client_that_left_has_its_handler_cancelled(pair: Make) -> None:
    """Its system answers the question with a reset."""
    house = make(pair, tcp=True)
    house.client.send(get("/held"))
    house.turn(lambda: bool(house.held))
    house.client.close()
    house.turn(lambda: house.tasks[0].cancelled)

    assert (house.service.connections, house.service.requests) == (0, 0)
    assert house.held[0].response(200) is True


# ---- lingering: what was said is heard


@both_families
@pytest.mark.parametrize("then", [b"", b"y" * 2_000_000])
def test_a_refusal_is_heard_by_a_client_that_sends_on(
    pair: Make, then: bytes, *, tcp: bool
) -> None:
    house = make(pair, tcp=tcp)
    house.pour(b"nonsense\r\n\r\n" + then)
    house.turn()
    house.client.read()

    assert (house.client.statuses, house.client.end) == ([400], "closed")
    house.client.close()
    house.turn(lambda: not house.service.connections)


def test_a_line_break_after_a_body_destroys_no_answer(pair: Make) -> None:
    """RFC 9112 2.2: some old clients send one that is not counted."""
    house = make(pair, tcp=True)
    house.client.send(get("/", "Content-Length: 3", method="POST", version="1.0"))
    house.turn()
    house.client.send(b"abc\r\n")
    house.turn()
    house.client.read()

    assert (house.client.statuses, house.client.end) == ([200], "closed")


# ---- what an application may know and do


def test_a_client_has_an_address_and_a_descriptor(pair: Make) -> None:
    house = pair(None, tcp=True)
    house.ask(get())
    connection = house.connection()

    assert isinstance(connection, Connection)
    assert connection.addr == "127.0.0.1"
    assert socket.socket(fileno=connection.fd).detach() == connection.fd


def test_a_unix_socket_has_no_address(pair: Make) -> None:
    house = pair(None)
    house.ask(get())

    assert house.connection().addr == "-"


def test_a_connection_that_nobody_opened_is_harmless() -> None:
    connection = Connection.__new__(Connection)

    assert (connection.fd, connection.addr, connection.disconnect()) == (-1, "-", False)
    resume_transport(connection)


class Sub(Connection):
    def __init__(self) -> None:
        self.mine = 1


def test_a_subclass_of_a_connection_is_harmless() -> None:
    sub = Sub()

    assert (sub.fd, sub.mine, sub.disconnect()) == (-1, 1, False)


def test_resuming_from_within_changes_nothing(pair: Make) -> None:
    def items(request: Request) -> Iterator[bytes]:
        for _ in range(3):
            resume_transport(request.connection)
            yield b"x"

    def answer(request: Request) -> None:
        resume_transport(request.connection)
        request.response(200, items(request))
        resume_transport(request.connection)

    house = pair(answer)
    house.client.send(get() * 3)
    house.drink()

    assert house.client.statuses == [200] * 3


def test_disconnecting_sends_what_the_socket_takes(pair: Make) -> None:
    house = make(pair)
    house.ask(get("/held"))
    request = house.held[0]
    request.response(103)
    request.connection.disconnect()
    house.turn()
    house.client.read()

    assert (house.client.statuses, house.client.end) == ([103], "closed")
    assert house.tasks[0].cancelled == 1


class Mark:
    """Something an application keeps."""


def test_nothing_of_a_request_is_kept_when_it_is_answered(pair: Make) -> None:
    marks: list[weakref.ref[Mark]] = []

    def answer(request: Request) -> None:
        request.mark = Mark()
        marks.append(weakref.ref(request.mark))
        request.response(200, b"" if request.path == "/" else iter([b"x"]))

    house = pair(answer)
    gc.disable()
    try:
        house.ask(get() + get("/items") + post(b"abc"))
        assert [mark() for mark in marks] == [None] * 3
    finally:
        gc.enable()


def marked(house: Pair) -> list[weakref.ref[Mark]]:
    """Put a mark on the connections of all requests that are held."""
    for request in house.held:
        request.connection.mark = Mark()
    return [weakref.ref(request.connection.mark) for request in house.held]


@pytest.mark.parametrize("state", [state for state in STATES if "waiting" in state])
def test_nothing_of_a_connection_is_kept_when_it_ends(pair: Make, state: str) -> None:
    house = in_state(pair, state)
    marks = marked(house)
    house.client.close(reset=True)
    gc.disable()
    try:
        house.turn()
        house.held.clear()
        assert {mark() for mark in marks} <= {None}
    finally:
        gc.enable()


def test_a_cycle_through_a_connection_is_collected(pair: Make) -> None:
    house = make(pair)
    house.ask(get("/held"))
    house.held[0].connection.last = house.held[0]
    (mark,) = marked(house)
    house.client.close()
    house.turn()
    house.held.clear()
    gc.collect()

    assert mark() is None

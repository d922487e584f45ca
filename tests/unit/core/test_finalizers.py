"""Finalizers that the collector runs inside of the core, at each of its allocations in turn."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

from kore._core.connection import Connection
from kore._core.request import Request
from kore._core.testing import encode_frame, mask_payload
from kore._core.testing_protocol import resume_transport
from kore._core.ws_options import WebSocketOptions
from tests.helpers.core_client import Client, get, post
from tests.helpers.fix_core import Pair, Pending, Route
from tests.helpers.gc_trigger import MOST, collecting, spring
from tests.helpers.websocket import LIMITS

Make = Callable[..., Pair]
Act = Callable[[Request], object]
LARGE = b"large" * 20_000
OWN = b"F"  # what a finalizer writes
KEY = b"abcd"


class Extras:
    """A route with everything in front of its handler."""

    stream = False
    on_headers = print
    on_body_chunk: object = None
    on_free: object = print
    body_max: int | None = None


class Exchange(NamedTuple):
    """What a client sends, and what a handler does with the first request."""

    data: bytes
    answer: Callable[["Trial", Request], object]
    options: dict[str, Any]
    body: bytes = b"ok"


class Trial:
    """One exchange, with a finalizer that runs at one allocation of it."""

    def __init__(self, house: Pair, exchange: Exchange, act: Act) -> None:
        self.house = house
        self.exchange = exchange
        self.act = act
        self.fired = False
        self.allocations = 0
        self.later: list[Request] = []
        house.resolve = self.resolve

    def resolve(self, request: Request) -> Route:
        route = Route(self.run)
        route.extras = Extras() if self.exchange.options.get("extras") else None
        return route

    def run(self, request: Request) -> object:
        if request.path != "/first":
            return request.response(200, b"ok")
        return self.exchange.answer(self, request)

    def arm(self, request: Request) -> None:
        spring(lambda: self.finalize(request), self.allocations)

    def finalize(self, request: Request) -> None:
        self.fired = True
        # A second answer, for instance, is an error of the application.
        with suppress(RuntimeError, TypeError):
            self.act(request)

    def run_once(self, allocations: int) -> Client:
        """Let the client have its exchange, with the finalizer at one of the allocations."""
        self.allocations, self.fired = allocations, False
        client = self.house.connect()
        client.send(self.exchange.data)
        self.house.turn()
        for request in self.later:
            with suppress(RuntimeError):  # the finalizer has answered
                request.response(200, b"ok")
        self.later.clear()
        self.house.turn()
        return client


def plain(trial: Trial, request: Request) -> None:
    trial.arm(request)
    request.response(200, b"ok")


def behind(trial: Trial, request: Request) -> None:
    request.response(200, b"ok")
    trial.arm(request)


def with_fields(trial: Trial, request: Request) -> None:
    trial.arm(request)
    request.response_header("x-field", "value")
    request.response(200, LARGE)


def error(trial: Trial, request: Request) -> None:
    trial.arm(request)
    request.response(404, b"")


def iterator(trial: Trial, request: Request) -> None:
    trial.arm(request)
    request.response(200, iter([b"o", b"k", LARGE]))


def pieces(trial: Trial, request: Request) -> None:
    trial.arm(request)
    request.open_body(200)
    request.write_body(b"ok")
    request.write_body(LARGE)
    request.end_body()


def held(trial: Trial, request: Request) -> Pending:
    trial.arm(request)
    trial.later.append(request)
    return Pending()


def upgrade(trial: Trial, request: Request) -> None:
    terms = WebSocketOptions(LIMITS, label=b"/talk")
    trial.arm(request)
    request.upgrade(terms, (None, echo, None), None)


def echo(connection: Connection, op: int, data: bytes) -> None:
    connection.websocket_send(op, data)
    connection.websocket_send(op, LARGE)


def message(data: bytes) -> bytes:
    head = encode_frame(2, data)[: -len(data)]
    return bytes([head[0], head[1] | 0x80]) + head[2:] + KEY + mask_payload(data, KEY)


FIRST = get("/first")
EXTRAS = {"extras": True}
DISK = {"http_body_disk_offload": 1000}
UPLOAD = post(b"b" * 5000, "/first")
EXCHANGES = {
    "plain": Exchange(FIRST + get("/second"), plain, {}),
    "pipelined": Exchange(FIRST + get("/second") + get("/third"), behind, {}),
    "upload behind": Exchange(FIRST + post(b"b" * 5000), behind, DISK),
    "hooks behind": Exchange(FIRST + post(b"b" * 5000) + get(), behind, EXTRAS),
    "malformed behind": Exchange(FIRST + b"GET\r\n\r\n", behind, {"http_pretty_error": True}),
    "large": Exchange(FIRST + get("/second"), with_fields, {}, LARGE),
    "error page": Exchange(FIRST, error, {"http_pretty_error": True}),
    "iterator": Exchange(FIRST + get("/second"), iterator, {}, b"ok" + LARGE),
    "pieces": Exchange(FIRST + get("/second"), pieces, {}, b"ok" + LARGE),
    "later": Exchange(FIRST + get("/second"), held, {}),
    "early": Exchange(UPLOAD[:-100], plain, {}),
    "websocket": Exchange(FIRST + message(b"hello") + message(LARGE), upgrade, {}),
}
ACTS: dict[str, Act] = {
    "disconnect": lambda request: request.connection.disconnect(),
    "response": lambda request: request.response(200, OWN),
    "fail": lambda request: request.fail(503),
    "open": lambda request: request.open_body(200),
    "write": lambda request: request.write_body(OWN),
    "end": lambda request: request.end_body(),
    "send": lambda request: request.connection.websocket_send(2, OWN),
    "resume": lambda request: resume_transport(request.connection),
}


class Hub:
    """Where WebSockets are known."""

    def on_open(self, connection: Connection) -> None: ...

    def on_close(self, connection: Connection) -> None: ...


def made(pair: Make, exchange: Exchange) -> Pair:
    options = {name: value for name, value in exchange.options.items() if name != "extras"}
    return pair(hub=Hub(), **options)


def understood(client: Client, trial: Trial) -> None:
    """Check that what the client got is answers, whole and its own."""
    data = client.take()
    client.reader.feed(data)
    for answer in client.reader.final:
        body = answer.body.replace(OWN, b"")
        known = answer.status != 200 or body in (b"", trial.exchange.body, b"ok")
        assert known, f"{answer.status} {answer.body[:100]!r}"


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("name", EXCHANGES)
def test_a_finalizer_at_any_allocation_breaks_nothing(pair: Make, name: str, act: str) -> None:
    exchange = EXCHANGES[name]
    house = made(pair, exchange)
    trial = Trial(house, exchange, ACTS[act])
    sent = {"/first", "/second", "/third", "/"}
    with collecting():
        for allocations in range(1, MOST):
            client = trial.run_once(allocations)
            if name != "websocket":
                understood(client, trial)
            client.close(reset=True)
            house.turn()
            assert (house.service.requests, house.service.connections) == (0, 1)
            assert set(house.seen) <= sent, "a request of memory that is not its own"
            if not trial.fired:
                break
    house.failures.clear()
    house.logged()
    assert not trial.fired, "an exchange that takes longer than all trials"


@pytest.mark.parametrize("act", ["disconnect", "response"])
def test_a_finalizer_may_end_another_client_in_the_middle(pair: Make, act: str) -> None:
    """Of a batch that serves it next, or of nothing that has to do with it."""
    house = made(pair, EXCHANGES["plain"])
    others: list[Request] = []

    def on_other(_: Request) -> None:
        ACTS[act](others[-1])

    trial = Trial(house, EXCHANGES["later"], on_other)
    with collecting():
        for allocations in range(1, MOST):
            house.resolve = lambda request: Route(lambda held: others.append(held) or Pending())
            other = house.connect()
            other.send(get("/other"))
            house.turn()
            house.resolve = trial.resolve
            other.send(get("/second"))
            client = trial.run_once(allocations)
            understood(client, trial)
            for gone in (client, other):
                gone.close(reset=True)
            house.turn()
            assert (house.service.requests, house.service.connections) == (0, 1)
            if not trial.fired:
                break
    assert not trial.fired

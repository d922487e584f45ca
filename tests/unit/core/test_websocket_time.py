"""Who is silent for too long, by a clock that leaps; who blocks is not the client."""

from collections.abc import Callable
from typing import Any

import pytest

from kore._core.connection import Connection
from kore._core.request import Request
from kore._core.websocket import WebSocket
from kore._core.ws_options import WebSocketOptions
from tests.helpers.core_client import Client
from tests.helpers.fix_core import Pair, Pending, Task, shake
from tests.helpers.websocket import LIMITS, PING, PONG, TEXT, Got, frame, parsed

Make = Callable[..., Pair]


class Hub:
    """Holds what callbacks await, until a test has it done."""

    def __init__(self) -> None:
        self.waiting: list[tuple[WebSocket, Task]] = []

    def on_open(self, connection: Connection) -> None:
        """Nobody asks who is connected."""

    def on_close(self, connection: Connection) -> None:
        """As before."""

    def report_lost(self, label: bytes, count: int) -> None:
        """As before."""

    def await_callback(self, websocket: WebSocket, pending: object) -> None:
        """Take a callback that waits."""
        task: Any = Task()
        self.waiting.append((websocket, task))
        websocket.add_task(task)

    def go_on(self) -> None:
        """Have the oldest callback end."""
        websocket, task = self.waiting.pop(0)
        unknown: Any = task
        websocket.resume_after(unknown)


@pytest.fixture
def timed(pair: Make) -> Callable[..., Pair]:
    """Return what makes a pair whose client has its WebSocket."""

    def make(onmsg: Callable[..., Any] | None = None, *, timeout: int = 0, ping: int = 0) -> Pair:
        terms = WebSocketOptions({**LIMITS, "timeout": timeout, "ping": ping}, label=b"/time")

        def upgrade(request: Request) -> None:
            request.response_header("sec-websocket-accept", "of whoever decides on handshakes")
            Request.upgrade(request, terms, (None, onmsg, None), None)

        house = pair(upgrade, hub=Hub())
        shake(house, house.client)
        return house

    return make


def heard(house: Pair, client: Client | None = None) -> list[Got | int | None]:
    """Return what the client was sent: frames, of close frames the codes."""
    data = (client or house.client).take()
    found: list[Got | int | None] = []
    while data:
        parts = parsed(data)
        assert parts is not None
        found.append(parts[0].code if parts[0].op == 8 else parts[0])
        data = data[parts[1] :]
    return found


def waits(connection: Connection, op: int, data: object) -> Pending:
    """Handle a message for as long as the test likes."""
    return Pending()


def hub(house: Pair) -> Hub:
    assert isinstance(house.hub, Hub)
    return house.hub


def test_a_silent_client_is_closed_and_one_that_says_anything_is_not(timed: Make) -> None:
    house = timed(timeout=60)
    for data in (frame(PONG), frame(PING, "x"), frame(TEXT, "hi"), frame(TEXT, "half")[:3]):
        house.sweep(50)
        house.client.send(data)
        house.turn()
    house.sweep(59)
    assert heard(house) == [Got(PONG, b"x")]

    house.sweep(2)
    assert heard(house) == [1001]


def test_answers_to_pings_keep_a_client_and_their_absence_ends_it_in_time(timed: Make) -> None:
    house = timed(timeout=100, ping=30)
    for _ in range(10):
        house.sweep(31)
        assert heard(house) == [Got(PING, b"")]
        house.client.send(frame(PONG))
        house.turn()

    for wait in (31, 30, 30):
        house.sweep(wait)
        assert heard(house) == [Got(PING, b"")]
    house.sweep(8)
    assert heard(house) == []
    house.sweep(2)
    assert heard(house) == [1001]


def test_pings_alone_end_nothing(timed: Make) -> None:
    house = timed(ping=30)
    for _ in range(10):
        house.sweep(31)
        assert heard(house) == [Got(PING, b"")]


def test_who_was_not_asked_because_this_process_was_busy_is_asked_first(timed: Make) -> None:
    house = timed(timeout=100, ping=30)
    house.sweep(500)
    assert heard(house) == [Got(PING, b"")]
    house.sweep(69)
    assert heard(house) == [Got(PING, b"")]
    house.sweep(3)
    assert heard(house) == [1001]


@pytest.mark.parametrize("ping", [0, 30])
def test_what_came_while_this_process_was_busy_is_seen_before_anybody_is_late(
    timed: Make, ping: int
) -> None:
    house = timed(timeout=100, ping=ping)
    others = [house.connect() for _ in range(300)]  # more than come in one batch
    for other in others:
        shake(house, other)
    for client in (house.client, *others):
        client.send(frame(PONG))
    house.sweep(500)

    assert {tuple(heard(house, client)) for client in (house.client, *others)} == {()}


@pytest.mark.parametrize("ping", [0, 30])
def test_a_client_that_has_to_wait_for_a_callback_is_not_silent(timed: Make, ping: int) -> None:
    house = timed(waits, timeout=100, ping=ping)
    house.client.send(frame(TEXT, "x") * 40)
    house.turn()
    house.sweep(500)  # nothing is read from it
    for _ in range(4):
        hub(house).go_on()
        house.sweep(90)
    assert heard(house) == []

    for _ in range(36):
        hub(house).go_on()
        house.turn()
        house.sweep(0.1)
    assert heard(house) == []
    house.sweep(99)
    assert heard(house) == ([Got(PING, b"")] if ping else [])
    house.sweep(72)
    assert heard(house) == [1001]


def test_half_of_what_waits_is_handled_before_more_is_read(timed: Make) -> None:
    house = timed(waits)
    house.client.send(frame(TEXT, "x") * 17 + frame(PING, "y"))
    house.turn()
    assert heard(house) == []

    for done in range(9):
        assert heard(house) == [], done
        hub(house).go_on()
        house.turn()
    assert heard(house) == [Got(PONG, b"y")]


def test_a_callback_that_blocks_for_longer_than_the_timeout_closes_nothing(timed: Make) -> None:
    def block(connection: Connection, op: int, data: object) -> None:
        house.poller.advance_clock(60_000)

    house: Pair = timed(block, timeout=50)
    house.client.send(frame(TEXT, "block"))
    house.turn()
    house.sweep(49)
    assert heard(house) == []

    house.sweep(2)
    assert heard(house) == [1001]

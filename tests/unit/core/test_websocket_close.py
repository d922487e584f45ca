"""When the application hears that a WebSocket is over: at once, and behind all that came before."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kore._core.connection import Connection
from kore._core.request import Request
from kore._core.websocket import WebSocket
from kore._core.ws_options import WebSocketOptions
from tests.helpers.fix_core import Pair, Pending, Task, shake
from tests.helpers.websocket import CLOSE, LIMITS, TEXT, frame

Make = Callable[..., Pair]
GOODBYE = frame(CLOSE, b"\x03\xe8")


class Registry:
    """Who is connected, and which callbacks wait."""

    def __init__(self) -> None:
        self.members: list[Connection] = []
        self.waiting: list[tuple[WebSocket, Task]] = []

    def on_open(self, connection: Connection) -> None:
        self.members.append(connection)

    def on_close(self, connection: Connection) -> None:
        if connection in self.members:
            self.members.remove(connection)

    def report_failure(self, label: bytes, error: BaseException) -> None:
        """Errors are what these tests make."""

    def await_callback(self, websocket: WebSocket, pending: object) -> None:
        task: Any = Task()
        self.waiting.append((websocket, task))
        websocket.add_task(task)

    def go_on(self) -> None:
        """Have the oldest callback end."""
        websocket, task = self.waiting.pop(0)
        unknown: Any = task
        websocket.resume_after(unknown)


class Talk:
    """A client with a WebSocket, and what its callbacks heard."""

    def __init__(self, pair: Make) -> None:
        self.heard: list[object] = []
        self.result: object = None
        self.registry = Registry()
        self.house = pair(self.upgrade, hub=self.registry)
        shake(self.house, self.house.client)

    def upgrade(self, request: Request) -> None:
        terms = WebSocketOptions(LIMITS, label=b"/close")
        request.response_header("sec-websocket-accept", "of whatever decides on handshakes")
        Request.upgrade(request, terms, (None, self.onmsg, self.ondisconnect), None)

    def onmsg(self, _: Connection, __: int, data: object) -> object:
        self.heard.append(data)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def ondisconnect(self, connection: Connection) -> None:
        self.heard.append(("over", connection.close_code, connection.websocket_send(TEXT, "x")))

    def say(self, *data: bytes) -> None:
        """Send frames; the connection stays open on this side."""
        self.house.client.send(b"".join(data))
        self.house.turn()

    @property
    def lingers(self) -> bool:
        """Whether the socket is still open."""
        return self.house.service.connections == 1


@pytest.fixture
def talk(pair: Make) -> Iterator[Talk]:
    return Talk(pair)


def test_a_close_frame_is_told_while_the_connection_lingers(talk: Talk) -> None:
    talk.say(frame(TEXT, "a"), GOODBYE)

    assert talk.heard == ["a", ("over", 1000, False)]
    assert talk.registry.members == []
    assert talk.lingers


def test_a_client_that_breaks_a_rule_is_told_likewise(talk: Talk) -> None:
    talk.say(frame(TEXT, "a"), b"\x81\x01a")  # without a mask

    assert talk.heard == ["a", ("over", 1002, False)]
    assert talk.lingers


def test_a_callback_that_fails_is_told_likewise(talk: Talk) -> None:
    talk.result = ValueError()
    talk.say(frame(TEXT, "a"))

    assert talk.heard == ["a", ("over", 1011, False)]
    assert talk.lingers


def test_what_came_before_is_delivered_before(talk: Talk) -> None:
    talk.result = Pending()
    talk.say(*(frame(TEXT, text) for text in "abc"), GOODBYE)
    assert talk.heard == ["a"]

    talk.registry.go_on()
    talk.registry.go_on()
    talk.house.turn()
    assert talk.heard == ["a", "b", "c"]

    talk.registry.go_on()
    talk.house.turn()
    assert talk.heard == ["a", "b", "c", ("over", 1000, False)]
    assert talk.lingers


def test_it_is_told_once(talk: Talk) -> None:
    talk.say(GOODBYE)
    talk.house.client.close()
    talk.house.turn()
    talk.house.sweep(10)

    assert not talk.lingers
    assert talk.heard == [("over", 1000, False)]


def test_it_is_not_told_from_within_another_callback(talk: Talk) -> None:
    talk.house.client.send(GOODBYE)
    talk.house.poller.dispatch()
    assert talk.heard == []

    talk.house.turn()
    assert talk.heard == [("over", 1000, False)]

"""The WebSockets of a worker as the core calls them, without connections."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from kore._conf.builder import Builder
from kore._conf.server_schema import Address
from kore._conf.websockets import SETTING_NAMES
from kore._core.ws_options import build_frame
from kore._process.ipc.messages import MessageKind
from kore._process.worker.websockets import GLOBAL, LOCAL, WebSockets
from kore._websocket.broadcast import encode_broadcast

TEXT = 1


class FakeBus:
    """Keeps what is sent to other workers."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.receivers: dict[int, Any] = {}

    def set_receiver(self, kind: int, receiver: Any) -> None:
        self.receivers[kind] = receiver

    def send(self, kind: int, payload: bytes, worker: int | None, *, echo: bool) -> None:
        self.sent.append((kind, payload, worker, echo))


class Made:
    """The WebSockets of a worker with what they have told it."""

    def __init__(self, tasks: Any = None) -> None:
        self.bus: Any = FakeBus()
        self.errors: list[tuple[str, BaseException]] = []
        builder = Builder()
        builder.server("http", Address(ip="127.0.0.1", port=0), tls=False)
        self.websockets = WebSockets(
            builder.build(), tasks, self.bus, lambda *failure: self.errors.append(failure)
        )


@pytest.fixture
def made() -> Made:
    return Made()


def numbers(**given: Any) -> tuple[Any, ...]:
    """Return the options of a route as a tuple; None stands for the setting."""
    return tuple(given.get(name) for name in SETTING_NAMES)


def test_options_of_a_route_are_made_once(made: Made) -> None:
    get_options = made.websockets.get_options

    assert get_options(b"/a", numbers(ping=5)) is get_options(b"/a", numbers(ping=5))
    assert get_options(b"/a", numbers(ping=5)) is not get_options(b"/b", numbers(ping=5))
    assert get_options(b"/a", numbers(ping=5)) is not get_options(b"/a", numbers(ping=6))


def test_a_ping_that_would_come_after_the_timeout_is_noticed(
    made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    made.websockets.make_options(b"/quiet", numbers(ping=9, timeout=10))
    assert caplog.text == ""
    made.websockets.make_options(b"/late", numbers(ping=10, timeout=10))
    assert "websocket '/late': ping interval (10 s) is not shorter than timeout (10 s)" in (
        caplog.text
    )


def test_failures_and_losses_are_told_with_their_route(
    made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    error = ValueError("x")
    made.websockets.report_failure(b"/chat\xff", error)
    made.websockets.report_lost(b"/chat", 3)

    assert made.errors == [("websocket '/chat\ufffd'", error)]
    assert caplog.messages == ["websocket '/chat': 3 messages lost, an earlier one took too long"]


class FakeSocket:
    """Notes what comes of a callback that is awaited."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.resumed = asyncio.Event()

    def add_task(self, task: object) -> None:
        self.events.append("waits")

    def resume_after(self, task: object) -> None:
        self.events.append("resumed")
        self.resumed.set()

    def report_callback_error(self, error: BaseException) -> None:
        self.events.append(repr(error))


async def run_callback(callback: Any) -> BaseException | None:
    try:
        await callback
    except ValueError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("fails", "events"),
    [(False, ["waits", "resumed"]), (True, ["waits", "ValueError('x')", "resumed"])],
)
def test_messages_wait_for_a_callback_that_is_awaited(fails: bool, events: list[str]) -> None:
    async def callback() -> None:
        await asyncio.sleep(0)
        if fails:
            raise ValueError("x")

    async def main() -> list[Any]:
        tasks = SimpleNamespace(run_callback=lambda it: asyncio.ensure_future(run_callback(it)))
        socket: Any = FakeSocket()
        websockets = Made(tasks).websockets
        websockets.await_callback(socket, callback())
        await socket.resumed.wait()
        return list(socket.events)

    assert asyncio.run(main()) == events


def test_a_cancelled_callback_is_no_error() -> None:
    async def main() -> list[Any]:
        socket: Any = FakeSocket()
        started: list[asyncio.Task[Any]] = []

        def run(callback: Any) -> asyncio.Task[Any]:
            started.append(asyncio.ensure_future(run_callback(callback)))
            return started[0]

        Made(SimpleNamespace(run_callback=run)).websockets.await_callback(
            socket, asyncio.sleep(100)
        )
        await asyncio.sleep(0)
        started[0].cancel()
        await socket.resumed.wait()
        return list(socket.events)

    assert asyncio.run(main()) == ["waits", "resumed"]


# Broadcasts


def test_a_global_broadcast_goes_to_other_workers_first(made: Made) -> None:
    made.websockets.broadcast(None, TEXT, "hello", LOCAL, None)
    assert made.bus.sent == []
    made.websockets.broadcast(None, TEXT, "hello", GLOBAL, "room")
    frame = build_frame(TEXT, "hello")

    payload = encode_broadcast(frame, "room")
    assert made.bus.sent == [(MessageKind.BROADCAST, payload, None, False)]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("x", TEXT, "a", LOCAL, None), TypeError, "src must be a kore.connection or None"),
        ((None, TEXT, "a", LOCAL, 5), TypeError, "a group is a str or None, not 5"),
        ((None, TEXT, "a", 3, None), ValueError, "invalid scope: .* not 3"),
        ((None, TEXT, 5, LOCAL, None), TypeError, "int"),
        ((None, 77, "a", LOCAL, None), TypeError, "77"),
    ],
)
def test_invalid_arguments_of_a_broadcast_are_refused(
    made: Made, arguments: tuple[Any, ...], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        made.websockets.broadcast(*arguments)
    assert made.bus.sent == []


def test_a_broadcast_of_another_thread_is_refused(made: Made) -> None:
    errors: list[str] = []

    def broadcast() -> None:
        try:
            made.websockets.broadcast(None, TEXT, "a", LOCAL, None)
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=broadcast)
    thread.start()
    thread.join()

    assert "loop.call_soon_threadsafe" in errors[0]


def test_a_malformed_broadcast_of_another_worker_is_logged(
    made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    receive = made.bus.receivers[MessageKind.BROADCAST]
    receive(2, encode_broadcast(build_frame(TEXT, "a"), None))
    assert caplog.text == ""
    receive(2, b"\xff")
    assert "worker 2: malformed broadcast: " in caplog.text

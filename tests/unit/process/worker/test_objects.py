"""Objects between workers: what reaches the bus and the hook."""

from typing import Any, cast

import pytest

from kore._conf.settings import Settings
from kore._process.ipc.messages import MessageKind
from kore._process.worker.objects import Objects


class FakeBus:
    """A bus that delivers to its own receiver."""

    def __init__(self) -> None:
        self.sent: list[tuple[MessageKind, bytes, int | None, bool]] = []
        self.receiver: Any = None

    def set_receiver(self, kind: MessageKind, receiver: Any, name: str) -> None:
        assert (kind, name) == (MessageKind.OBJECT, "koreapp.onmsg")
        self.receiver = receiver

    def send(self, kind: MessageKind, data: bytes, worker: int | None, *, echo: bool) -> None:
        self.sent.append((kind, data, worker, echo))


def make_objects(bus: FakeBus, hook: Any = None, **settings: Any) -> Objects:
    """Return the objects of a worker on *bus*."""
    return Objects(cast("Any", bus), Settings(**settings), hook)


def test_object_reaches_the_hook() -> None:
    bus, received = FakeBus(), []
    make_objects(bus, received.append).send({"a": (1, 2)}, 3)
    ((kind, data, worker, echo),) = bus.sent

    bus.receiver(1, data)

    assert (kind, worker, echo) == (MessageKind.OBJECT, 3, True)
    assert received == [{"a": (1, 2)}]


def test_result_of_the_hook_is_returned_to_the_bus() -> None:
    bus = FakeBus()
    make_objects(bus, lambda value: f"awaitable for {value}").send(5, None)

    assert bus.receiver(1, bus.sent[0][1]) == "awaitable for 5"


def test_object_that_cannot_be_decoded_is_discarded(caplog: pytest.LogCaptureFixture) -> None:
    bus, received = FakeBus(), []
    make_objects(bus, received.append)

    assert bus.receiver(2, b"\xc1\0") is None
    assert received == []
    assert "discarding object from worker 2: cannot decode" in caplog.text


def test_missing_hook_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    bus = FakeBus()
    make_objects(bus)
    for _ in range(3):
        bus.receiver(2, b"anything")

    assert caplog.text.count("has no koreapp.onmsg: discarded") == 1

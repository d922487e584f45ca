"""What connections share: counters, and a slot that says what runs."""

import struct
from collections.abc import Callable
from typing import Any

import pytest

from kore._core.request import Request
from kore._core.server_context import ServerContext
from tests.helpers.core_client import get, post
from tests.helpers.fix_core import LIMITS, Pair, make_hooks

Make = Callable[..., Pair]
SLOT = struct.Struct("=64s64sII Q I")


class Slot:
    """A worker's place on the scoreboard, as the parent reads it."""

    def __init__(self, size: int = 256) -> None:
        self.memory = memoryview(bytearray(b"\xff" * size))

    def read(self) -> tuple[bytes, bytes, int, int, int]:
        """Return what runs, what waits, how much waits, how much was served, and who is here."""
        running, waiting, pending, _, served, connections = SLOT.unpack_from(self.memory)
        return (
            running.partition(b"\0")[0],
            waiting.partition(b"\0")[0],
            pending,
            served,
            connections,
        )


@pytest.fixture
def slot() -> Slot:
    slot = Slot()
    slot.memory[:132] = bytes(132)
    slot.memory[136:] = bytes(120)
    return slot


def test_while_a_handler_runs_its_route_is_named(pair: Make, slot: Slot) -> None:
    def run(request: Request) -> None:
        seen.append(slot.read())
        request.response(200)

    seen: list[object] = []
    house = pair(run, slot=slot.memory)
    house.ask(get() + get())

    assert seen == [(b"/route", b"", 0, 0, 1), (b"/route", b"", 0, 1, 1)]
    assert slot.read() == (b"", b"", 0, 2, 1)


def test_a_handler_that_waits_is_named_as_waiting(pair: Make, slot: Slot) -> None:
    house = pair(None, slot=slot.memory)
    others = [house.connect() for _ in range(2)]
    for client in others:
        house.ask(get(), client)
    waiting = slot.read()
    house.held[0].response(200)
    one = slot.read()
    others[1].close()
    house.turn()

    assert waiting == (b"", b"/route", 2, 0, 3)
    assert one == (b"", b"/route", 1, 1, 3)
    assert slot.read() == (b"", b"/route", 0, 2, 2)


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_after_a_handler_that_fails_nothing_runs(
    pair: Make, slot: Slot, error: type[BaseException]
) -> None:
    def run(request: Request) -> None:
        raise error

    house = pair(run, slot=slot.memory)
    house.ask(get())

    assert slot.read() == (b"", b"", 0, 1, 1)
    house.failed()


@pytest.mark.parametrize("size", [0, 1, 62, 63, 64, 200])
def test_a_long_name_is_cut(pair: Make, slot: Slot, size: int) -> None:
    seen: list[bytes] = []

    def run(request: Request) -> object:
        seen.append(slot.read()[0])
        return house.hold(request)

    house = pair(run, slot=slot.memory)
    house.route.label = b"a" * size
    house.ask(get())

    assert seen == [b"a" * min(size, 63)]
    assert slot.read()[1] == b"a" * min(size, 63)


def test_the_workers_own_part_of_the_slot_is_left_alone(pair: Make, slot: Slot) -> None:
    house = pair(None, slot=slot.memory)
    house.ask(get() + post(b"abc"))
    house.held[0].response(200)
    house.turn()

    assert bytes(slot.memory[132:136]) == b"\xff" * 4
    assert bytes(slot.memory[148:]) == bytes(108)


def test_a_slot_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="a slot needs 160 bytes, not 159"):
        service(slot=memoryview(bytearray(159)))
    with pytest.raises(BufferError):
        service(slot=memoryview(bytes(256)))


def service(limits: dict[str, Any] | None = None, **options: Any) -> ServerContext:
    return ServerContext(limits or LIMITS, make_hooks(), **options)


@pytest.mark.parametrize("name", [name for name in LIMITS if name.startswith("http_header")])
def test_a_service_needs_its_limits(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        service({key: value for key, value in LIMITS.items() if key != name})
    with pytest.raises(TypeError):
        service({**LIMITS, name: "many"})


def test_a_service_counts_and_starts_at_nothing() -> None:
    found = service()

    assert (found.requests, found.connections, found.draining) == (0, 0, False)
    found.drain()
    assert found.draining


def test_requests_are_counted_while_they_are_open(pair: Make) -> None:
    house = pair(None)
    house.ask(post(b"abc")[:-1])
    counts = [house.service.requests]
    house.ask(b"c")
    counts.append(house.service.requests)
    house.held[0].response(103)
    counts.append(house.service.requests)
    house.held[0].response(200)
    counts.append(house.service.requests)

    assert counts == [1, 1, 1, 0]
    with pytest.raises(AttributeError):
        house.service.requests = 5  # type: ignore[misc]


def test_the_servers_name_is_what_was_configured(pair: Make) -> None:
    house = pair(http_server_version="mine (1)")
    house.ask(get())

    assert house.client.last.get("server") == "mine (1)"

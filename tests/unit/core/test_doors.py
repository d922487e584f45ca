"""Every function that Python can call with wrong arguments raises, and does not crash."""

import socket
from collections.abc import Callable
from typing import Any

import pytest

from kore._core.connection import Connection
from kore._core.first_protocol import FirstProtocol
from kore._core.http1 import Http1
from kore._core.listener import Listener
from kore._core.poller import Poller, PollSource
from kore._core.protocol import Protocol
from kore._core.request import Request
from kore._core.server_context import ServerContext
from kore._core.socket_stream import SocketStream
from kore._core.testing import ChunkReader, HeadReader, parse, read_body, write_head
from kore._core.transport import Transport
from kore._core.writer import reason_phrase
from tests.helpers.core_client import get
from tests.helpers.fix_core import LIMITS, Pair, make_hooks, told
from tests.helpers.house import SOURCE

Make = Callable[..., Pair]
# Asked for its descriptor it would be an AttributeError.
SOCKET: Any = object()


def context(**limits: Any) -> ServerContext:
    """Return a context whose hooks do nothing."""
    return ServerContext({**LIMITS, **limits}, make_hooks())


# Each of these had an object where there is none now.
DOORS: dict[str, Callable[[], object]] = {
    "listener-poller": lambda: Listener(None, context(), SOCKET, FirstProtocol(print)),
    "listener-context": lambda: Listener(Poller(), None, SOCKET, FirstProtocol(print)),
    "listener-other": lambda: Listener(context(), Poller(), SOCKET, FirstProtocol(print)),
    "context-limits": lambda: ServerContext(None, make_hooks()),
    "context-limit": lambda: context(http_header_max=None),
    "context-version": lambda: context(worker_accept_threshold="x"),
    "context-slot": lambda: context().set_slot(5),
    "context-read-only": lambda: context().set_slot(bytes(256)),
    "head-reader": lambda: HeadReader(head_max=None),
    "head-reader-feed": lambda: HeadReader().feed(None),
    "head-reader-text": lambda: HeadReader().feed("GET"),
    "head-reader-unset": lambda: HeadReader.__new__(HeadReader).feed(b"GET"),
    "parse": lambda: parse(None),
    "chunks": lambda: ChunkReader().feed(None),
    "body": lambda: read_body(None),
    "body-piece": lambda: read_body([None], 5),
    "body-rest": lambda: read_body([None], 0),
    "body-chunked": lambda: read_body([None]),
    "body-text": lambda: read_body(["abc"], 3),
    "body-length": lambda: read_body([], "3"),
    "head-status": lambda: write_head(None),
    "head-server": lambda: write_head(200, server=None),
    "head-keepalive": lambda: write_head(200, keepalive=None),
    "head-second": lambda: write_head(200, second=None),
    "head-length": lambda: write_head(200, length="x"),
    "head-fields": lambda: write_head(200, [("a", 1)]),
    "reason": lambda: reason_phrase(None),
    "leap": lambda: Poller().advance_clock(None),
    "request": Request,
    "connection": Connection,
}


@pytest.mark.parametrize("door", DOORS)
def test_wrong_type_raises_type_error(door: str) -> None:
    expected = BufferError if door == "context-read-only" else TypeError
    with pytest.raises(expected):
        DOORS[door]()


@pytest.mark.parametrize("field", [("a", None), (None, "a")])
def test_field_without_name_or_value_raises(field: Any) -> None:
    write_head(200, [("a", " b ")])  # whose methods Cython has looked up from here on
    with pytest.raises(TypeError, match="is a str, not None"):
        write_head(200, [field])


def test_listener_cannot_be_initialized_twice(pair: Make) -> None:
    house = pair()
    with pytest.raises(RuntimeError, match="begins once"):
        Listener.__init__(
            house.listener, house.poller, house.service, house.socket, FirstProtocol(house.find)
        )

    assert house.ask(get(), house.connect()) == [200]


def test_listener_requires_an_initialized_service(pair: Make) -> None:
    house = pair()
    unmade = ServerContext.__new__(ServerContext)
    with pytest.raises(ValueError, match="never set up"):
        Listener(house.poller, unmade, house.socket, FirstProtocol(house.find))

    assert len(house.poller) == 2


@pytest.mark.parametrize("bad", [None, socket.socket])
def test_listener_without_socket_leaves_no_entry(pair: Make, bad: Any) -> None:
    house = pair(worker_max_connections=1)
    with pytest.raises((AttributeError, TypeError)):
        Listener(house.poller, house.service, bad, FirstProtocol(house.find))
    house.client.close()
    house.turn()

    assert len(house.poller) == 1


@pytest.mark.parametrize("kind", [PollSource, SocketStream, Transport, Protocol, Http1, Connection])
def test_uninitialized_connection_does_nothing(kind: type[Any]) -> None:
    """Not by its constructor: by way of __new__, which every class has."""
    empty = kind.__new__(kind)
    for name in ("resume", "disconnect"):
        getattr(empty, name, lambda: None)()
    getattr(empty, "stop_draining", lambda _: None)(None)

    assert (getattr(empty, "fd", -1), getattr(empty, "addr", "-")) == (-1, "-")


@pytest.mark.parametrize("status", [-(2**31), -1, 0, 99, 600, 1000, 2**31 - 1])
def test_unknown_status_raises(status: int) -> None:
    with pytest.raises(ValueError, match=f"{status} is not a status: 100 to 599"):
        write_head(status)
    assert reason_phrase(status) == ""


@pytest.mark.parametrize("second", [-1, 253402300800, 2**63 - 1, -(2**63)])
def test_second_beyond_four_digit_years_raises(second: int) -> None:
    with pytest.raises(ValueError, match="no year"):
        write_head(200, second=second)
    assert b"date: Fri, 31 Dec 9999 23:59:59 GMT\r\n" in write_head(200, second=253402300799)


def test_number_out_of_range_raises() -> None:
    for door in (
        lambda: write_head(2**31),
        lambda: write_head(200, length=2**63),
        lambda: HeadReader(head_max=-1),
        lambda: HeadReader(fields_max=2**32),
        lambda: context(http_header_max=2**32),
        lambda: read_body([], 2**63),
    ):
        with pytest.raises(OverflowError):
            door()


@pytest.mark.parametrize("label", [None, "text", 5])
def test_route_without_label_fails_its_own_requests(pair: Make, label: Any) -> None:
    house = pair()
    house.route.label = label
    assert house.ask(get()) == [500]
    assert house.failed() == [TypeError]

    house.route.label = b"/route"
    assert house.ask(get()) == [200]


def test_allow_must_be_text(pair: Make) -> None:
    def refuse(request: Request) -> None:
        for allow in (None, b"GET", 5):
            with pytest.raises(TypeError, match="allow"):
                request.refuse(405, allow)  # type: ignore[arg-type]

    told(pair, get(), refuse)


ANSWERS: list[Callable[[Request, int], object]] = [
    lambda request, status: request.response(status),
    lambda request, status: request.response(status, iter([b"x"])),
    lambda request, status: request.refuse(status),
    lambda request, status: request.fail(status),
    lambda request, status: request.open_body(status),
]


@pytest.mark.parametrize("status", [-(2**31), -1, 0, 99, 101, 600, 1000, 2**31 - 1])
def test_response_is_possible_after_an_unknown_status(pair: Make, status: int) -> None:
    def try_all(request: Request) -> int:
        for answer in ANSWERS:
            with pytest.raises(ValueError, match=f"{status} is not a "):
                answer(request, status)
        return len(ANSWERS)

    assert told(pair, get(), try_all) == len(ANSWERS)


def test_streamed_body_has_one_head_and_begins_with_it(pair: Make) -> None:
    house = pair(None)
    house.ask(get())
    (request,) = house.held
    for piece in (lambda: request.write_body(b"x"), request.end_body):
        with pytest.raises(RuntimeError, match="open_body"):
            piece()
    request.open_body(200)
    with pytest.raises(RuntimeError, match="written already"):
        request.open_body(200)
    request.write_body(b"x")
    request.end_body()
    house.client.read()

    assert (house.client.statuses, house.client.last.body) == ([200], b"x")


def test_package_does_not_import_the_module_for_tests() -> None:
    importers = {
        str(path)
        for path in SOURCE.rglob("*.p*")
        if path.suffix in {".py", ".pyx", ".pxd"} and "_core.testing" in path.read_text()
    }

    assert importers == set()

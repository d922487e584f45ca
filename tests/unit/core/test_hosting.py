"""What hosting of other frameworks' applications needs: raw heads, pairs of fields, leaving."""

import socket
from collections.abc import Callable
from typing import Any

import pytest

from kore._core.request import Request
from tests.helpers.core_client import get, post
from tests.helpers.fix_core import Pair, told

Make = Callable[..., Pair]
FIELDS = [(b"x-a", b"1"), (b"Set-Cookie", b"a=1"), (b"x-b", b"2"), (b"Set-Cookie", b"b=2")]


def head_of(data: bytes) -> list[bytes]:
    """Return the field lines of a response, without those that the server adds."""
    own = (b"server:", b"date:", b"connection:", b"keep-alive:", b"content-length:")
    lines = data.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return [line for line in lines if not line.startswith(own)]


# ---- requests


@pytest.mark.parametrize(
    "target", ["/", "/a%2Fb/../c?q=%20&r", "*", "http://other/x?y", "/%c3%a9", "//a"]
)
def test_raw_target_is_as_it_was_sent(pair: Make, target: str) -> None:
    method = "OPTIONS" if target == "*" else "GET"

    assert told(pair, get(target, method=method), lambda r: r.raw_target) == target.encode()


def test_raw_fields_are_pairs_in_order_with_repeats(pair: Make) -> None:
    data = get("/", "X-A: 1", "Cookie: a=1", "x-a:2", "X-B:  \xe9 ", "COOKIE: b=2", "x-e:")

    assert told(pair, data, lambda request: request.raw_fields()) == [
        (b"host", b"h"), (b"x-a", b"1"), (b"cookie", b"a=1"), (b"x-a", b"2"),
        (b"x-b", b"\xe9"), (b"cookie", b"b=2"), (b"x-e", b""),
    ]  # fmt: skip


def test_addresses_have_ports(pair: Make) -> None:
    house = pair(None, tcp=True)
    house.ask(get())
    connection: Any = house.connection()
    own = house.client.socket

    assert connection.client_address == own.getsockname()
    assert connection.local_address == own.getpeername()
    assert connection.addr == own.getsockname()[0]
    house.held[0].response(200)
    own.close()
    house.turn(lambda: connection.fd == -1)
    assert connection.local_address is None
    assert connection.client_address is not None


def test_unix_sockets_have_no_addresses(pair: Make) -> None:
    def ask(request: Request) -> object:
        connection: Any = request.connection
        return (connection.client_address, connection.local_address, connection.addr)

    assert told(pair, get(), ask) == (None, None, "-")


# ---- responses


def test_response_fields_repeat_and_keep_their_order(pair: Make) -> None:
    def run(request: Request) -> None:
        assert request.set_response_fields(FIELDS) is None
        request.response(200, b"x")

    house = pair(run)
    house.client.send(get())
    house.turn()

    expected = [b"x-a: 1", b"Set-Cookie: a=1", b"x-b: 2", b"Set-Cookie: b=2"]
    assert head_of(house.client.take()) == expected


def test_framing_fields_are_taken_out(pair: Make) -> None:
    lengths: list[int | None] = []

    def run(request: Request) -> None:
        fields = [
            (b"Content-Length", b" 3"), (b"Transfer-Encoding", b"chunked"),
            (b"keep-alive", b"timeout=9"), (b"connection", b"Close"), (b"x", b"y"),
        ]  # fmt: skip
        lengths.append(request.set_response_fields(fields))
        request.response(200, b"abc")

    house = pair(run)
    house.ask(get())
    house.turn()
    house.client.read()

    assert lengths == [3]
    assert house.client.end == "closed"
    assert house.client.last.body == b"abc"


@pytest.mark.parametrize(
    ("field", "error"),
    [
        ((b"x", b"a\r\nb: c"), ValueError),
        ((b"x y", b"a"), ValueError),
        ((b"", b"a"), ValueError),
        ((b"x", b"a\0"), ValueError),
        ((b"content-length", b"-1"), ValueError),
        ((b"content-length", b"9" * 19), ValueError),
        ((b"x",), TypeError),
        ((b"x", "y"), TypeError),
        (None, TypeError),
        ([b"x", b"y"], TypeError),
    ],
)
def test_bad_fields_raise_and_change_nothing(
    pair: Make, field: Any, error: type[Exception]
) -> None:
    def run(request: Request) -> None:
        request.response_header("x-before", "1")
        with pytest.raises(error):
            request.set_response_fields([(b"x-a", b"1"), field])
        request.response(200)

    house = pair(run)
    house.client.send(get())
    house.turn()
    data = house.client.take()
    assert b"x-before: 1\r\n" in data
    assert b"x-a" not in data


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_body_in_pieces_has_the_announced_length(pair: Make, version: str) -> None:
    house = pair(None)
    house.client.send(get(version=version))
    house.turn()
    (request,) = house.held
    request.open_body(200, 6)
    for piece in (b"abc", b"", b"def"):
        request.write_body(piece)
    request.end_body()
    house.turn()
    data = house.client.take()

    assert b"content-length: 6\r\n" in data
    assert b"transfer-encoding" not in data
    assert data.endswith(b"\r\n\r\nabcdef")
    assert (house.client.end == "closed") == (version == "1.0")


def test_head_announces_a_length_without_a_body(pair: Make) -> None:
    house = pair(None)
    house.client.send(get(method="HEAD"))
    house.turn()
    (request,) = house.held
    request.open_body(200, 6)
    request.end_body()
    data = house.client.take()

    assert b"content-length: 6\r\n" in data
    assert data.endswith(b"\r\n\r\n")


def test_a_body_longer_than_announced_is_an_error(pair: Make) -> None:
    house = pair(None)
    house.client.send(get())
    house.turn()
    (request,) = house.held
    request.open_body(200, 4)
    request.write_body(b"abc")
    with pytest.raises(ValueError, match="1 bytes more"):
        request.write_body(b"de")
    request.write_body(b"d")
    request.end_body()

    assert house.client.take().endswith(b"\r\n\r\nabcd")


def test_a_body_shorter_than_announced_is_cut_off(pair: Make) -> None:
    house = pair(None)
    house.client.send(get())
    house.turn()
    (request,) = house.held
    request.open_body(200, 4)
    request.write_body(b"abc")
    request.end_body()
    house.turn()
    house.client.take()

    assert house.client.end in {"closed", "reset"}
    assert house.tasks[0].cancelled == 1


# ---- a client that leaves


def test_leaving_is_an_event_in_place_of_a_cancellation(pair: Make) -> None:
    house = pair(None)
    house.ask(post(b"x"))
    (request,) = house.held
    left: list[str] = []
    request.call_on_disconnect(lambda: left.append("left"))
    house.client.close(reset=True)
    house.turn(lambda: left)

    assert left == ["left"]
    assert house.tasks[0].cancelled == 0
    assert not request.is_served


def test_leaving_before_it_was_asked_about_is_an_event_as_well(pair: Make) -> None:
    house = pair(lambda request: house.held.append(request) or house.hold(request))
    house.ask(get())
    request = house.held[0]
    house.client.close(reset=True)
    house.turn(lambda: house.tasks[0].cancelled)
    left: list[str] = []
    request.call_on_disconnect(lambda: left.append("left"))

    assert left == ["left"]


def test_a_task_that_is_registered_after_leaving_is_not_cancelled(pair: Make) -> None:
    house = pair(None)
    house.ask(get())
    (request,) = house.held
    request.call_on_disconnect(lambda: None)
    house.client.close(reset=True)
    house.turn(lambda: house.service.connections == 0)
    task = house.task()
    request.register_task(task)

    assert task.cancelled == 0


def test_an_error_of_the_event_is_reported_and_tasks_are_cancelled(pair: Make) -> None:
    house = pair(None)
    house.ask(get())

    def fail() -> None:
        raise LookupError

    house.held[0].call_on_disconnect(fail)
    house.client.close(reset=True)
    house.turn(lambda: house.service.connections == 0)

    assert house.failed() == [LookupError]
    assert house.tasks[0].cancelled == 1


def test_a_response_that_is_complete_makes_no_event(pair: Make) -> None:
    house = pair(None)
    house.ask(get())
    (request,) = house.held
    left: list[str] = []
    request.call_on_disconnect(lambda: left.append("left"))
    request.response(200)
    request.call_on_disconnect(lambda: left.append("late"))
    house.client.socket.shutdown(socket.SHUT_RDWR)
    house.turn(lambda: house.service.connections == 0)

    assert left == []

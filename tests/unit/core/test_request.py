"""What a handler may ask of a request, and which answers it can give."""

import copy
import pickle
from collections.abc import Callable

import pytest

from kore._core.connection import Connection
from kore._core.request import Request
from tests.helpers.core_client import get, post
from tests.helpers.fix_core import Pair, Task, told

Make = Callable[..., Pair]


# ---- what is asked of a request


def test_a_body_is_bytes_and_without_one_there_are_none(pair: Make) -> None:
    assert told(pair, post(b"a\0b"), lambda request: request.body) == b"a\0b"
    assert told(pair, post(b""), lambda request: request.body) == b""
    assert told(pair, get(), lambda request: request.body) == b""


def test_captures_are_further_arguments(pair: Make) -> None:
    given: list[tuple[str, ...]] = []

    def resolve(request: Request) -> object:
        request.captures = ("a", "b")
        return house.route

    def run(request: Request, *captures: str) -> None:
        given.append(captures)
        request.response(200)

    house = pair(run, resolve=resolve)

    assert house.ask(get()) == [200]
    assert given == [("a", "b")]


def test_a_request_holds_whatever_is_put_on_it(pair: Make) -> None:
    def keep(request: Request) -> object:
        request.user = "me"
        request.connection.visits = 1
        return request.user, request.connection.visits, hasattr(request, "other")

    assert told(pair, get(), keep) == ("me", 1, False)


def test_what_a_request_says_cannot_be_changed(pair: Make) -> None:
    def change(request: Request) -> None:
        for name in ("method", "path", "host", "body", "answered", "status", "connection"):
            with pytest.raises(AttributeError):
                setattr(request, name, "other")

    told(pair, get(), change)


# ---- harmless without a connection


def test_a_request_can_only_be_made_by_the_core() -> None:
    with pytest.raises(TypeError, match=r"cannot create 'kore\.http_request'"):
        Request()


def test_a_request_that_nobody_sent_is_harmless() -> None:
    request = Request.__new__(Request)
    task = Task()
    request.register_task(task)

    assert (request.path, request.host, request.bare_host, request.method) == ("/", "", "", 0)
    assert (request.headers(), request.body, request.agent) == ({}, b"", None)
    assert request.get_route_label() == "/"
    assert (request.is_served, request.is_star, request.captures) == (False, False, None)
    assert repr(request) == "<kore.http_request  />"
    assert task.cancelled == 1


@pytest.mark.parametrize(
    "use",
    [
        lambda r: r.response(200, b"x"),
        lambda r: r.response(200, iter([b"x"])),
        lambda r: r.response(103),
        lambda r: r.refuse(404, "GET"),
        lambda r: r.fail(),
        lambda r: (r.open_body(200), r.write_body(b"x"), r.end_body(), r.drained()),
        lambda r: r.response_header("a", "b"),
        lambda r: r.connection,
    ],
)
def test_answering_a_request_that_nobody_sent_does_nothing(
    use: Callable[[Request], object],
) -> None:
    request = Request.__new__(Request)
    use(request)

    assert not request.answered


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.parametrize("which", ["request", "connection"])
def test_neither_a_request_nor_a_connection_can_be_copied(
    pair: Make, duplicate: Callable[[object], object], which: str
) -> None:
    def attempt(request: Request) -> None:
        with pytest.raises(TypeError):
            duplicate(request if which == "request" else request.connection)

    told(pair, get(), attempt)


def test_a_kept_request_outlives_its_connection(pair: Make) -> None:
    house = pair(None)
    house.ask(get("/kept", "a: b"))
    house.client.close()
    house.turn()
    request = house.held[0]

    assert (request.path, request.request_header("a")) == ("/kept", "b")
    assert (request.connection.fd, request.connection.addr) == (-1, "-")
    assert request.response(200, b"too late") is True
    assert not request.answered


def test_a_request_names_its_route(pair: Make) -> None:
    assert told(pair, get("/some"), lambda request: request.get_route_label()) == "/route"


def test_a_connection_can_only_be_made_by_the_core() -> None:
    with pytest.raises(TypeError, match=r"cannot create 'kore\.connection'"):
        Connection()

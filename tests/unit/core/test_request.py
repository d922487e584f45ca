"""What a handler may ask of a request, and which answers it can give."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from kore._core.connection import Connection
from kore._core.request import Request
from tests.helpers.core_client import get, post
from tests.helpers.fix_core import Pair, Task

Make = Callable[..., Pair]


def told(pair: Make, data: bytes, ask: Callable[[Request], object]) -> Any:
    """Return what a handler learns from the request in *data*."""
    found: list[object] = []

    def run(request: Request, *captures: str) -> None:
        found.append(ask(request))
        request.response(200)

    house = pair(run)
    assert house.ask(data) == [200]
    return found[0]


# ---- the question


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("GET", 1),
        ("POST", 2),
        ("PUT", 4),
        ("DELETE", 16),
        ("HEAD", 32),
        ("OPTIONS", 64),
        ("PATCH", 128),
    ],
)
def test_a_method_has_a_number_and_a_name(pair: Make, name: str, number: int) -> None:
    house = pair(None)
    house.client.reader.methods.append(name)
    house.ask(get(method=name))
    request = house.held[0]
    request.response(200)

    assert (request.method, request.method_name) == (number, name)
    assert repr(request) == f"<kore.http_request {name} />"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/?a=b", "/"),
        ("/a//b/../c", "/a//b/../c"),
        ("/%41%7e%2D", "/A~-"),
        ("/%2f%2F%25%e9", "/%2f%2F%25%e9"),
        ("/%2541", "/%2541"),
        ("/a%2Eb%", None),
        ("http://x", "/"),
        ("http://x?y", "/"),
        ("http://x/y%5f", "/y_"),
    ],
)
def test_a_path_keeps_the_escapes_that_matter(pair: Make, target: str, path: str | None) -> None:
    if path is None:
        assert pair().ask(get(target)) == [400]
    else:
        assert told(pair, get(target), lambda request: (request.path, request.path)) == (path, path)


@pytest.mark.parametrize(
    ("host", "bare"),
    [
        ("h", "h"),
        ("EXAMPLE.org", "example.org"),
        ("Example.org:8080", "example.org"),
        ("h:", "h"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::FF]", "[::ff]"),
        ("[::1]:80", "[::1]"),
        ("a" * 253 + ":65535", "a" * 253),
        ("123", "123"),
        ("A@Z[".replace("@", "-").replace("[", "_"), "a-z_"),
    ],
)
def test_the_host_is_as_sent_and_bare(pair: Make, host: str, bare: str) -> None:
    data = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()

    assert told(pair, data, lambda request: (request.host, request.bare_host)) == (host, bare)


def test_a_client_of_http_1_0_need_not_name_a_host(pair: Make) -> None:
    data = b"GET / HTTP/1.0\r\n\r\n"

    assert told(
        pair,
        data,
        lambda r: (
            r.host,
            r.bare_host,
            r.request_header("host"),
            "host" in r.headers(),
            r.protocol,
        ),
    ) == ("", "", None, False, "http")


def test_the_targets_host_goes_before_the_fields(pair: Make) -> None:
    data = b"GET http://Real:1/ HTTP/1.1\r\nHost: fake\r\n\r\n"

    assert told(
        pair, data, lambda r: (r.host, r.bare_host, r.request_header("HOST"), r.headers())
    ) == ("Real:1", "real", "Real:1", {"host": "Real:1"})


def test_only_options_of_the_asterisk_is_about_the_server(pair: Make) -> None:
    assert told(pair, get("*", method="OPTIONS"), lambda request: request.is_star) is True
    assert told(pair, get("/", method="OPTIONS"), lambda request: request.is_star) is False


FIELDS = ("A: 1", "b:2", "a: 3", "x_y: 4", "A^B: 5", "caf: \xe9\xff", "User-Agent: me", "empty:")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a", "1"),
        ("A", "1"),
        ("B", "2"),
        ("x_y", "4"),
        ("x-y", None),
        ("a^b", "5"),
        ("a~b", None),
        ("caf", "\xe9\xff"),
        ("empty", ""),
        ("", None),
        ("a\r\nb", None),
        (":", None),
        ("none", None),
        ("\u212a", None),
        ("host", "h"),
        ("a\0", None),
    ],
)
def test_a_field_is_found_by_its_name_in_any_case(pair: Make, name: str, value: str | None) -> None:
    assert told(pair, get("/", *FIELDS), lambda request: request.request_header(name)) == value


def test_all_fields_come_in_one_dictionary(pair: Make) -> None:
    assert told(pair, get("/", *FIELDS), lambda request: (request.headers(), request.agent)) == (
        {
            "host": "h",
            "a": "3",
            "b": "2",
            "x_y": "4",
            "a^b": "5",
            "caf": "\xe9\xff",
            "user-agent": "me",
            "empty": "",
        },
        "me",
    )


def test_a_request_without_fields_has_none(pair: Make) -> None:
    assert told(pair, b"GET / HTTP/1.0\r\n\r\n", lambda r: (r.headers(), r.agent)) == ({}, None)


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
    request.attend(task)

    assert (request.path, request.host, request.bare_host, request.method) == ("/", "", "", 0)
    assert (request.headers(), request.body, request.agent, request.where()) == ({}, b"", None, "/")
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
    assert told(pair, get("/some"), lambda request: request.where()) == "/route"


def test_a_connection_can_only_be_made_by_the_core() -> None:
    with pytest.raises(TypeError, match=r"cannot create 'kore\.connection'"):
        Connection()

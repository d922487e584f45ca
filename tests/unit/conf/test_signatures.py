"""Functions that cannot be called as they will be are refused, with what they must accept."""

import functools
import types
from collections.abc import AsyncIterator, Generator, Iterator
from functools import partial
from typing import Any

import pytest

from kore._conf.builder import Builder
from kore._conf.route_options import build_requirements
from kore.errors import ConfigError
from tests.helpers.conf import App, complaints


def none() -> bool:
    return True


def one(_):  # type: ignore[no-untyped-def] # shown in what is said
    return True


def two(_, __):  # type: ignore[no-untyped-def] # as above
    return True


def three(_: object, __: object, ___: object) -> bool:
    return True


def keyword(_: object, __: object, *, strict: bool) -> bool:
    return strict


class Checks:
    def method(self, _: object, __: object) -> bool:
        return True

    def __call__(self, *_: object) -> bool:
        return True


@functools.wraps(three)
def decorated(*arguments: Any) -> bool:
    return three(*arguments, None)


def refusal(**keywords: Any) -> str:
    """Return why a route is refused, nothing if it is not."""
    try:
        build_requirements("/x", ("GET",), keywords)
    except ConfigError as error:
        return str(error)
    return ""


def auth(kind: str, verify: object) -> dict[str, object]:
    return {"type": kind, "value": "x", "verify": verify}


@pytest.mark.parametrize("function", [none, one, three, keyword, Checks.method])
def test_a_validator_takes_a_request_and_a_value(function: Any) -> None:
    said = refusal(get={"v": function})

    assert said.startswith(f"route '/x': parameter 'v': the validator {function.__qualname__}(")
    assert " must accept (req, value); it is at tests/unit/conf/test_signatures.py:" in said


@pytest.mark.parametrize(
    "function", [two, Checks().method, Checks(), decorated, functools.partial(three, 1), max]
)
def test_callables_of_any_kind_are_accepted(function: Any) -> None:
    assert refusal(get={"v": function}) == refusal(auth=auth("cookie", function)) == ""


def test_an_authentication_validator_accepts_the_arguments_of_its_type() -> None:
    assert refusal(auth=auth("request", one)) == refusal(auth=auth("header", two)) == ""
    assert "two(_, __) must accept (req); it is at " in refusal(auth=auth("request", two))
    said = refusal(auth=auth("header", one))
    words = "route '/x': the authentication validator one(_) must accept (req, value); it is at "
    assert said.startswith(words)


def test_an_error_of_a_file_names_the_line_of_the_directive() -> None:
    text = (
        "validator v function one\n"
        "authentication a {\n authentication_type cookie\n authentication_value x\n"
        " authentication_validator v\n}\n"
        "authentication b {\n authentication_type request\n authentication_validator two\n}\n"
    )
    first, second = complaints(text, App({"one": one, "two": two}))

    where = "kore.conf:2: authentication 'a'"
    words = "the authentication validator one(_) must accept (req, value); it is at "
    assert first.startswith(f"{where}: {words}")
    where = "kore.conf:7: authentication 'b'"
    assert second.startswith(f"{where}: the authentication validator two(_, ")


def test_a_validator_of_the_file_may_authenticate_requests() -> None:
    text = (
        "validator v function one\n"
        "authentication a {\n authentication_type request\n authentication_validator v\n}\n"
    )
    assert complaints(text, App({"one": one})) == []


# ---- handlers and their captures


def capture(_: object, __: str) -> None:
    raise NotImplementedError


def optional(_: object, __: str = "") -> None:
    raise NotImplementedError


def many(_: object, *__: str) -> None:
    raise NotImplementedError


def items(_: object) -> Iterator[bytes]:
    yield b""


async def async_items(_: object) -> AsyncIterator[bytes]:
    yield b""


@types.coroutine
def coroutine(_: object) -> Generator[None, None, None]:
    yield


class Page:
    def __init__(self, _: object) -> None:
        raise NotImplementedError

    def show(self, _: object) -> None:
        raise NotImplementedError

    def items(self, _: object) -> Iterator[bytes]:
        yield b""


class Called:
    def __call__(self, _: object) -> None:
        raise NotImplementedError


class CalledItems:
    def __call__(self, _: object) -> Iterator[bytes]:
        yield b""


def routed(path: str, handler: Any) -> str:
    """Return what is said of a handler, or nothing."""
    try:
        Builder().route(path, handler)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("path", "handler"),
    [
        ("/", one), ("/", optional), ("/", many), ("/", coroutine), ("/", Page), ("/", Called()),
        ("/", Page.__new__(Page).show), ("/", partial(capture, 1)), ("/", print),
        ("^/x$", one), ("^/([0-9]+)$", capture), ("^/([0-9]+)$", optional), ("^/([a-z]+)$", many),
        ("^/(a)(b)$", many), ("^/(?:a|b)/([0-9]+)$", capture), ("^/a(/[0-9]+)?$", optional),
        ("^/(?:a(x)|b(y))$", optional), ("^/" + "(a)" * 16 + "$", many),
    ],
)  # fmt: skip
def test_a_handler_takes_the_captures_of_its_route(path: str, handler: Any) -> None:
    assert routed(path, handler) == ""


@pytest.mark.parametrize(
    ("path", "handler", "wanted"),
    [
        ("/", none, "(req), the path has no groups"), ("/", capture, "(req)"),
        ("^/$", capture, "(req)"),
        ("^/([0-9]+)$", one, "(req, capture), one argument for each group"),
        ("^/(a)/(b)$", one, "(req, capture1, capture2)"),
        ("^/(a)(b)$", capture, "(req, capture1, "),
        ("^/(a|b)(c)?$", none, "(req, capture1, capture2)"),
    ],
)  # fmt: skip
def test_a_handler_with_other_parameters_is_refused(path: str, handler: Any, wanted: str) -> None:
    said = routed(path, handler)

    assert said.startswith(f"route '{path}': the handler {handler.__name__}(")
    assert f" must accept {wanted}" in said
    assert "; it is at tests/unit/conf/test_signatures.py:" in said


@pytest.mark.parametrize(
    "handler", [items, async_items, Page.__new__(Page).items, CalledItems(), partial(items)]
)
def test_a_generator_function_is_refused_as_handler(handler: Any) -> None:
    said = routed("/", handler)

    assert " generator: nothing would run it; to stream a body, write" in said
    assert "; it is at tests/unit/conf/test_signatures.py:" in said


@pytest.mark.parametrize("path", ["/u/{n}", "/u/<n>", "/u/<int:n>", "/u/{n:int}"])
def test_a_handler_for_captures_of_other_frameworks_is_left_to_the_notice(path: str) -> None:
    assert routed(path, capture) == ""


# ---- everything else that is called


@pytest.mark.parametrize(
    ("keywords", "wanted"),
    [
        ({"hooks": {"on_headers": none}}, "on_headers none() -> bool must accept (req)"),
        ({"hooks": {"on_body_chunk": one}}, "on_body_chunk one(_) must accept (req, piece)"),
        ({"hooks": {"on_free": two}}, "on_free two(_, __) must accept (req)"),
        ({"hooks": {"on_free": items}}, "on_free items("),
        ({"websocket": {"onconnect": two}}, "onconnect two(_, __) must accept (conn)"),
        ({"websocket": {"onmsg": one}}, "onmsg one(_) must accept (conn, op, data)"),
        ({"websocket": {"ondisconnect": two}}, "ondisconnect two(_, __) must accept (conn)"),
        ({"get": {"v": items}}, "parameter 'v': the validator items("),
    ],
)
def test_all_callbacks_of_a_route_are_checked(keywords: dict[str, Any], wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Builder().route("/x", one, **keywords)
    assert str(caught.value).startswith(f"route '/x': {wanted}")


def test_prerequests_and_tracers_are_checked() -> None:
    builder = Builder()
    with pytest.raises(ConfigError, match=r"the prerequest two\(_, __\) must accept \(req\)"):
        builder.prerequest(two)
    with pytest.raises(ConfigError, match=r"the tracer two\(_, __\) must accept \(type, value, tr"):
        builder.tracer = two
    assert (builder.prerequests, builder.tracer) == ([], None)

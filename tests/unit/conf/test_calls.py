"""Functions that cannot be called as they will be are refused, with what they must accept."""

import functools
from typing import Any

import pytest

from kore._conf.demands import demands
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
        demands("/x", ("GET",), keywords)
    except ConfigError as error:
        return str(error)
    return ""


def auth(kind: str, verify: object) -> dict[str, object]:
    return {"type": kind, "value": "x", "verify": verify}


@pytest.mark.parametrize("function", [none, one, three, keyword, Checks.method])
def test_a_validator_takes_a_request_and_a_value(function: Any) -> None:
    said = refusal(get={"v": function})

    assert said.startswith(f"route '/x': parameter 'v': the validator {function.__qualname__}(")
    assert said.endswith(" must accept (req, value)")


@pytest.mark.parametrize(
    "function", [two, Checks().method, Checks(), decorated, functools.partial(three, 1), max]
)
def test_whatever_can_be_called_so_is_let_in(function: Any) -> None:
    assert refusal(get={"v": function}) == refusal(auth=auth("cookie", function)) == ""


def test_who_lets_in_takes_what_there_is_to_look_at() -> None:
    assert refusal(auth=auth("request", one)) == refusal(auth=auth("header", two)) == ""
    assert refusal(auth=auth("request", two)).endswith("two(_, __) must accept (req)")
    said = refusal(auth=auth("header", one))
    assert said == "route '/x': the authentication validator one(_) must accept (req, value)"


def test_a_file_is_told_the_line_of_what_would_call_it() -> None:
    text = (
        "validator v function one\n"
        "authentication a {\n authentication_type cookie\n authentication_value x\n"
        " authentication_validator v\n}\n"
        "authentication b {\n authentication_type request\n authentication_validator two\n}\n"
    )
    first, second = complaints(text, App({"one": one, "two": two}))

    where = "kore.conf:2: authentication 'a'"
    assert first == f"{where}: the authentication validator one(_) must accept (req, value)"
    where = "kore.conf:7: authentication 'b'"
    assert second.startswith(f"{where}: the authentication validator two(_, ")


def test_a_validator_of_the_file_may_be_asked_about_a_request() -> None:
    text = (
        "validator v function one\n"
        "authentication a {\n authentication_type request\n authentication_validator v\n}\n"
    )
    assert complaints(text, App({"one": one})) == []

"""Hints for names of other frameworks."""

from typing import Any

import pytest

import kore
from kore._conf.builder import Builder
from kore._conf.suggestions import suggest_for_error
from kore._core.connection import Connection
from kore._core.request import Request


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("get", 'write @kore.route("/", methods=["get"])'),
        ("run", "the command `kore app.py` serves"),
        ("Flask", "the command `kore app.py` serves"),
        ("jsonify", "json.dumps() makes JSON"),
        ("routes", "(did you mean 'route'?)"),
        ("task_creat", "(did you mean 'task_create'?)"),
    ],
)
def test_an_unknown_name_of_the_package_has_a_hint(name: str, hint: str) -> None:
    with pytest.raises(AttributeError) as raised:
        getattr(kore, name)
    assert f"module 'kore' has no attribute '{name}'" in str(raised.value)
    assert hint in str(raised.value)


def test_names_that_tools_look_up_have_no_hint() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute '__wrapped__'$"):
        getattr(kore, "__wrapped__")  # noqa: B009 - it is not there


@pytest.mark.parametrize(
    ("kind", "name", "hint"),
    [
        (Request, "respond", "respond: write req.response(200, body)\n"),
        (Request, "json", "json: write json.loads(req.body)\n"),
        (Request, "argumnet", "argumnet: did you mean 'argument'?\n"),
        (Request, "zzzzzz", ""),
        (Connection, "disconect", "disconect: did you mean 'disconnect'?\n"),
        (Connection, "form", ""),
    ],
)
def test_an_unknown_attribute_has_a_hint(kind: type, name: str, hint: str) -> None:
    with pytest.raises(AttributeError) as raised:
        getattr(kind.__new__(kind), name)
    assert suggest_for_error(raised.value) == hint


def test_errors_of_other_objects_have_no_hint() -> None:
    named = AttributeError("x", name="respond", obj=7)
    for error in (AttributeError("respond"), named, KeyError()):
        assert suggest_for_error(error) == ""


def test_calls_as_in_other_frameworks_have_a_hint(builder: Builder) -> None:
    domain: Any = builder.domain("*", "default")
    with pytest.raises(TypeError) as raised:
        domain.route("/")
    assert suggest_for_error(raised.value).startswith("write @kore.route(path, domain=")
    server: Any = kore.server
    with pytest.raises(TypeError) as raised:
        server(host="127.0.0.1", port=0)
    assert suggest_for_error(raised.value) == "write ip=\n"
    request: Any = Request.__new__(Request)
    with pytest.raises(TypeError) as raised:
        request.response(200, b"", headers={"a": "b"})
    assert suggest_for_error(raised.value).startswith("write req.response_header(")
    assert suggest_for_error(TypeError("other")) == ""

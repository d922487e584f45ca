"""Mistakes in handlers: the log names the line, what is wrong, and what to write."""

import re

import pytest

from tests.helpers.build import get, post
from tests.helpers.fix_serve import Launcher, Server

APP = """
import asyncio
from http import HTTPStatus
domain = kore.domain("*", attach="http")

async def load():
    return b"x"

@kore.route("/status", methods=["get"])
def status(req):
    req.response("hello")

@kore.route("/swapped", methods=["get"])
def swapped(req):
    req.response("hello", 200)

@kore.route("/digits", methods=["get"])
def digits(req):
    req.response("404", b"x")

@kore.route("/enum", methods=["get"])
def enum(req):
    req.response(HTTPStatus.CREATED, b"x")

@kore.route("/forgotten", methods=["get"])
async def forgotten(req):
    load()
    req.response(200, b"done")

@kore.route("/body", methods=["get"])
async def body(req):
    req.response(200, load())

@kore.route("/text", methods=["get"])
def text(req):
    return "hello"

@kore.route("/dict", methods=["get"])
async def dictionary(req):
    return {"a": 1}

@kore.route("/none", methods=["get"])
def none(req):
    pass

@kore.route("/undeclared", methods=["get", "post"], post={"q": "^.*$"})
def undeclared(req):
    req.populate_get()
    req.response(200, repr(req.argument("q")))

@kore.route("/unpopulated", methods=["get"], get={"q": "^[a-z]*$"})
def unpopulated(req):
    found = req.argument("q"), req.arguments()
    req.populate_get()
    req.response(200, repr((found, req.argument("q"))))

@kore.route("/form", methods=["post"], post={"q": "^.*$"})
def form(req):
    before = req.argument("q")
    req.populate_post()
    req.response(200, repr((before, req.argument("q"))))
"""
LINES = APP.splitlines()


@pytest.fixture(scope="module")
def server(serve_module: Launcher) -> Server:
    return serve_module(APP)


def line_of(server: Server, text: str) -> int:
    """Return the line of the application, as the launcher has written it, with this text."""
    lines = (server.log.path.parent / "app.py").read_text().splitlines()
    return 1 + lines.index(next(line for line in lines if text in line))


@pytest.mark.parametrize(
    ("path", "call", "said"),
    [
        ("/status", 'response("hello")', "not str: it comes first: write req.response(200, ...)"),
        ("/swapped", 'response("hello", 200)', "it comes first: write req.response(200, 'hello')"),
        ("/digits", 'response("404"', "not str: write req.response(404, ...)"),
        ("/body", "response(200, load())", "await it"),
    ],
)
def test_a_wrong_response_is_named_with_its_line(
    server: Server, path: str, call: str, said: str
) -> None:
    place = f'app.py", line {line_of(server, call)}, in '
    with server.expecting(said, place), server.connect() as client:
        assert client.ask(get(path)).status == 500


def test_a_status_may_be_one_of_the_library(server: Server) -> None:
    with server.connect() as client:
        assert client.ask(get("/enum")).status == 201


def test_a_forgotten_await_is_in_the_log(server: Server) -> None:
    place = f"app.py:{line_of(server, '    load()')}: "
    said = f"{place}coroutine 'load' was never awaited: it has not run; write `await load(...)`"
    with server.expecting(said, errors=0), server.connect() as client:
        assert client.ask(get("/forgotten")).status == 200


@pytest.mark.parametrize(
    ("path", "function", "hint"),
    [
        ("/text", "text", "; it returned str, which is not sent: write req.response(200, ...)"),
        ("/dict", "dictionary", "; it returned dict, which is not sent: write req.respo"),
        ("/none", "none", " ("),
    ],
)
def test_a_handler_without_an_answer_is_told_of_with_its_place(
    server: Server, path: str, function: str, hint: str
) -> None:
    words = f"no response: the handler of route '{path}' ended without calling response()"
    place = f"app.py:{line_of(server, f'def {function}(req)') - 1})"
    with server.expecting(words + hint, place, errors=0), server.connect() as client:
        assert client.ask(get(path)).status == 500


def test_an_undeclared_argument_is_told_once_for_each_line(server: Server) -> None:
    place = f"app.py:{line_of(server, 'response(200, repr(req.argument')}: "
    said = f"{place}req.argument('q') finds nothing: the route does not declare it for this method"
    with server.expecting(said, errors=0), server.connect() as client:
        for _ in range(3):
            assert client.ask(get("/undeclared?q=1")).body == b"None"
    assert server.log.text().count(said) == 1


def test_an_argument_that_was_not_populated_is_told_once(server: Server) -> None:
    asks = f"app.py:{line_of(server, 'found = req.argument')}: "
    said = f"{asks}req.argument('q') finds nothing: req.populate_get() was not called before"
    also = f"{asks}req.arguments() is empty: no populate_ function was called before"
    with server.expecting(said, also, errors=0), server.connect() as client:
        for _ in range(3):
            assert client.ask(get("/unpopulated?q=a")).body == b"((None, {}), 'a')"
    assert server.log.text().count(said) == 1


def test_so_is_a_form(server: Server) -> None:
    field = "content-type: application/x-www-form-urlencoded"
    said = "req.argument('q') finds nothing: req.populate_post() or req.populate_multi() was not"
    with server.expecting(said, errors=0), server.connect("POST") as client:
        client.send(post(b"q=1", -1, field, target="/form"))
        assert client.answer().body == b"(None, '1')"


def test_a_value_that_is_not_there_or_not_accepted_is_no_mistake(server: Server) -> None:
    start = server.log.size()
    with server.connect() as client:
        client.ask(get("/unpopulated?q=1"))
        client.ask(get("/unpopulated"))
    assert not re.search(r"line \d+.*populate_get\(\).*after", server.log.text(start))

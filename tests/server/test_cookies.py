"""Cookies, between a server and clients that keep them."""

import json
from http.cookies import SimpleCookie
from pathlib import Path

import pytest

from tests.helpers.build import get
from tests.helpers.fix_worker import ThreadLauncher, ThreadServer
from tests.server.test_tools import curl, url

APP = """
import datetime, json

domain = kore.domain("*", attach="http")

@kore.route("/read", methods=["get"])
def read(req):
    one = req.cookie("one")
    req.populate_cookies()
    req.response(200, json.dumps([one, req.cookie("one"), req.cookies()]))

@kore.route("/set", methods=["get"])
def set_cookies(req):
    req.response_cookie("one", "1")
    req.response_header("x-between", "yes")
    req.response_cookie("two", "2", path="/read", max_age=60, http_only=False, same_site="Strict")
    req.response_cookie("gone", "", max_age=0)
    req.response(200, b"set")

@kore.route("/clear", methods=["get"])
def clear(req):
    req.response_cookie("one", "", max_age=0)
    req.response(200, b"cleared")

@kore.route("/replace", methods=["get"])
def replace(req):
    req.response_cookie("one", "1")
    req.response_cookie("two", "2")
    req.response_header("Set-Cookie", "three=3")
    req.response_cookie("four", "4")
    req.response(200, (piece for piece in ("a", "b")))

@kore.route("/twice", methods=["get"])
def twice(req):
    req.response_cookie("one", "", max_age=0)
    req.response_cookie("two", "2")
    req.response_cookie("one", "", path="/old", max_age=0)
    req.response_cookie("one", "1")
    req.response_cookie("two", "3", replace=False)
    req.response(200, b"")

@kore.route("/thrice", methods=["get"])
async def thrice(req):
    async def pieces():
        req.response_cookie("four", "3")
        yield "a"
    req.response_header("set-cookie", "two=1; path=/; DOMAIN=.A.test")
    req.response_cookie("one", "1")
    req.response_cookie("one", "2", replace=False)
    await kore.suspend(1)
    req.response_cookie("two", "2", domain="a.test")
    req.response_cookie("three", "3", path=None)
    req.response_cookie("one", "3", max_age=5)
    req.response_cookie("four", "1")
    req.response(200, pieces())

@kore.route("/bad", methods=["get"])
def bad(req):
    tried = []
    for name, value, more in [
        ("a b", "1", {}), ("a", "1; path=/", {}), ("a", "x\\r\\ny: z", {}),
        ("a", "1", {"same_site": "None"}), ("__Host-a", "1", {}),
    ]:
        try:
            req.response_cookie(name, value, **more)
        except ValueError as error:
            tried.append(str(error))
    req.response(200, json.dumps(tried))

@kore.route("/dropped", methods=["get"])
def dropped(req):
    req.response_cookie("one", "1")
    raise LookupError("after the cookie")
"""


@pytest.fixture(scope="module")
def server(serve_thread: ThreadLauncher) -> ThreadServer:
    return serve_thread(APP)


def cookies(server: ThreadServer, target: str) -> list[str]:
    with server.connect() as client:
        return client.ask(get(target)).all("set-cookie")


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([], {}),
        (["Cookie: one=1; two=2"], {"one": "1", "two": "2"}),
        (["Cookie: two=2", "Cookie: one=1; two=3"], {"two": "2", "one": "1"}),
        (["COOKIE: one=a=b==; x"], {"one": "a=b=="}),
        (['cookie: one="q d"'], {"one": '"q d"'}),
        (["Cookie: One=1"], {"One": "1"}),
    ],
)
def test_cookies_are_there_with_or_without_populate(
    server: ThreadServer, fields: list[str], found: dict[str, str]
) -> None:
    with server.connect() as client:
        said = json.loads(client.ask(get("/read", *fields)).body)

    assert said == [found.get("one"), found.get("one"), found]


def test_several_cookies_are_several_fields(server: ThreadServer) -> None:
    assert cookies(server, "/set") == [
        "one=1; Path=/; HttpOnly; SameSite=Lax",
        "two=2; Path=/read; Max-Age=60; SameSite=Strict",
        "gone=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax",
    ]


def test_the_standard_library_understands_them(server: ThreadServer) -> None:
    jar: SimpleCookie = SimpleCookie()
    for text in cookies(server, "/set"):
        jar.load(text)

    assert {name: morsel.value for name, morsel in jar.items()} == {
        "one": "1",
        "two": "2",
        "gone": "",
    }
    assert (jar["two"]["path"], jar["two"]["max-age"]) == ("/read", "60")


def test_curl_keeps_them_and_brings_them_back(server: ThreadServer, tmp_path: Path) -> None:
    jar = str(tmp_path / "jar")
    curl("-b", "gone=x", "-c", jar, url(server, "/set"))
    read = curl("-b", jar, url(server, "/read")).splitlines()[-1]
    curl("-b", jar, "-c", jar, url(server, "/clear"))
    after = curl("-b", jar, url(server, "/read")).splitlines()[-1]

    assert json.loads(read)[2] == {"two": "2", "one": "1"}
    assert json.loads(after)[2] == {"two": "2"}


def test_the_later_of_two_cookies_of_one_name_replaces_the_earlier(server: ThreadServer) -> None:
    """RFC 6265 section 4.1.1: browsers need not keep the order of two."""
    with server.connect() as client:
        answer = client.ask(get("/twice"))

    assert [(value.split("; ")[:2]) for value in answer.all("set-cookie")] == [
        ["two=2", "Path=/"],
        ["one=", "Path=/old"],
        ["one=1", "Path=/"],
        ["two=3", "Path=/"],
    ]


def test_a_later_cookie_replaces_all_earlier_ones_that_are_the_same(server: ThreadServer) -> None:
    assert [value.split("; ")[0] for value in cookies(server, "/thrice")] == [
        "two=2",
        "three=3",
        "one=3",
        "four=3",
    ]


def test_a_field_set_as_such_takes_the_place_of_all(server: ThreadServer) -> None:
    assert cookies(server, "/replace") == ["three=3", "four=4; Path=/; HttpOnly; SameSite=Lax"]


def test_a_cookie_that_browsers_would_refuse_is_an_error_and_is_not_sent(
    server: ThreadServer,
) -> None:
    with server.connect() as client:
        answer = client.ask(get("/bad"))

    assert len(json.loads(answer.body)) == 5
    assert answer.get("set-cookie") is None


def test_a_handler_that_fails_sets_no_cookie(server: ThreadServer) -> None:
    with server.expecting("after the cookie"):
        assert cookies(server, "/dropped") == []

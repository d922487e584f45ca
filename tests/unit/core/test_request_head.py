"""The head of a request as a handler reads it: method, path, query, host, fields."""

import string
from collections.abc import Callable
from typing import Any

import pytest

from kore._core.request import Request
from kore._core.request_head import RequestHead
from tests.helpers.core_client import get
from tests.helpers.fix_core import Pair, told

Make = Callable[..., Pair]


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


def test_any_method_reaches_the_router_if_it_is_accepted(pair: Make) -> None:
    house = pair(None)
    house.service.accept_any_method()
    house.ask(get(method="PROPFIND"))
    request = house.held[0]
    request.response(200)

    assert (request.method, request.method_name, request.path) == (0, "PROPFIND", "/")


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/?a=b", "/"),
        ("/a//b/../c", "/a//b/../c"),
        ("/%41%7e%2D", "/A~-"),
        ("/%2f%2F%25%e9", "/%2F%2F%25%E9"),
        ("/%40%2b%5b%7c", "/@+[|"),
        ('/"<>^`{}', "/%22%3C%3E%5E%60%7B%7D"),
        ("/%22%3c%5C%0a", "/%22%3C%5C%0A"),
        ("/%2541", "/%2541"),
        ("/a%2Eb%", None),
        ("http://x", "/"),
        ("http://x?y", "/"),
        ("http://x/y%5f", "/y_"),
    ],
)
def test_a_path_has_one_spelling(pair: Make, target: str, path: str | None) -> None:
    if path is None:
        assert pair().ask(get(target)) == [400]
    else:
        assert told(pair, get(target), lambda request: (request.path, request.path)) == (path, path)


def test_what_may_stand_plainly_loses_its_escape(pair: Make) -> None:
    """The characters that the URL standard leaves plain in a path, without the slash."""
    codes = range(1, 256)
    path = told(pair, get("".join(f"/%{code:02x}" for code in codes)), lambda r: r.path)
    found = dict(zip(map(chr, codes), path[1:].split("/"), strict=True))

    plain = {character for character, text in found.items() if text == character}
    assert plain == {*string.ascii_letters, *string.digits, *"-._~!$&'()*+,;=:@[]|"}
    assert all(found[c] == f"%{ord(c):02X}" for c in found.keys() - plain)


def test_the_path_of_options_star_is_no_path_of_a_route(pair: Make) -> None:
    assert told(pair, get("*", method="OPTIONS"), lambda request: request.path) == "*"


@pytest.mark.parametrize(
    ("target", "query"),
    [
        ("/", ""),
        ("/?", ""),
        ("/?a=b&c", "a=b&c"),
        ("/?%41+%zz?", "%41+%zz?"),
        ("/%41?b", "b"),
        ("http://x?y", "y"),
        ("http://x/?/y", "/y"),
    ],
)
def test_a_query_is_as_it_was_sent(pair: Make, target: str, query: str) -> None:
    assert told(pair, get(target), lambda request: request.query_string) == query


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
        ("Example.org.", "example.org"),
        ("Example.org.:80", "example.org"),
        ("example.org..", "example.org."),
        (".", "."),
        (".:80", "."),
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
    assert told(pair, data, lambda r: r.header_values("Host")) == ["Real:1"]


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


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("a", ["1", "3"]),
        ("A", ["1", "3"]),
        ("b", ["2"]),
        ("empty", [""]),
        ("none", []),
        ("", []),
        ("host", ["h"]),
    ],
)
def test_a_repeated_field_has_all_its_values(pair: Make, name: str, values: list[str]) -> None:
    assert told(pair, get("/", *FIELDS), lambda request: request.header_values(name)) == values


@pytest.mark.parametrize("value", ["a b", 'W/"x", y', ":", "a: b", "\t1", "1 \t ", "  "])
def test_a_value_is_what_is_between_the_blanks(pair: Make, value: str) -> None:
    assert told(pair, get("/", f"x:{value}"), lambda r: r.request_header("x")) == value.strip(" \t")


@pytest.mark.parametrize("name", [None, b"a", 1])
def test_a_field_is_asked_for_by_text(pair: Make, name: Any) -> None:
    def ask(request: Request) -> None:
        for method in (request.request_header, request.header_values):
            with pytest.raises(TypeError, match="name"):
                method(name)

    told(pair, get("/", *FIELDS), ask)


def test_a_question_that_nobody_asked_is_empty() -> None:
    question = RequestHead()

    assert (question.method, question.method_name, question.path) == (0, "", "/")
    assert (question.host, question.bare_host, question.query_string) == ("", "", "")
    assert (question.is_star, question.protocol, question.agent) == (False, "http", None)
    assert (question.request_header("a"), question.header_values("a")) == (None, [])
    assert question.headers() == {}

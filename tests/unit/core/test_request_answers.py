"""The answers a request takes, and those it refuses."""

from collections.abc import Callable
from typing import Any

import pytest

from kore._core.request import Request
from kore._core.writer import convert_body
from tests.helpers.core_client import get
from tests.helpers.fix_core import Pair

Make = Callable[..., Pair]


# ---- bodies


NUMBERS = memoryview(bytearray(range(8))).cast("I")


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ("caf\xe9", b"caf\xc3\xa9"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcd")[1:3], b"bc"),
        (memoryview(b"abcd")[::2], b"ac"),
        (memoryview(b"abcdef").cast("B", (2, 3)), b"abcdef"),
        (memoryview(b""), b""),
        (NUMBERS, bytes(range(8))),
        (NUMBERS.toreadonly(), bytes(range(8))),
        (memoryview(bytearray(b"ab")).toreadonly(), b"ab"),
        (memoryview(b"ab").cast("c"), b"ab"),
    ],
)
def test_what_has_bytes_becomes_bytes(body: object, sent: bytes) -> None:
    found = convert_body(body)

    assert isinstance(found, bytes | memoryview)
    assert bytes(found) == sent
    assert not isinstance(found, memoryview) or (found.readonly, found.ndim) == (True, 1)


def test_what_has_none_is_left_alone() -> None:
    things = [3, None, [b"a"], iter(())]

    assert [convert_body(thing) for thing in things] == things


def test_what_may_change_is_copied_at_once() -> None:
    data = bytearray(b"before")
    found = [
        convert_body(data),
        convert_body(memoryview(data)),
        convert_body(memoryview(data).toreadonly()),
    ]
    data[:] = b"after!"

    assert found == [b"before"] * 3


# ---- fields of the answer


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a\r\nb", "c"),
        ("a b", "c"),
        ("", "c"),
        ("a:", "c"),
        ("a", "b\r\nc: d"),
        ("a", "b\0"),
        ("\u010a", "b"),
        ("Transfer-Encoding", "chunked"),
        ("content-length", "-1"),
        ("content-length", "1 "),
        ("content-length", ""),
        ("content-length", "9" * 19),
        ("content-length", "\xb2"),
    ],
)
def test_a_field_that_would_break_the_answer_is_refused(pair: Make, name: str, value: str) -> None:
    def attempt(request: Request) -> None:
        with pytest.raises(ValueError, match=r"\w"):
            request.response_header(name, value)
        request.response(200)

    house = pair(attempt)

    assert house.ask(get()) == [200]
    assert [key for key, _ in house.client.last.fields] == [
        "server",
        "date",
        "connection",
        "keep-alive",
        "content-length",
    ]


def test_a_later_field_takes_the_place_of_an_earlier_one(pair: Make) -> None:
    def run(request: Request) -> None:
        for name, value in (
            ("X-A", "1"),
            ("b", "2"),
            ("x-a", "3"),
            ("keep-alive", "no"),
            ("connection", "x"),
        ):
            assert request.response_header(name, value) is True
        request.response(200)

    house = pair(run)
    house.ask(get())

    assert house.client.last.fields[-3:] == [("b", "2"), ("x-a", "3"), ("content-length", "0")]
    assert house.client.last.get("connection") == "keep-alive"


@pytest.mark.parametrize("value", ["close", "Close", "x, close"])
def test_connection_close_closes(pair: Make, value: str) -> None:
    house = pair(lambda r: (r.response_header("Connection", value), r.response(200)))

    assert house.ask(get()) == [200]
    assert (house.client.last.get("connection"), house.client.end) == ("close", "closed")


@pytest.mark.parametrize("status", [-1, 0, 99, 101, 600, 1000])
def test_a_status_that_is_none_is_refused(pair: Make, status: int) -> None:
    house = pair(lambda request: request.response(status))

    assert house.ask(get()) == [500]
    assert house.failed() == [ValueError]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), TypeError),
        (("200",), TypeError),
        ((1 << 40,), OverflowError),
        ((200, 5), TypeError),
        ((200, "\ud800"), UnicodeEncodeError),
        ((200, object()), TypeError),
    ],
)
def test_what_cannot_be_an_answer_is_an_error_of_the_handler(
    pair: Make, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    house = pair(lambda request: request.response(*arguments))

    assert house.ask(get()) == [500]
    assert house.failed() == [error]


def test_a_second_answer_is_an_error_and_not_sent(pair: Make) -> None:
    house = pair(lambda request: (request.response(200, b"a"), request.response(200, b"b")))

    assert house.ask(get()) == [200]
    assert house.client.last.body == b"a"
    assert house.failed() == [RuntimeError]


def test_a_refusal_is_a_short_text_without_the_handlers_fields(pair: Make) -> None:
    house = pair(lambda r: (r.response_header("x", "y"), r.refuse(405, "GET, HEAD"), r.refuse(404)))

    assert house.ask(get()) == [405]
    assert house.client.last.body == b"405 Method Not Allowed\n"
    assert house.client.last.get("allow") == "GET, HEAD"
    assert house.client.last.get("x") is None


def test_a_refused_range_is_told_the_size(pair: Make) -> None:
    house = pair(lambda request: request.refuse(416, size=10))

    assert house.ask(get()) == [416]
    assert house.client.last.body == b"416 Range Not Satisfiable\n"
    assert house.client.last.get("content-range") == "bytes */10"


def test_refusing_with_204_sends_no_text(pair: Make) -> None:
    house = pair(lambda request: request.refuse(204, "GET"))

    assert house.ask(get(method="OPTIONS")) == [204]
    assert house.client.last.get("allow") == "GET"

"""Empty lines between requests, RFC 9112 2.2: no request, and no beginning of one."""

from collections.abc import Callable

import pytest

from tests.helpers.core_client import get, post
from tests.helpers.fix_core import Pair

Make = Callable[..., Pair]
SOON = 50


@pytest.mark.parametrize("rest", [b"\r\n", b"\r", b"\r\n\r\n", b"\r\n\r"])
def test_an_empty_line_behind_a_body_is_no_beginning_of_a_request(pair: Make, rest: bytes) -> None:
    house = pair(http_header_timeout=10, http_keepalive_time=SOON)
    house.ask(post(b"abc") + rest)
    house.sweep(20)
    assert house.ask(b"") == []

    house.sweep(SOON)
    house.client.read()
    assert (house.client.statuses, house.client.end) == ([200], "closed")


@pytest.mark.parametrize("rest", [b"\r\n", b"\r\n\r\n"])
def test_a_request_behind_an_empty_line_is_answered(pair: Make, rest: bytes) -> None:
    house = pair()
    house.ask(post(b"abc") + rest)

    assert house.ask(get()) == [200]
    for byte in rest + get():
        house.client.send(bytes([byte]))
        house.turn()
    house.client.read()
    assert house.client.statuses == [200] * 3


@pytest.mark.parametrize("pieces", [1, 6])
def test_more_empty_lines_are_refused_in_one_piece_and_in_many(pair: Make, pieces: int) -> None:
    house = pair()
    house.ask(post(b"abc"))
    blank = b"\r\n" * 3
    for at in range(0, 6, 6 // pieces):
        house.ask(blank[at : at + 6 // pieces])

    assert (house.client.statuses, house.client.end) == ([200, 400], "closed")


@pytest.mark.parametrize("rest", [b"\r\n", b"\r"])
def test_an_empty_line_before_the_end_of_input_keeps_nothing_open(pair: Make, rest: bytes) -> None:
    house = pair()
    house.ask(post(b"abc") + rest)
    house.client.finish()
    house.turn()
    house.client.read()

    assert (house.client.statuses, house.client.end) == ([200], "closed")


def test_a_request_that_begins_behind_an_empty_line_has_a_limit(pair: Make) -> None:
    house = pair(http_header_timeout=10, http_keepalive_time=SOON)
    house.ask(post(b"abc") + b"\r\n")
    house.ask(b"GET /")
    house.sweep(11)
    house.client.read()

    assert house.client.statuses == [200, 408]

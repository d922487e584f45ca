"""Fields of a response: their order, what replaces what, and pairs that are none."""

from collections.abc import Callable
from typing import Any

import pytest

from kore._core.request import Request
from tests.helpers.core_client import get
from tests.helpers.fix_core import Pair

Make = Callable[..., Pair]


def fields_of(pair: Make, run: Callable[[Request], object]) -> list[bytes]:
    """Return the field lines of a response, without those of the server."""
    house = pair(run)
    house.client.send(get())
    house.turn()
    head = house.client.read().partition(b"\r\n\r\n")[0]
    own = (b"server:", b"date:", b"connection:", b"keep-alive:", b"content-length:")
    return [line for line in head.split(b"\r\n")[1:] if not line.startswith(own)]


def test_fields_keep_their_order_and_spelling(pair: Make) -> None:
    def run(request: Request) -> None:
        for name in ("X-C", "x-a", "X-b"):
            request.response_header(name, name)
        request.response(200)

    assert fields_of(pair, run) == [b"X-C: X-C", b"x-a: x-a", b"X-b: X-b"]


def test_a_field_replaces_those_of_its_name_and_is_the_last_then(pair: Make) -> None:
    def run(request: Request) -> None:
        request.response_header("X-A", "1")
        request.response_header("x-b", "2")
        request.response_header("x-a", "3")
        request.response(200)

    assert fields_of(pair, run) == [b"x-b: 2", b"x-a: 3"]


PAIRS = [(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3")]


def test_pairs_repeat_and_are_replaced_by_what_the_application_has_set(pair: Make) -> None:
    def run(request: Request) -> None:
        request.response_header("X-B", "own")
        request.respond_with_parts(200, PAIRS, (b"x",))

    assert fields_of(pair, run) == [b"x-a: 1", b"x-a: 3", b"X-B: own"]


def test_pairs_are_copied(pair: Make) -> None:
    given = list(PAIRS)

    def run(request: Request) -> None:
        request.respond_with_parts(200, given, (b"x",))
        request.response_header("x-a", "late")

    fields_of(pair, run)
    assert given == PAIRS


@pytest.mark.parametrize("bad", ["x-a", (b"x",), (b"x", "y"), [b"x", b"y"], None, ("x", b"y")])
def test_other_pairs_are_a_type_error(pair: Make, bad: Any) -> None:
    def run(request: Request) -> None:
        with pytest.raises(TypeError, match="pair of bytes"):
            request.respond_with_parts(200, [bad], ())
        request.response(200)

    assert fields_of(pair, run) == []

"""What can be the body of an answer, and what is refused before anything is sent."""

import re
from collections import OrderedDict
from collections.abc import Callable, Coroutine

import pytest

from kore._core.request import Request
from tests.helpers.core_client import get
from tests.helpers.fix_core import Pair

Make = Callable[..., Pair]


async def coroutine() -> bytes:
    return b"never"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (lambda: {"a": 1}, r"not dict: json\.dumps\(\)"),
        (lambda: OrderedDict(a=1), r"not OrderedDict: json\.dumps\(\)"),
        (lambda: {"a"}, "not set, which has no order"),
        (lambda: frozenset({b"a"}), "not frozenset"),
        (coroutine, "not coroutine: await it"),
        (lambda: 3, "not int: json"),
        (object, "not object: json"),
        (lambda: [b"a", 1], "not list of int: json"),
        (lambda: ("a", None), "not tuple of NoneType: json"),
        (lambda: [["a"]], "not list of list: json"),
    ],
)
def test_what_gives_no_text_is_refused_before_anything_is_sent(
    pair: Make, make: Callable[[], object], advice: str, method: str
) -> None:
    said: list[str] = []

    def handler(request: Request) -> None:
        body = make()
        with pytest.raises(TypeError) as error:
            request.response(200, body)
        said.append(str(error.value))
        if isinstance(body, Coroutine):
            body.close()
        request.response(200, b"another answer")

    house = pair(handler)
    house.client.reader.methods.append(method)

    assert house.ask(get(method=method)) == [200]
    assert re.search(advice, said[0])

"""Access log lines of random requests: one line each, with the values of a simple oracle."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.helpers.expected_accesslog import Lines, expected, known, lines

ASKED = (
    "$request|$request_no_args|$request_method|$request_uri|$uri|$args|$server_protocol|$host|"
    "$http_user_agent|$http_referer|$http_x"
)
AS_JSON = '{"' + '","'.join(f'{name}":"{name}' for name in ASKED.split("|")) + '"}'

TARGETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30)
VALUES = st.binary(max_size=40)
NAMES = st.sampled_from([b"user-agent", b"Referer", b"REFERER", b"x", b"X", b"xx", b"y"])
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=6)


@pytest.fixture(scope="module")
def text() -> Iterator[Lines]:
    with tempfile.TemporaryDirectory() as directory, lines(Path(directory) / "a", ASKED) as made:
        yield made


@pytest.fixture(scope="module")
def in_json() -> Iterator[Lines]:
    with tempfile.TemporaryDirectory() as directory, lines(Path(directory) / "a", AS_JSON) as made:
        yield made


@pytest.fixture(scope="module")
def everything() -> Iterator[Lines]:
    with tempfile.TemporaryDirectory() as directory, lines(Path(directory) / "a", "json") as made:
        yield made


@given(TARGETS, FIELDS)
@example("/?", [])
@example("http://h", [(b"x", b"")])
def test_line_of_a_request_is_that_of_the_oracle(
    text: Lines, in_json: Lines, target: str, fields: list[tuple[bytes, bytes]]
) -> None:
    head = b"".join(b"%b: %b\r\n" % field for field in fields)
    raw = f"GET {target} HTTP/1.1\r\nHost: a.test\r\n".encode() + head + b"\r\n"
    if known(raw) is None:
        return

    assert text.line(raw).decode("ascii") == expected(raw, ASKED, json=False)
    assert in_json.line(raw).decode("ascii") == expected(raw, AS_JSON, json=True)


@given(st.binary(max_size=200), st.integers(0, 2**62), st.booleans())
@example(b"\r\n\r\nGET / HTTP/1.1\r\nhost", 0, True)
@example(b"GET /?a HTTP/9.9\r\n", 1, True)
@example(b"BREW /\xff HTTP/1.1\r\n\r\n", 1, False)
@example(b"GET * HTTP/1.1\r\n", 1, True)
def test_any_input_is_one_line_of_text_and_of_json(
    text: Lines, everything: Lines, raw: bytes, number: int, complete: bool
) -> None:
    for made in (text, everything):
        line = made.line(raw, sent=number, body_sent=number, received=number, duration_ms=number)
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        assert all(0x20 <= byte <= 0x7E for byte in line[:-1])

    told = json.loads(everything.line(raw, complete=complete, duration_ms=number))
    assert told["completion"] == ("OK" if complete else "")
    assert told["request_time"] == number / 1000

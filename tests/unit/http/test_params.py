"""Queries and forms: split, decoded and judged, beside the standard library's reading."""

import re
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._conf.schema import ParameterRule
from kore._http.params import (
    FORM,
    QUERY,
    ParameterSource,
    ValidatedParameters,
    parse_pairs,
    validate_fields,
)
from kore._http.sync_or_async import run_maybe_async
from kore.errors import RefusedError

ANY = ParameterRule(search=re.compile("").search)
DIGITS = ParameterRule(search=re.compile(r"^[0-9]+\Z").search)


def split(text: bytes) -> list[tuple[str, bytes]]:
    return list(parse_pairs(text, 1000))


def judged(
    text: bytes, source: ParameterSource = QUERY, **rules: ParameterRule
) -> ValidatedParameters:
    found = run_maybe_async(validate_fields(source, parse_pairs(text, 1000), rules, None))
    assert isinstance(found, ValidatedParameters)
    return found


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (b"", []),
        (b"a=1&b=2", [("a", b"1"), ("b", b"2")]),
        (b"a=1=2", [("a", b"1=2")]),
        (b"a=Zg==", [("a", b"Zg==")]),
        (b"a=", [("a", b"")]),
        (b"a", [("a", b"")]),
        (b"=x", [("", b"x")]),
        (b"&&a=1&&", [("a", b"1")]),
        (b"a=x+y%20z", [("a", b"x y z")]),
        (b"a=x%2By%26z", [("a", b"x+y&z")]),
        (b"a=%4", [("a", b"%4")]),
        (b"a=%", [("a", b"%")]),
        (b"a=a%zzb%u0041", [("a", b"a%zzb%u0041")]),
        (b"%69d=1", [("id", b"1")]),
        (b"a=1;b=2", [("a", b"1;b=2")]),
        (b"a=%ff", [("a", b"\xff")]),
    ],
)
def test_a_query_is_split_and_decoded(text: bytes, fields: list[tuple[str, bytes]]) -> None:
    assert split(text) == fields


@given(st.text(alphabet="ab=&+%0ZfF3;é\u20ac", max_size=40))
def test_the_standard_library_reads_the_same(text: str) -> None:
    oracle = parse_qsl(text, keep_blank_values=True)

    assert [(n, v.decode("utf-8", "replace")) for n, v in split(text.encode())] == oracle


def test_more_parameters_than_the_limit_are_refused_before_any_is_decoded() -> None:
    assert len(list(parse_pairs(b"a&" * 9 + b"a", 10))) == 10
    with pytest.raises(RefusedError, match="more than 10 parameters") as refused:
        next(parse_pairs(b"&" * 10, 10))
    assert refused.value.status == 400


def test_only_declared_parameters_are_validated() -> None:
    found = judged(b"id=1&other=2&ID=3", id=DIGITS)

    assert (found.values, found.rejected) == ({"id": ["1"]}, [])


def test_all_accepted_values_are_kept_in_order_and_the_others_are_named() -> None:
    found = judged(b"id=x&id=2&id=&id=1&id", id=DIGITS)

    assert (found.values, found.rejected) == ({"id": ["2", "1"]}, ["id"] * 3)


@pytest.mark.parametrize("value", [b"%ff", b"%c3", b"\xff", b"%ed%a0%80", b"%c0%af"])
def test_a_value_that_is_not_utf8_is_rejected(value: bytes) -> None:
    assert judged(b"v=" + value, v=ANY).rejected == ["v"]


def test_a_value_beyond_ascii_is_text() -> None:
    assert judged(b"v=%C3%A9+\xe2\x82\xac", v=ANY).values == {"v": ["é €"]}


@pytest.mark.parametrize("escape", ["%00", "%07", "%1b", "%7f"])
def test_a_control_character_is_rejected_anywhere(escape: str) -> None:
    assert judged(f"v=a{escape}".encode(), v=ANY).rejected == ["v"]
    assert judged(f"v=a{escape}".encode(), FORM, v=ANY).rejected == ["v"]


def test_lines_may_stand_in_a_form_but_not_in_a_query() -> None:
    assert judged(b"v=a%0D%0A%09b", v=ANY).rejected == ["v"]
    assert judged(b"v=a%0D%0A%09b", FORM, v=ANY).values == {"v": ["a\r\n\tb"]}


def test_a_validator_function_gets_the_request_and_the_text() -> None:
    asked = []

    def verify(request: object, value: str) -> bool:
        asked.append((request, value))
        return value == "b"

    found = run_maybe_async(
        validate_fields(
            QUERY, parse_pairs(b"v=a&v=b", 10), {"v": ParameterRule(verify=verify)}, "request"
        )
    )

    assert asked == [("request", "a"), ("request", "b")]
    assert found.values == {"v": ["b"]}

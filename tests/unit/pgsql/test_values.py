"""Encoding of parameters and queries."""

import enum
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._pgsql.values import encode_params, encode_query
from kore.errors import DatabaseError


class Color(enum.StrEnum):
    RED = "red"


class Size(enum.IntEnum):
    LARGE = 3


@pytest.mark.parametrize(
    ("params", "values", "formats"),
    [
        (None, [], None),
        ([], [], None),
        (["a", "ü"], [b"a", "ü".encode()], None),
        (("a", 1), [b"a", b"1"], None),
        ([1.5, True, False, None], [b"1.5", b"t", b"f", None], None),
        (["a", b"b", bytearray(b"c"), memoryview(b"d")], [b"a", b"b", b"c", b"d"], [0, 1, 1, 1]),
        ([Color.RED, Size.LARGE], [b"red", b"3"], None),
        ([-(10**30)], [b"-1" + b"0" * 30], None),
    ],
)
def test_params_are_encoded_for_libpq(
    params: list[object] | None, values: list[bytes], formats: list[int] | None
) -> None:
    assert encode_params(params) == (values, formats)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"a": 1}, "pgsql: params keyword must be a list"),
        ("a", "pgsql: params keyword must be a list"),
        ([1, Decimal(1)], "pgsql: item 1 is not a string or bytes.*but Decimal"),
        ([[1]], "pgsql: item 0 is not a string or bytes"),
        (["a\0"], "pgsql: item 0 has a NUL"),
        ([1, b"x", "\udcff"], "pgsql: item 2 cannot be encoded in UTF-8"),
        ([1] * 65536, "pgsql: list length too large"),
    ],
)
def test_invalid_params_are_refused(params: object, message: str) -> None:
    with pytest.raises(DatabaseError, match=message):
        encode_params(params)


@given(st.lists(st.one_of(st.text(), st.binary(), st.integers(), st.none(), st.booleans())))
def test_each_param_has_one_value(params: list[object]) -> None:
    try:
        values, formats = encode_params(params)
    except DatabaseError as error:
        assert "NUL" in str(error) or "UTF-8" in str(error)  # noqa: PT017
        return
    assert len(values) == len(params)
    for index, (value, param) in enumerate(zip(values, params, strict=True)):
        assert (value is None) == (param is None)
        if isinstance(param, str):
            assert value == param.encode()
            assert b"\0" not in value
        assert (formats or [0] * len(params))[index] == isinstance(param, bytes)


@pytest.mark.parametrize(
    ("query", "message"), [("a\0b", "the query has a NUL"), ("\ud800", "cannot be encoded")]
)
def test_query_that_libpq_would_truncate_is_refused(query: str, message: str) -> None:
    with pytest.raises(DatabaseError, match=message):
        encode_query(query)


def test_query_must_be_str() -> None:
    with pytest.raises(TypeError, match="query must be str, not bytes"):
        encode_query(b"SELECT 1")

"""The statement that begins a transaction."""

import pytest

from kore._pgsql.session import build_begin
from kore.errors import DatabaseError


@pytest.mark.parametrize(
    ("isolation", "readonly", "statement"),
    [
        (None, False, b"BEGIN"),
        (None, True, b"BEGIN READ ONLY"),
        ("serializable", False, b"BEGIN ISOLATION LEVEL SERIALIZABLE"),
        ("Repeatable Read", True, b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
    ],
)
def test_a_transaction_begins_as_it_was_asked_for(
    isolation: object, readonly: bool, statement: bytes
) -> None:
    assert build_begin(isolation, readonly=readonly) == statement


@pytest.mark.parametrize("isolation", ["", "strict", 1, b"serializable"])
def test_an_unknown_isolation_level_is_an_error(isolation: object) -> None:
    with pytest.raises(ValueError, match="is none of"):
        build_begin(isolation, readonly=False)


def test_readonly_is_a_flag() -> None:
    with pytest.raises(DatabaseError, match="readonly not True or False"):
        build_begin(None, readonly=1)  # type: ignore[arg-type]

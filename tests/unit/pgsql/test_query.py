"""Queries without a server: their keywords, and connections that cannot run them."""

from types import SimpleNamespace
from typing import Any

import pytest

from kore._pgsql.query import ResultFormat, ensure_idle, parse_format
from kore.errors import DatabaseError


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("bytea", [False, True])
def test_the_form_of_values_is_two_flags(binary: bool, bytea: bool) -> None:
    assert parse_format(binary, bytea) == ResultFormat(binary, bytea)


@pytest.mark.parametrize(
    ("binary", "bytea", "words"),
    [
        (1, False, "binary not True or False"),
        (None, True, "binary not True or False"),
        (False, 1, "bytea not True or False"),
        (True, "yes", "bytea not True or False"),
    ],
)
def test_another_flag_is_an_error(binary: object, bytea: object, words: str) -> None:
    with pytest.raises(DatabaseError, match=words):
        parse_format(binary, bytea)


def test_a_connection_that_was_lost_raises_why() -> None:
    connection: Any = SimpleNamespace(lost_error=DatabaseError("gone"), pending=None)

    with pytest.raises(DatabaseError, match="gone"):
        ensure_idle(connection)


def test_a_connection_runs_one_query_at_a_time() -> None:
    connection: Any = SimpleNamespace(lost_error=None, pending=object())

    with pytest.raises(DatabaseError, match="another query is in progress"):
        ensure_idle(connection)


def test_an_idle_connection_may_run_a_query() -> None:
    connection: Any = SimpleNamespace(lost_error=None, pending=None)

    ensure_idle(connection)

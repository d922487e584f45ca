"""Errors of psycopg and of the server as `DatabaseError`."""

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg.pq import DiagnosticField, ExecStatus

from kore._pgsql.errors import (
    EMPTY_QUERY,
    copy_error,
    has_not_run,
    make_connection_error,
    make_query_error,
    map_error,
    map_errors,
)
from kore.errors import DatabaseError


def make_result(
    message: bytes | None, status: int = ExecStatus.FATAL_ERROR, **fields: bytes
) -> Any:
    """Return the part of a result that an error is made of."""
    by_code = {DiagnosticField[name.upper()]: value for name, value in fields.items()}
    return SimpleNamespace(status=int(status), error_message=message, error_field=by_code.get)


def test_block_maps_errors_of_psycopg_only() -> None:
    with pytest.raises(DatabaseError, match=r"^pgsql error: gone$") as caught, map_errors():
        raise psycopg.OperationalError("gone\n")
    assert caught.value.__suppress_context__
    with pytest.raises(KeyError), map_errors():
        raise KeyError


def test_error_is_stripped() -> None:
    assert str(map_error(OSError(" no route \n"))) == "pgsql error: no route"


def test_connection_error_has_sqlstate() -> None:
    error = make_connection_error(make_result(b"FATAL: bye\n", sqlstate=b"57P01"))

    assert (str(error), error.sqlstate) == ("pgsql error: FATAL: bye", "57P01")


def test_query_error_has_fields() -> None:
    result = make_result(b"ERROR: x\n", sqlstate=b"23505", table_name=b"t", message_detail=b"\xff")
    error = make_query_error(result)

    assert (str(error), error.sqlstate) == ("failed to perform query: ERROR: x", "23505")
    assert error.fields == {"table": "t", "detail": "\ufffd"}


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (make_result(None, EMPTY_QUERY), "failed to perform query: it is empty"),
        (make_result(None), "failed to perform query: the connection is gone"),
    ],
)
def test_query_error_without_message(result: Any, message: str) -> None:
    assert str(make_query_error(result)) == message


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"message_primary": b'statement "kore_abc_1" does not exist'}, True),
        ({"source_function": b"RevalidateCachedQuery"}, True),
        ({"message_primary": b"of another"}, False),
        ({"message_primary": b"kore_abc_1", "context": b"PL/pgSQL function f()"}, False),
        ({}, False),
    ],
)
def test_query_has_not_run(fields: dict[str, bytes], *, expected: bool) -> None:
    assert has_not_run(make_result(b"", **fields), b"abc") is expected


def test_copy_of_an_error_is_equal() -> None:
    error = copy_error(DatabaseError("x", "42P01", {"table": "t"}))

    assert (str(error), error.sqlstate, error.fields) == ("x", "42P01", {"table": "t"})

"""`DatabaseError` made of what psycopg raises and of results that report an error.

The only place that knows how an error of libpq or of the server is worded for an application.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult

from kore.errors import DatabaseError

EMPTY_QUERY: Final = int(ExecStatus.EMPTY_QUERY)
# The function of the server that finds the columns of a prepared query changed.
REVALIDATION: Final = b"RevalidateCachedQuery"
FIELDS: Final = {
    "severity": DiagnosticField.SEVERITY_NONLOCALIZED,
    "primary": DiagnosticField.MESSAGE_PRIMARY,
    "detail": DiagnosticField.MESSAGE_DETAIL,
    "hint": DiagnosticField.MESSAGE_HINT,
    "position": DiagnosticField.STATEMENT_POSITION,
    "schema": DiagnosticField.SCHEMA_NAME,
    "table": DiagnosticField.TABLE_NAME,
    "column": DiagnosticField.COLUMN_NAME,
    "datatype": DiagnosticField.DATATYPE_NAME,
    "constraint": DiagnosticField.CONSTRAINT_NAME,
}


@contextmanager
def map_errors() -> Iterator[None]:
    """Raise DatabaseError for an error of psycopg raised in the block."""
    try:
        yield
    except psycopg.Error as error:
        raise map_error(error) from None


def map_error(error: Exception) -> DatabaseError:
    """Return the DatabaseError for an error of psycopg or of the operating system."""
    return make_error(str(error))


def make_error(message: str) -> DatabaseError:
    """Return an error that is not about one query, such as a lost connection."""
    return DatabaseError(f"pgsql error: {message.strip()}")


def make_connection_error(result: PGresult) -> DatabaseError:
    """Return the reason the server gives before it closes the connection."""
    error = make_error((result.error_message or b"").decode("utf-8", "replace"))
    state = result.error_field(DiagnosticField.SQLSTATE)
    return DatabaseError(str(error), state.decode() if state else None)


def make_query_error(result: PGresult) -> DatabaseError:
    """Return why a query failed, with SQLSTATE and the fields of the server's message."""
    if result.status == EMPTY_QUERY:
        return DatabaseError("failed to perform query: it is empty")
    values = {name: result.error_field(code) for name, code in FIELDS.items()}
    fields = {name: value.decode("utf-8", "replace") for name, value in values.items() if value}
    state = result.error_field(DiagnosticField.SQLSTATE)
    text = (result.error_message or b"").decode("utf-8", "replace").strip()
    message = f"failed to perform query: {text or 'the connection is gone'}"
    return DatabaseError(message, state.decode() if state else None, fields)


def has_not_run(result: PGresult, token: bytes) -> bool:
    """Return whether a prepared query failed before it ran.

    That is so if its name, which contains *token*, is unknown to the server, or its tables have
    changed. A function that the query calls may raise the same SQLSTATE; such an error has a
    context.
    """
    if result.error_field(DiagnosticField.CONTEXT):
        return False
    source = result.error_field(DiagnosticField.SOURCE_FUNCTION)
    primary = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b""
    return source == REVALIDATION or token in primary


def copy_error(error: DatabaseError) -> DatabaseError:
    """Return a copy of an error, to be raised again without the traceback of the first time."""
    return DatabaseError(str(error), error.sqlstate, error.fields)

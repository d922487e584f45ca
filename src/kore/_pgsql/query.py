"""Run one query on a connection, prepared if it is used again, and convert its result."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg.pq.abc import PGresult

from kore._pgsql.connection import PgConnection
from kore._pgsql.errors import has_not_run, make_query_error
from kore._pgsql.harmless import is_harmless
from kore._pgsql.rows import (
    SUCCESS_STATUSES,
    TUPLES_OK,
    Rows,
    convert_text_rows,
    count_affected,
    decode_column_names,
    get_command_tag,
)
from kore._pgsql.slices import UNSLICED_VALUES_MAX, convert_rows
from kore._pgsql.statements import PreparedStatement
from kore._pgsql.values import EncodedParams, encode_query
from kore.errors import DatabaseError

# Commands that the server can prepare, and whose plan is worth keeping.
PREPARABLE: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"})
# SQLSTATEs of a prepared statement that the server does not know, or whose tables have changed.
UNKNOWN_STATEMENT: Final = "26000"
STALE_STATES: Final = frozenset({"0A000", UNKNOWN_STATEMENT})
POOLER_HINT: Final = (
    "behind a pooler that gives each transaction another session: pgsql_prepared_max 0"
)

ColumnNames = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResultFormat:
    """The form of values: text; or bytes, for all (*binary*) or for columns of type bytea."""

    binary: bool = False
    bytea: bool = False


TEXT_FORMAT: Final = ResultFormat()


def parse_format(binary: object, bytea: object) -> ResultFormat:
    """Return the format for two keywords. Raises DatabaseError if one is not a bool."""
    if binary is False and bytea is False:
        return TEXT_FORMAT
    if type(binary) is not bool:
        raise DatabaseError("pgsql: binary not True or False")
    if type(bytea) is not bool:
        raise DatabaseError("pgsql: bytea not True or False")
    return ResultFormat(binary, bytea)


# Running


async def fetch_rows(
    connection: PgConnection, query: str, params: EncodedParams, result_format: ResultFormat
) -> Rows | None:
    """Run a query; return its rows, or None if it returns none, as an INSERT."""
    result, names = await _run_query(connection, query, params, result_format)
    return await convert_result(result, names, result_format)


async def execute_query(connection: PgConnection, query: str, params: EncodedParams) -> int:
    """Run a query; return how many rows it affected."""
    result, _ = await _run_query(connection, query, params, TEXT_FORMAT)
    return 0 if result is None else count_affected(result)


async def _run_query(
    connection: PgConnection, query: str, params: EncodedParams, result_format: ResultFormat
) -> tuple[PGresult | None, ColumnNames]:
    """Run a query; return its last result with rows, or else its last one, and the column names.

    Raises DatabaseError if it fails.
    """
    if not isinstance(query, str):
        raise TypeError(f"query must be str, not {type(query).__name__}")
    # After a query with unknown effects, prepared statements may refer to other tables.
    prepared = None if connection.needs_reset else connection.statements.prepared.get(query)
    if prepared is None:
        prepared = await _prepare_if_repeated(connection, query)
    if prepared is None:
        return await _run_unprepared(connection, query, params, result_format)
    prepared.used = True
    ensure_idle(connection)
    values, formats = params
    connection.pgconn.send_query_prepared(prepared.name, values, formats, result_format.binary)
    (result,) = await connection.start_query()
    if result.status in SUCCESS_STATUSES:
        return result, get_column_names(result, prepared)
    if not await drop_stale_statements(connection, result):
        raise make_prepared_error(connection, result)
    return await _run_unprepared(connection, query, params, result_format)


async def _run_unprepared(
    connection: PgConnection, query: str, params: EncodedParams, result_format: ResultFormat
) -> tuple[PGresult | None, ColumnNames]:
    """Run one statement, or several if there are no parameters, without preparing it."""
    encoded = encode_query(query)
    values, formats = params
    ensure_idle(connection)
    connection.note_effects(query)
    if values or result_format.binary:
        connection.pgconn.send_query_params(encoded, values, None, formats, result_format.binary)
    else:
        connection.pgconn.send_query(encoded)
    results = await connection.start_query()
    tags = check_results(results)
    is_preparable = len(tags) == 1 and tags[0] in PREPARABLE
    if is_preparable and not connection.needs_reset and is_harmless(query):
        connection.statements.note_use(query)
    with_rows = [result for result in results if result.status == TUPLES_OK]
    if with_rows:
        return with_rows[-1], decode_column_names(with_rows[-1])
    return (results[-1] if results else None), ()


def ensure_idle(connection: PgConnection) -> None:
    """Raise DatabaseError if a connection is closed, or runs a query already."""
    if connection.lost_error is not None:
        raise connection.lost_error
    if connection.pending is not None:
        raise DatabaseError("pgsql error: another query is in progress")


# Results


def check_results(results: Sequence[PGresult]) -> list[str]:
    """Return the command tags of results. Raises DatabaseError for the first that is an error."""
    tags = [get_command_tag(result) for result in results]
    for result in results:
        if result.status not in SUCCESS_STATUSES:
            raise make_query_error(result)
    if "LISTEN" in tags:
        raise DatabaseError(
            "failed to perform query: LISTEN has no effect in a query: use kore.listen()"
        )
    return tags


def get_column_names(result: PGresult, prepared: PreparedStatement | None) -> ColumnNames:
    """Return the column names of a result; those of a prepared statement are decoded once."""
    if prepared is None:
        return decode_column_names(result)
    if prepared.column_names is None:
        prepared.column_names = decode_column_names(result)
    return prepared.column_names


async def convert_result(
    result: PGresult | None, names: ColumnNames, result_format: ResultFormat
) -> Rows | None:
    """Return the rows of a result; None if it has none, not even an empty set."""
    if result is None or result.status != TUPLES_OK:
        return None
    count = result.ntuples
    if result_format is TEXT_FORMAT and count * len(names) <= UNSLICED_VALUES_MAX:
        return convert_text_rows(result, names, 0, count)
    return await convert_rows(result, names, binary=result_format.binary, bytea=result_format.bytea)


# Prepared statements


async def _prepare_if_repeated(connection: PgConnection, query: str) -> PreparedStatement | None:
    """Prepare a query that has run before on this connection; None: it has not, or cannot be.

    Raises DatabaseError if preparing fails in a transaction, which has failed with it.
    """
    statements = connection.statements
    if connection.needs_reset or query not in statements.seen_once:
        return None
    await evict_statements(connection, 1)
    name = statements.make_name()
    ensure_idle(connection)
    connection.pgconn.send_prepare(name, encode_query(query))
    # If this is cancelled, the server may know a statement that the cache does not.
    connection.needs_reset = True
    results = await connection.start_query()
    connection.needs_reset = False
    for result in results:
        if result.status not in SUCCESS_STATUSES:
            statements.seen_once.pop(query, None)
            # Outside of a transaction the query runs unprepared, and reports its own error.
            if connection.in_transaction:
                raise make_query_error(result)
            return None
    return statements.add(query, name)


async def evict_statements(connection: PgConnection, room: int) -> None:
    """Close as many prepared statements as needed to prepare *room* others."""
    while name := connection.statements.evict(room):
        connection.needs_reset = True
        await _close_statement(connection, name)
        connection.needs_reset = False


async def _close_statement(connection: PgConnection, name: bytes) -> None:
    """Close a prepared statement on the server."""
    try:
        # Poolers that know prepared statements understand the message, but not DEALLOCATE.
        connection.pgconn.send_close_prepared(name)
    except psycopg.NotSupportedError:  # libpq before 17
        await connection.send_command(b"DEALLOCATE " + name)
    else:
        await connection.start_query()


async def drop_stale_statements(
    connection: PgConnection, result: PGresult, *, may_retry: bool = True
) -> bool:
    """Drop all prepared statements if *result* says that one is stale.

    Returns whether to run the query again, unprepared: only if it has not run, and outside of a
    transaction, which has failed. *may_retry* is False if another query of a pipeline has run.
    """
    problem = make_query_error(result)
    if problem.sqlstate not in STALE_STATES:
        return False
    has_run = not may_retry or not has_not_run(result, connection.statements.token)
    if connection.in_transaction or has_run:
        # A failed transaction accepts no commands; the reset after it drops the statements.
        connection.needs_reset = True
        return False
    connection.statements.clear()
    check_results(await connection.send_command(b"DEALLOCATE ALL"))
    return True


def make_prepared_error(connection: PgConnection, result: PGresult) -> DatabaseError:
    """Return why a prepared query failed, with a hint if a pooler is likely the cause."""
    problem = make_query_error(result)
    if problem.sqlstate == UNKNOWN_STATEMENT and connection.in_transaction:
        problem.args = (f"{problem} ({POOLER_HINT})",)
    return problem

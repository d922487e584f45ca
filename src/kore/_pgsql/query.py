"""What is asked on a connection, and what is made of the answer."""

from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg.pq.abc import PGresult

from kore._dataclass import dataclass
from kore._pgsql.connection import Connection
from kore._pgsql.harmless import is_harmless
from kore._pgsql.rows import (
    GOOD,
    TUPLES_OK,
    Rows,
    affected,
    columns,
    failure,
    has_not_run,
    rows,
    tag,
)
from kore._pgsql.slices import VALUES, converted
from kore._pgsql.statements import PreparedStatement
from kore._pgsql.values import Values, statement
from kore.errors import DatabaseError

# Commands that the server can prepare, and whose plan it is worth to keep.
PREPARABLE: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"})
# A prepared statement whose tables have changed, or that is not there any more: sqlstates.
LOST: Final = "26000"
STALE: Final = frozenset({"0A000", LOST})
POOLER: Final = "behind a pooler that gives each transaction another session: pgsql_prepared_max 0"

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResultFormat:
    """What values are to look like: text; or bytes, all of them, or those of type bytea."""

    binary: bool = False
    bytea: bool = False


TEXT: Final = ResultFormat()


def form(binary: object, bytea: object) -> ResultFormat:
    """Return what an application asked for."""
    if binary is False and bytea is False:
        return TEXT
    if type(binary) is not bool:
        raise DatabaseError("pgsql: binary not True or False")
    if type(bytea) is not bool:
        raise DatabaseError("pgsql: bytea not True or False")
    return ResultFormat(binary, bytea)


async def ask(
    connection: Connection, query: str, values: Values, wanted: ResultFormat
) -> tuple[PGresult | None, Names]:
    """Return the last result that counts, and the names of its columns."""
    if not isinstance(query, str):
        raise TypeError(f"query must be str, not {type(query).__name__}")
    # What is prepared may be out of date once something unknown has run.
    known = None if connection.soiled else connection.statements.prepared.get(query)
    if known is None:
        known = await worth_preparing(connection, query)
    if known is None:
        return await ask_once(connection, query, values, wanted)
    known.used = True
    sending(connection)
    connection.pgconn.send_query_prepared(known.name, values[0], values[1], wanted.binary)
    (result,) = await connection.expect()
    if result.status in GOOD:
        return result, called(result, known)
    if not await renewed(connection, result):
        raise refusal(connection, result)
    return await ask_once(connection, query, values, wanted)


def called(result: PGresult, known: PreparedStatement | None) -> Names:
    """Return the names of a result's columns."""
    if known is None:
        return columns(result)
    if known.columns is None:
        known.columns = columns(result)
    return known.columns


async def ask_once(
    connection: Connection, query: str, values: Values, wanted: ResultFormat
) -> tuple[PGresult | None, Names]:
    """Ask what is not prepared: one statement, or several if it has no parameters."""
    encoded = statement(query)
    sending(connection)
    connection.note(query)
    if values[0] or wanted.binary:
        connection.pgconn.send_query_params(encoded, values[0], None, values[1], wanted.binary)
    else:
        connection.pgconn.send_query(encoded)
    results = await connection.expect()
    tags = judged(results)
    if len(tags) == 1 and tags[0] in PREPARABLE and not connection.soiled and is_harmless(query):
        connection.statements.came_before(query)
    found = [result for result in results if result.status == TUPLES_OK]
    if found:
        return found[-1], columns(found[-1])
    return (results[-1] if results else None), ()


def judged(results: Sequence[PGresult]) -> list[str]:
    """Return the commands that ran, or raise what went wrong."""
    tags = [tag(result) for result in results]
    for result in results:
        if result.status not in GOOD:
            raise failure(result)
    if "LISTEN" in tags:
        raise DatabaseError("failed to perform query: LISTEN hears nothing here: use listen()")
    return tags


async def worth_preparing(connection: Connection, query: str) -> PreparedStatement | None:
    """Prepare a query that has come before."""
    statements = connection.statements
    if connection.soiled or query not in statements.once:
        return None
    await make_room(connection, 1)
    name = statements.name()
    sending(connection)
    connection.pgconn.send_prepare(name, statement(query))
    # Unless it comes to its end here, the server may know a name that we do not.
    connection.soiled = True
    results = await connection.expect()
    connection.soiled = False
    for result in results:
        if result.status not in GOOD:
            statements.once.pop(query, None)
            # The query itself will say what is wrong, if it is the query.
            if connection.in_transaction:
                raise failure(result)
            return None
    return statements.keep(query, name)


async def make_room(connection: Connection, room: int) -> None:
    """Have the server forget as many queries as it takes to prepare *room* others."""
    while name := connection.statements.surplus(room):
        connection.soiled = True
        await unprepare(connection, name)
        connection.soiled = False


async def unprepare(connection: Connection, name: bytes) -> None:
    """Have the server forget a query."""
    try:
        # Poolers that know of prepared statements understand this, and not the words.
        connection.pgconn.send_close_prepared(name)
    except psycopg.NotSupportedError:  # libpq before 17
        await connection.command(b"DEALLOCATE " + name)
    else:
        await connection.expect()


async def renewed(connection: Connection, result: PGresult, *, again: bool = True) -> bool:
    """Have nothing prepared if that was the problem; say whether to ask again: nothing has run.

    Not *again* if something else has.
    """
    problem = failure(result)
    if problem.sqlstate not in STALE:
        return False
    has_run = not again or not has_not_run(result, connection.statements.token)
    if connection.in_transaction or has_run:
        # A failed transaction takes no commands; what may have run does not run twice.
        connection.soiled = True
        return False
    connection.statements.forget()
    judged(await connection.command(b"DEALLOCATE ALL"))
    return True


def refusal(connection: Connection, result: PGresult) -> DatabaseError:
    """Return why a prepared query failed."""
    problem = failure(result)
    if problem.sqlstate == LOST and connection.in_transaction:
        problem.args = (f"{problem} ({POOLER})",)
    return problem


def sending(connection: Connection) -> None:
    """Refuse to ask on a connection that is gone, or that is still answering."""
    if connection.lost is not None:
        raise connection.lost
    if connection.reply is not None:
        raise DatabaseError("pgsql error: another query is in progress")


async def found(result: PGresult | None, names: Names, wanted: ResultFormat) -> Rows | None:
    """Return the rows of a result; None: it has no such thing."""
    if result is None or result.status != TUPLES_OK:
        return None
    count = result.ntuples
    if wanted is TEXT and count * len(names) <= VALUES:
        return rows(result, names, 0, count)
    return await converted(result, names, binary=wanted.binary, bytea=wanted.bytea)


# What pool and transactions have in common


async def fetch(
    connection: Connection, query: str, values: Values, wanted: ResultFormat
) -> Rows | None:
    """Ask, and return rows."""
    return await found(*await ask(connection, query, values, wanted), wanted)


async def execute(connection: Connection, query: str, values: Values) -> int:
    """Ask, and return how many rows were touched."""
    result, _ = await ask(connection, query, values, TEXT)
    return 0 if result is None else affected(result)

"""Several queries in one go: one way to the server and back for all of them."""

from collections.abc import Iterable

from kore._pgsql.connection import Connection
from kore._pgsql.question import Form, found, judged, renewed, sending, worth_preparing
from kore._pgsql.rows import TUPLES_OK, Results, Rows, columns
from kore._pgsql.values import Values, parameters, statement
from kore.errors import DatabaseError

Batch = list[tuple[str, Values]]


def batch(queries: Iterable[object]) -> Batch:
    """Return queries to be asked in one go: text, or pairs of text and parameters."""
    made: Batch = []
    for number, each in enumerate([queries] if isinstance(queries, str) else queries):
        pair = (each, None) if isinstance(each, str) else each
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise DatabaseError(f"pgsql: query {number} is not a str, nor a pair of it and params")
        statement(pair[0])
        made.append((pair[0], parameters(pair[1])))
    return made


async def pipeline(connection: Connection, asked: Batch, wanted: Form) -> list[Rows | None]:
    """Return what each query has for a result. They take effect together, or not at all."""
    if not asked:
        return []
    await prepare(connection, asked)
    results = await sent(connection, asked, wanted)
    try:
        judged(connection, results)
    except DatabaseError as problem:
        if not await renewed(connection, problem):
            raise
        results = await sent(connection, asked, wanted)
        judged(connection, results)
    return [
        await found(each, columns(each) if each.status == TUPLES_OK else (), wanted)
        for each in results
    ]


async def prepare(connection: Connection, asked: Batch) -> None:
    """Prepare what comes more than once, here or since the connection was opened."""
    statements = connection.statements
    for query in [query for query, _ in asked]:
        if query not in statements.prepared and statements.came_before(query):
            await worth_preparing(connection, query)


async def sent(connection: Connection, asked: Batch, wanted: Form) -> Results:
    """Send all, and return all results."""
    sending(connection)
    pgconn, known = connection.pgconn, connection.statements.prepared
    pgconn.enter_pipeline_mode()
    connection.pipelined = True
    for query, (values, formats) in asked:
        if (prepared := known.get(query)) is not None:
            prepared.used = True
            pgconn.send_query_prepared(prepared.name, values, formats, wanted.binary)
        else:
            pgconn.send_query_params(statement(query), values, None, formats, wanted.binary)
    pgconn.pipeline_sync()
    return await connection.expect()

"""Several queries in one go: one way to the server and back for all of them."""

from collections.abc import Iterable

from kore._pgsql.connection import Connection
from kore._pgsql.question import (
    SLICE,
    TEXT,
    Form,
    called,
    found,
    judged,
    renewed,
    sending,
    worth_preparing,
)
from kore._pgsql.rows import GOOD, TUPLES_OK, Results, Rows, failure, rows
from kore._pgsql.statements import Statement
from kore._pgsql.values import NONE, Values, parameters, statement
from kore.errors import DatabaseError

Batch = list[tuple[str, Values]]


def batch(queries: Iterable[object]) -> Batch:
    """Return queries to be asked in one go: text, or pairs of text and parameters."""
    made: Batch = []
    for each in [queries] if isinstance(queries, str) else queries:
        if type(each) is tuple and len(each) == 2 and type(each[0]) is str:
            made.append((each[0], parameters(each[1])))
        elif isinstance(each, str):
            made.append((each, NONE))
        else:
            raise DatabaseError(
                f"pgsql: query {len(made)} is not a str, nor a tuple of it and params"
            )
    return made


async def pipeline(connection: Connection, asked: Batch, wanted: Form) -> list[Rows | None]:
    """Return what each query has for a result. They take effect together, or not at all."""
    if not asked:
        return []
    await prepare(connection, asked)
    known = [connection.statements.prepared.get(query) for query, _ in asked]
    results = await sent(connection, asked, known, wanted)
    if problem := wrong(connection, results, known):
        if not await renewed(connection, problem):
            raise problem
        known = [None] * len(asked)
        results = await sent(connection, asked, known, wanted)
        if problem := wrong(connection, results, known):
            raise problem
    return await converted(results, known, wanted)


async def converted(
    results: Results, known: list[Statement | None], wanted: Form
) -> list[Rows | None]:
    """Return the rows of all results."""
    made: list[Rows | None] = []
    for result, prepared in zip(results, known, strict=True):
        names = (prepared.columns if prepared else None) or called(result, prepared)
        count = result.ntuples
        if count <= SLICE and wanted is TEXT and names:
            # Many small ones: a coroutine for each would take longer than its rows.
            made.append(rows(result, names, 0, count))
        else:
            made.append(await found(result, names, wanted))
    return made


async def prepare(connection: Connection, asked: Batch) -> None:
    """Prepare what comes more than once, here or since the connection was opened."""
    statements = connection.statements
    for query in {query for query, _ in asked} - statements.prepared.keys():
        if sum(each == query for each, _ in asked) > 1:
            statements.came_before(query)
        if statements.came_before(query):
            await worth_preparing(connection, query)


async def sent(
    connection: Connection, asked: Batch, known: list[Statement | None], wanted: Form
) -> Results:
    """Send all, and return all results."""
    sending(connection)
    pgconn, binary = connection.pgconn, wanted.binary
    # First, because it may raise.
    pairs = zip(asked, known, strict=True)
    encoded = [b"" if each else statement(query) for (query, _), each in pairs]
    pgconn.enter_pipeline_mode()
    connection.pipelined = True
    for (_, (values, formats)), prepared, text in zip(asked, known, encoded, strict=True):
        if prepared is not None:
            prepared.used = True
            pgconn.send_query_prepared(prepared.name, values, formats, binary)
        else:
            pgconn.send_query_params(text, values, None, formats, binary)
    pgconn.pipeline_sync()
    return await connection.expect()


def wrong(
    connection: Connection, results: Results, known: list[Statement | None]
) -> DatabaseError | None:
    """Return the first thing that went wrong."""
    for result in results:
        status = result.status
        if status != TUPLES_OK and status not in GOOD:
            return failure(result)
    if None not in known:
        return None
    others = [result for result, each in zip(results, known, strict=True) if each is None]
    try:
        judged(connection, others)
    except DatabaseError as problem:
        return problem
    return None

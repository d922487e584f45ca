"""Several queries in one go: one way to the server and back for all of them."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice

from psycopg.pq.abc import PGresult

from kore._pgsql.connection import Connection
from kore._pgsql.harmless import is_about_rows, is_harmless
from kore._pgsql.query import (
    PREPARABLE,
    TEXT,
    ResultFormat,
    called,
    found,
    judged,
    make_room,
    refusal,
    renewed,
    sending,
)
from kore._pgsql.rows import GOOD, TUPLES_OK, Results, Rows, rows, tag
from kore._pgsql.slices import SLICE, SliceBudget
from kore._pgsql.statements import PreparedStatement
from kore._pgsql.values import NONE, Values, parameters, statement
from kore.errors import DatabaseError

Batch = list[tuple[str, Values]]
# Queries as libpq takes them.
Texts = dict[str, bytes]


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


async def pipeline(connection: Connection, asked: Batch, wanted: ResultFormat) -> list[Rows | None]:
    """Return what each query has for a result. They take effect together, or not at all."""
    if not asked:
        return []
    texts: Texts = {}
    prepared = connection.statements.prepared
    known = [prepared.get(query) for query, _ in asked]
    if connection.soiled or not all(known):
        texts = encoded(connection, asked)
        known = await recalled(connection, asked, texts)
    results = await sent(connection, asked, known, texts, wanted)
    if (failed := first_failure(results)) is not None:
        # What came before it has been undone with it, if it was no end of a transaction.
        again = not connection.soiled and all(map(is_undone, results))
        if not await renewed(connection, failed, again=again):
            raise refusal(connection, failed)
        known = [None] * len(asked)
        results = await sent(connection, asked, known, texts, wanted)
    if texts:
        judged([result for result, each in zip(results, known, strict=True) if each is None])
    return await converted(results, known, wanted)


def first_failure(results: Results) -> PGresult | None:
    """Return the first result that is an error."""
    for result in results:
        status = result.status
        if status != TUPLES_OK and status not in GOOD:
            return result
    return None


def is_undone(result: PGresult) -> bool:
    """Return whether a query that failed, or whose pipeline did, has had no effect."""
    return result.status not in GOOD or tag(result) in PREPARABLE


async def converted(
    results: Results, known: list[PreparedStatement | None], wanted: ResultFormat
) -> list[Rows | None]:
    """Return the rows of all results."""
    made: list[Rows | None] = []
    turns = SliceBudget() if len(results) > SLICE else None
    for result, prepared in zip(results, known, strict=True):
        names = (prepared.columns if prepared else None) or called(result, prepared)
        count = result.ntuples
        if count <= SLICE and wanted is TEXT and names:
            # Many small ones: a coroutine for each would take longer than its rows.
            made.append(rows(result, names, 0, count))
        else:
            made.append(await found(result, names, wanted))
        if turns is not None and not len(made) % SLICE:
            await turns.pause()
    return made


def encoded(connection: Connection, asked: Batch) -> Texts:
    """Return the texts of queries that are not prepared, as libpq takes them."""
    prepared = connection.statements.prepared
    return {query: statement(query) for query, _ in asked if query not in prepared}


async def recalled(
    connection: Connection, asked: Batch, texts: Texts
) -> list[PreparedStatement | None]:
    """Return which queries are prepared, or will be on the way; take note of the others."""
    plain = await plain_part(connection, asked)
    await prepare(connection, plain, texts)
    for query, _ in islice(asked, len(plain), None):
        connection.note(query)
    # What comes after something unknown may find other tables than those it was prepared for.
    get = connection.statements.prepared.get
    return [get(query) for query, _ in plain] + [None] * (len(asked) - len(plain))


async def plain_part(connection: Connection, asked: Batch) -> Batch:
    """Return the queries before the first one that may leave something behind."""
    if connection.soiled:
        return []
    prepared, turns = connection.statements.prepared, SliceBudget()
    for index, (query, _) in enumerate(asked):
        if query not in prepared and not is_harmless(query):
            return asked[:index]
        if index % SLICE == SLICE - 1:
            await turns.pause()
    return asked


async def prepare(connection: Connection, asked: Batch, texts: Texts) -> None:
    """Have prepared what comes more than once, here or since the connection was opened."""
    statements = connection.statements
    counts = Counter(query for query, _ in asked)
    new = [
        query
        for query in counts.keys() - statements.prepared.keys()
        if (statements.came_before(query) or counts[query] > 1) and is_about_rows(query)
    ]
    if statements.limit and new:
        del new[statements.limit :]
        await make_room(connection, len(new))
        for query in new:
            statements.keep(query, statements.name(), texts[query])


async def sent(
    connection: Connection,
    asked: Batch,
    known: list[PreparedStatement | None],
    texts: Texts,
    wanted: ResultFormat,
) -> Results:
    """Send all, what is to be prepared before its first use, and return the results of queries."""
    sending(connection)
    pgconn, binary = connection.pgconn, wanted.binary
    # What each result belongs to: a statement that is prepared, or a query.
    order: list[PreparedStatement | None] = []
    pgconn.enter_pipeline_mode()
    connection.pipelined = True
    for (query, (values, formats)), prepared in zip(asked, known, strict=True):
        if prepared is not None:
            if prepared.text is not None:
                pgconn.send_prepare(prepared.name, prepared.text)
                prepared.text = None
                order.append(prepared)
            prepared.used = True
            pgconn.send_query_prepared(prepared.name, values, formats, binary)
        else:
            text = texts.get(query) or statement(query)
            pgconn.send_query_params(text, values, None, formats, binary)
        order.append(None)
    pgconn.pipeline_sync()
    return await answered(connection, order)


async def answered(connection: Connection, order: list[PreparedStatement | None]) -> Results:
    """Return the results of queries; statements that were not prepared are no longer known."""
    if not any(order):
        return await connection.expect()
    try:
        results = await connection.expect()
    except BaseException:
        # The server may know some of the names, or none.
        connection.soiled = True
        raise
    for result, prepared in zip(results, order, strict=True):
        if prepared is not None and result.status not in GOOD:
            connection.statements.drop(prepared)
    return kept(results, order)


def kept(results: Results, order: list[PreparedStatement | None]) -> Results:
    """Return the results of queries, and the first error, whatever it belongs to."""
    return [
        result
        for result, prepared in zip(results, order, strict=True)
        if prepared is None or result.status not in GOOD
    ]

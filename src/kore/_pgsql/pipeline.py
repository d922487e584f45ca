"""Run several queries in one round trip to the server, in libpq's pipeline mode."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice

from psycopg.pq.abc import PGresult

from kore._pgsql.connection import PgConnection
from kore._pgsql.harmless import is_about_rows, is_harmless
from kore._pgsql.query import (
    PREPARABLE,
    TEXT_FORMAT,
    ResultFormat,
    check_results,
    convert_result,
    drop_stale_statements,
    ensure_idle,
    evict_statements,
    get_column_names,
    make_prepared_error,
)
from kore._pgsql.rows import (
    SUCCESS_STATUSES,
    TUPLES_OK,
    Results,
    Rows,
    convert_text_rows,
    get_command_tag,
)
from kore._pgsql.slices import SLICE_VALUES, SliceBudget
from kore._pgsql.statements import PreparedStatement
from kore._pgsql.values import NO_PARAMS, EncodedParams, encode_params, encode_query
from kore.errors import DatabaseError

Batch = list[tuple[str, EncodedParams]]
# Queries as libpq takes them.
EncodedQueries = dict[str, bytes]


def parse_batch(queries: Iterable[object]) -> Batch:
    """Return the queries of a pipeline: each is text, or a tuple of text and parameters.

    Raises DatabaseError if one is neither.
    """
    batch: Batch = []
    for each in [queries] if isinstance(queries, str) else queries:
        if type(each) is tuple and len(each) == 2 and type(each[0]) is str:
            batch.append((each[0], encode_params(each[1])))
        elif isinstance(each, str):
            batch.append((each, NO_PARAMS))
        else:
            raise DatabaseError(
                f"pgsql: query {len(batch)} is not a str, nor a tuple of it and params"
            )
    return batch


async def run_pipeline(
    connection: PgConnection, batch: Batch, result_format: ResultFormat
) -> list[Rows | None]:
    """Run the queries of a batch; return the rows of each, None for one that returns none.

    They take effect together or not at all. Raises DatabaseError for the first that fails.
    """
    if not batch:
        return []
    encoded: EncodedQueries = {}
    cache = connection.statements.prepared
    prepared = [cache.get(query) for query, _ in batch]
    if connection.needs_reset or not all(prepared):
        encoded = _encode_unprepared(connection, batch)
        prepared = await _prepare_batch(connection, batch, encoded)
    results = await _send_batch(connection, batch, prepared, encoded, result_format)
    if (failed := _find_failure(results)) is not None:
        # Earlier queries were rolled back with it, unless one of them ended a transaction.
        may_retry = not connection.needs_reset and all(map(_has_no_effect, results))
        if not await drop_stale_statements(connection, failed, may_retry=may_retry):
            raise make_prepared_error(connection, failed)
        prepared = [None] * len(batch)
        results = await _send_batch(connection, batch, prepared, encoded, result_format)
    if encoded:
        pairs = zip(results, prepared, strict=True)
        check_results([result for result, statement in pairs if statement is None])
    return await _convert_results(results, prepared, result_format)


def _find_failure(results: Results) -> PGresult | None:
    """Return the first result that is an error."""
    for result in results:
        status = result.status
        if status != TUPLES_OK and status not in SUCCESS_STATUSES:
            return result
    return None


def _has_no_effect(result: PGresult) -> bool:
    """Return whether a query of a failed pipeline has no effect: it failed or is rolled back."""
    return result.status not in SUCCESS_STATUSES or get_command_tag(result) in PREPARABLE


async def _convert_results(
    results: Results, prepared: list[PreparedStatement | None], result_format: ResultFormat
) -> list[Rows | None]:
    """Return the rows of all results."""
    converted: list[Rows | None] = []
    budget = SliceBudget() if len(results) > SLICE_VALUES else None
    for result, statement in zip(results, prepared, strict=True):
        known_names = statement.column_names if statement else None
        names = known_names or get_column_names(result, statement)
        count = result.ntuples
        if count <= SLICE_VALUES and result_format is TEXT_FORMAT and names:
            # A coroutine for each of many small results would take longer than its rows.
            converted.append(convert_text_rows(result, names, 0, count))
        else:
            converted.append(await convert_result(result, names, result_format))
        if budget is not None and not len(converted) % SLICE_VALUES:
            await budget.yield_if_spent()
    return converted


# Preparing


def _encode_unprepared(connection: PgConnection, batch: Batch) -> EncodedQueries:
    """Return the texts of the queries that are not prepared, as libpq takes them."""
    prepared = connection.statements.prepared
    return {query: encode_query(query) for query, _ in batch if query not in prepared}


async def _prepare_batch(
    connection: PgConnection, batch: Batch, encoded: EncodedQueries
) -> list[PreparedStatement | None]:
    """Return for each query its statement, prepared or to be prepared with the pipeline.

    Records the effects of the queries that are not known to be harmless.
    """
    harmless = await _take_harmless(connection, batch)
    await _add_statements(connection, harmless, encoded)
    for query, _ in islice(batch, len(harmless), None):
        connection.note_effects(query)
    # After a query with unknown effects, a prepared statement may refer to other tables.
    get = connection.statements.prepared.get
    return [get(query) for query, _ in harmless] + [None] * (len(batch) - len(harmless))


async def _take_harmless(connection: PgConnection, batch: Batch) -> Batch:
    """Return the queries before the first one that may leave something in the session."""
    if connection.needs_reset:
        return []
    prepared, budget = connection.statements.prepared, SliceBudget()
    for index, (query, _) in enumerate(batch):
        if query not in prepared and not is_harmless(query):
            return batch[:index]
        if index % SLICE_VALUES == SLICE_VALUES - 1:
            await budget.yield_if_spent()
    return batch


async def _add_statements(connection: PgConnection, batch: Batch, encoded: EncodedQueries) -> None:
    """Add the queries that are repeated, in the batch or since the connection was opened."""
    statements = connection.statements
    counts = Counter(query for query, _ in batch)
    new = [
        query
        for query in counts.keys() - statements.prepared.keys()
        if (statements.note_use(query) or counts[query] > 1) and is_about_rows(query)
    ]
    if statements.limit and new:
        del new[statements.limit :]
        await evict_statements(connection, len(new))
        for query in new:
            statements.add(query, statements.make_name(), encoded[query])


# Sending


async def _send_batch(
    connection: PgConnection,
    batch: Batch,
    prepared: list[PreparedStatement | None],
    encoded: EncodedQueries,
    result_format: ResultFormat,
) -> Results:
    """Send all queries, each statement's preparation before its first use; return the results."""
    ensure_idle(connection)
    pgconn, binary = connection.pgconn, result_format.binary
    # What each result will belong to: the preparation of a statement, or a query (None).
    order: list[PreparedStatement | None] = []
    pgconn.enter_pipeline_mode()
    connection.in_pipeline = True
    for (query, (values, formats)), statement in zip(batch, prepared, strict=True):
        if statement is not None:
            if statement.text is not None:
                pgconn.send_prepare(statement.name, statement.text)
                statement.text = None
                order.append(statement)
            statement.used = True
            pgconn.send_query_prepared(statement.name, values, formats, binary)
        else:
            text = encoded.get(query) or encode_query(query)
            pgconn.send_query_params(text, values, None, formats, binary)
        order.append(None)
    pgconn.pipeline_sync()
    return await _receive_results(connection, order)


async def _receive_results(
    connection: PgConnection, order: list[PreparedStatement | None]
) -> Results:
    """Return the results of queries; remove statements whose preparation failed."""
    if not any(order):
        return await connection.start_query()
    try:
        results = await connection.start_query()
    except BaseException:
        # The server may know some of the statements.
        connection.needs_reset = True
        raise
    for result, statement in zip(results, order, strict=True):
        if statement is not None and result.status not in SUCCESS_STATUSES:
            connection.statements.remove(statement)
    return _select_results(results, order)


def _select_results(results: Results, order: list[PreparedStatement | None]) -> Results:
    """Return the results of queries, and all errors, those of preparations among them."""
    return [
        result
        for result, statement in zip(results, order, strict=True)
        if statement is None or result.status not in SUCCESS_STATUSES
    ]

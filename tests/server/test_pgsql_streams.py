"""Streams that are cut, closed by another task, or of long rows."""

import asyncio
from typing import Any

import pytest

from kore._pgsql.database import Database
from kore._pgsql.stream import RowStream
from kore.errors import DatabaseError
from tests.helpers.databases import ask, database, outcome, settled, turns
from tests.helpers.fix_postgres import Worker
from tests.helpers.postgres import Postgres
from tests.helpers.procs import peak

# Waits behind a lock, which a test holds, after some rows.
HELD = """
    SELECT g, CASE WHEN g > 100 THEN pg_advisory_xact_lock(71) END
    FROM generate_series(1, 1200) AS g
"""
MANY = "SELECT g FROM generate_series(1, 1200) AS g"
CUT = "a read of the stream was cancelled"
CLOSED = "the stream was closed before its last row"


def stream(of: Database, query: str) -> RowStream:
    """Return a stream of text."""
    return of.stream(query, None, False, False)


async def read(rows: RowStream) -> list[Any]:
    """Return all rows, and the error at the end, if there is one."""
    found: list[Any] = []
    try:
        async for row in rows:
            found.append(row)  # noqa: PERF401 - what came before an error counts
    except DatabaseError as error:
        found.append(error)
    return found


async def until_held(of: Database) -> None:
    """Wait until a query waits behind the lock."""
    query = "SELECT count(*) AS n FROM pg_locks WHERE objid = 71 AND NOT granted"
    while await ask(of, query) != [{"n": "1"}]:  # noqa: ASYNC110 - the server has no event
        await asyncio.sleep(0)


@pytest.mark.parametrize("own", [True, False])
def test_read_after_a_cancelled_one_is_an_error(postgres: Postgres, own: bool) -> None:
    async def cut(of: Database, other: Database, rows: RowStream) -> list[Any]:
        async with other.transaction(None, readonly=False) as tx:
            await tx.query("SELECT pg_advisory_xact_lock(71)")
            task = asyncio.ensure_future(read(rows))
            await until_held(of)
            task.cancel()
            first = await outcome(task)
        return [type(first), *(await read(rows)), *(await read(rows))]

    async def main() -> list[Any]:
        async with database(postgres.dsn) as of, database(postgres.dsn) as other:
            if own:
                return await cut(of, other, stream(of, HELD))
            found: list[Any] = []
            with pytest.raises(DatabaseError, match="a query was cancelled"):
                async with of.transaction(None, readonly=False) as tx:
                    found = await cut(of, other, tx.stream(HELD))
            return found

    kind, *errors = asyncio.run(main())
    assert kind is asyncio.CancelledError
    assert [type(each) for each in errors] == [DatabaseError] * 2
    assert all(CUT in str(each) for each in errors)


def test_read_after_an_error_raises_it_again(postgres: Postgres) -> None:
    async def main() -> tuple[list[Any], list[Any]]:
        async with database(postgres.dsn) as of:
            rows = stream(of, "SELECT 1/(700 - g) AS a FROM generate_series(1, 1200) AS g")
            return await read(rows), await read(rows)

    (*found, first), others = asyncio.run(main())
    assert len(found) < 700
    assert [each.sqlstate for each in (first, *others)] == ["22012", "22012"]


@pytest.mark.parametrize("moment", [1, 2, 5, 20])
def test_reader_gets_an_error_when_another_task_closes(postgres: Postgres, moment: int) -> None:
    async def main() -> tuple[list[Any], list[Any], Any]:
        async with database(postgres.dsn, connection_limit=1) as of:
            rows = stream(of, MANY + " WHERE pg_sleep(0.001) IS NOT NULL")
            task = asyncio.ensure_future(read(rows))
            await turns(moment)
            await rows.aclose()
            found = await task, await read(rows)
            return *found, await ask(of, "SELECT 1 AS a")

    (*found, first), (again,), after = asyncio.run(main())
    assert CLOSED in str(first)
    assert CLOSED in str(again)
    assert len(found) < 1200
    assert after == [{"a": "1"}]


def test_stream_of_a_transaction_may_be_closed_while_read(postgres: Postgres) -> None:
    async def main() -> tuple[list[Any], Any]:
        async with (
            database(postgres.dsn) as of,
            of.transaction(None, readonly=False) as tx,
        ):
            rows = tx.stream(MANY + " WHERE pg_sleep(0.001) IS NOT NULL")
            task = asyncio.ensure_future(read(rows))
            await turns(20, lambda: bool(rows.cursor))
            await rows.aclose()
            return await task, await tx.query("SELECT 1 AS a")

    (*_, error), after = asyncio.run(main())
    assert CLOSED in str(error)
    assert after == [{"a": "1"}]


def test_stream_stays_at_its_end(postgres: Postgres) -> None:
    async def main() -> list[Any]:
        async with database(postgres.dsn, connection_limit=1) as of:
            rows = stream(of, MANY)
            count = len(await read(rows))
            await rows.aclose()
            return [count, await read(rows)]

    assert asyncio.run(main()) == [1200, []]


@pytest.mark.parametrize(
    ("query", "most"),
    [
        ("SELECT repeat('x', 300000) AS v FROM generate_series(1, 40)", 4),
        ("SELECT repeat('x', g * 20000) AS v FROM generate_series(1, 60) AS g", 20),
        (f"SELECT {', '.join(f'g c{n}' for n in range(1000))} FROM generate_series(1, 90) g", 20),
        (MANY, 500),
    ],
)
def test_long_and_wide_rows_are_fetched_few_at_a_time(
    postgres: Postgres, query: str, most: int
) -> None:
    async def main() -> set[int]:
        async with database(postgres.dsn) as of:
            rows = stream(of, query)
            return {len(rows.rows) + 1 async for _ in rows}

    assert max(asyncio.run(main())) <= most


def test_stream_of_long_rows_needs_little_memory(worker: Worker) -> None:
    def read_all(count: int) -> None:
        query = f"SELECT repeat('x', 500000) AS v FROM generate_series(1, {count})"
        worker.do(f"""
            async for row in kore.dbstream("db", "{query}"):
                pass
        """)

    read_all(10)
    before = peak(worker.server.worker)
    read_all(150)
    # All of them at once would be 75 MB.
    assert peak(worker.server.worker) - before < 20 << 20


def test_cancelled_streams_release_their_connections(
    postgres: Postgres,
) -> None:
    async def main() -> list[int]:
        async with database(postgres.dsn, connection_limit=2) as of:
            for moment in range(1, 60, 3):
                task = asyncio.ensure_future(read(stream(of, MANY)))
                await turns(moment, task.done)
                task.cancel()
                await outcome(task)
            await settled(of)
            queue = of.pool.queue
            return [queue.open_count - len(queue.idle), queue.opening_count, len(queue.waiters)]

    assert asyncio.run(main()) == [0, 0, 0]

"""What a query leaves on its connection is not there for the next one, however it ended."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kore._pgsql.database import Database
from kore._pgsql.rows import Rows
from tests.helpers.databases import ask, database, outcome, turns
from tests.helpers.fix_postgres import Worker
from tests.helpers.postgres import Postgres

LOOK = """
    SELECT nullif(current_setting('app.tenant', true), '') AS tenant, current_user AS name,
        current_setting('search_path') AS path, current_setting('work_mem') AS memory,
        current_setting('default_transaction_read_only') AS readonly,
        to_regclass('pg_temp.mine')::text AS temporary,
        (SELECT string_agg(c, ',') FROM pg_listening_channels() AS c) AS channels,
        (SELECT count(*) FROM pg_locks
            WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks,
        (SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine') AS prepared,
        (SELECT count(*) FROM pg_cursors WHERE name LIKE 'mine%') AS cursors
"""
LEAVING = [
    "SET app.tenant = 'alice'",
    "SET ROLE pg_monitor",
    "SET SESSION AUTHORIZATION pg_monitor",
    "SET search_path = tenant",
    "SET default_transaction_read_only = on",
    "SELECT set_config('work_mem', '1MB', false)",
    "SELECT 1 AS n, trace_set('app.tenant', 'alice')",
    "INSERT INTO trace_rows VALUES (1) RETURNING set_config('app.tenant', 'alice', false)",
    "WITH x AS MATERIALIZED (SELECT set_config('work_mem', '1MB', false)) SELECT * FROM x",
    "DO $$ BEGIN PERFORM set_config('app.tenant', 'alice', false); END $$",
    "DO $$ BEGIN CREATE TEMP TABLE mine (a int); END $$",
    "CREATE TEMP TABLE mine (a int)",
    "CREATE TEMP TABLE mine AS SELECT 'secret' AS s",
    "SELECT 'secret' AS s INTO TEMP mine",
    "SELECT 'secret' AS insert INTO TEMP mine",
    "WITH x AS (SELECT 1) SELECT (1) merge INTO TEMP mine",
    "SELECT ('a') OPERATOR(pg_catalog.||) trace_set('app.tenant', 'alice')",
    "EXPLAIN ANALYZE CREATE TEMP TABLE mine AS SELECT 1 AS n",
    "CREATE TEMP VIEW mine AS SELECT 1 AS n",
    "LISTEN mine",
    "SELECT pg_advisory_lock(5)",
    "SELECT pg_try_advisory_lock_shared(6)",
    "SELECT trace_lock()",
    "CALL trace_call()",
    "PREPARE mine AS SELECT 1 AS mine",
    "DECLARE mine CURSOR WITH HOLD FOR SELECT 1",
    "SET LOCAL work_mem = '1MB'",
]
PLAIN = ["SELECT 1 AS mine", "SELECT 1/0", "INSERT INTO trace_rows VALUES (1)", "COMMIT"]
SETUP = """
    CREATE TABLE IF NOT EXISTS trace_rows (a int);
    CREATE OR REPLACE FUNCTION trace_set(name text, value text) RETURNS text LANGUAGE plpgsql
        AS $$ BEGIN RETURN set_config(name, value, false); END $$;
    CREATE OR REPLACE FUNCTION trace_lock() RETURNS void LANGUAGE sql
        AS $$ SELECT pg_advisory_lock(7) $$;
    CREATE OR REPLACE PROCEDURE trace_call() LANGUAGE plpgsql
        AS $$ BEGIN CREATE TEMP TABLE mine (a int); EXECUTE 'LISTEN mine'; END $$;
"""


@pytest.fixture(autouse=True, scope="module")
def _functions(postgres: Postgres) -> None:
    postgres.sql(SETUP)


# Ways to ask


async def by_query(of: Database, texts: list[str]) -> None:
    for text in texts:
        await ask(of, text)


async def by_one_text(of: Database, texts: list[str]) -> None:
    await of.execute("; ".join(texts), None)


async def by_pipeline(of: Database, texts: list[str]) -> None:
    await of.pipeline(texts, False, False)


async def by_transaction(of: Database, texts: list[str]) -> None:
    async with of.transaction(None, readonly=False) as tx:
        for text in texts:
            await tx.query(text)


async def by_savepoint(of: Database, texts: list[str]) -> None:
    async with of.transaction(None, readonly=False) as tx:
        async with tx.transaction():
            await tx.pipeline(texts)
        await tx.query("SELECT 1")


async def by_stream(of: Database, texts: list[str]) -> None:
    for text in texts:
        async for _ in of.stream(text, None, False, False):
            pass


Way = Callable[[Database, list[str]], Awaitable[None]]
WAYS: list[Way] = [by_query, by_one_text, by_pipeline, by_transaction, by_savepoint, by_stream]


async def seen(of: Database) -> Rows | None:
    """Return what the next client sees."""
    return await asyncio.wait_for(ask(of, LOOK), 30)


async def left(dsn: str, way: Way, texts: list[str], moments: list[int]) -> list[Any]:
    """Return what is seen at first, and after each cancelled attempt."""
    async with database(dsn, connection_limit=1) as of:
        found = [await seen(of)]
        for moment in moments:
            task = asyncio.ensure_future(outcome(way(of, texts)))
            await turns(moment, task.done)
            task.cancel()
            await outcome(task)
            found.append(await seen(of))
        return found


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(
    texts=st.lists(st.sampled_from(LEAVING + PLAIN), min_size=1, max_size=3),
    moments=st.lists(st.integers(1, 300), min_size=1, max_size=3),
)
def test_ended_query_leaves_no_trace(
    postgres: Postgres, way: Way, texts: list[str], moments: list[int]
) -> None:
    first, *others = asyncio.run(left(postgres.dsn, way, texts, [*moments, 1_000_000]))
    assert others == [first] * len(others)


@pytest.mark.parametrize("text", LEAVING)
def test_repeated_query_leaves_no_trace(postgres: Postgres, text: str) -> None:
    async def main() -> tuple[Any, ...]:
        async with database(postgres.dsn, connection_limit=1) as of:
            first = await seen(of)
            for _ in range(3):
                await outcome(ask(of, text))
            return first, await seen(of)

    first, last = asyncio.run(main())
    assert last == first


def test_temporary_table_does_not_hide_tables_from_other_queries(
    worker: Worker, postgres: Postgres
) -> None:
    postgres.sql("CREATE TABLE people AS SELECT 'everybody' AS name")
    worker.do("""
        await kore.dbquery("db", "CREATE TEMP TABLE people AS SELECT 'secret' AS name")
    """)
    code = 'return [await kore.dbquery("db", "SELECT name FROM people") for _ in range(3)]'
    assert worker.do(code) == [[{"name": "everybody"}]] * 3


RUNNING = """SELECT count(*) FROM pg_stat_activity
    WHERE query = 'SELECT pg_sleep(611)' AND state = 'active'"""


def test_harmless_query_keeps_prepared_statements(postgres: Postgres) -> None:
    async def main() -> tuple[int, int]:
        async with database(postgres.dsn, connection_limit=1) as of:
            for number in range(3):
                await ask(of, "SELECT $1::int AS a", number)
            (connection,) = of.pool.connections
            before = len(connection.statements.prepared)
            await outcome(ask(of, "SELECT 1/0"))
            task = asyncio.ensure_future(ask(of, "SELECT pg_sleep(611)"))
            # A server drops a cancel request that comes before the query: then we hang up.
            await turns(10_000, lambda: postgres.sql(RUNNING) == "1")
            task.cancel()
            await outcome(task)
            await ask(of, "SELECT 1 AS a")
            assert of.pool.connections == {connection}
            return before, len(connection.statements.prepared)

    assert asyncio.run(main()) == (1, 1)


@pytest.mark.parametrize("moment", [2, 5, 1_000_000])
@pytest.mark.parametrize("way", [by_query, by_one_text, by_pipeline], ids=lambda way: way.__name__)
def test_custom_variable_does_not_exist_afterwards(
    postgres: Postgres, way: Way, moment: int
) -> None:
    look = "SELECT current_setting('app.tenant', true) AS tenant"

    async def main() -> tuple[Any, ...]:
        async with database(postgres.dsn, connection_limit=1) as of:
            first = await ask(of, look)
            task = asyncio.ensure_future(outcome(way(of, ["SET app.tenant = 'alice'"])))
            await turns(moment, task.done)
            task.cancel()
            await outcome(task)
            return first, await ask(of, look)

    assert asyncio.run(main()) == ([{"tenant": None}], [{"tenant": None}])

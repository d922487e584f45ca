"""Prepared queries and pipelines when tables change, and results of unusual columns."""

import asyncio
from typing import Any

import pytest

from kore._pgsql.database import Database
from tests.helpers.databases import ask, database, outcome, turns
from tests.helpers.postgres import Postgres

SETUP = """
    CREATE SEQUENCE IF NOT EXISTS runs;
    CREATE TABLE IF NOT EXISTS triggered (a int);
    CREATE OR REPLACE FUNCTION unsupported() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM nextval('runs');
        IF NEW.a > 0 THEN RAISE EXCEPTION 'unsupported' USING ERRCODE = TG_ARGV[0]; END IF;
        RETURN NEW; END $$;
"""
MADE = ["CREATE TABLE made (n int)", ("INSERT INTO made VALUES ($1)", [1]),
        ("INSERT INTO made VALUES ($1)", [2]), "SELECT n FROM made", "DROP TABLE made"]  # fmt: skip


async def pipeline(of: Database, queries: list[Any]) -> Any:
    """Ask several queries in one go."""
    return await of.pipeline(queries, False, False)


async def prepared(of: Database) -> int:
    """Return how many queries the connection believes to be prepared, if the server agrees."""
    (connection,) = of.pool.connections
    names = await ask(of, "SELECT name FROM pg_prepared_statements")
    believed = {each.name.decode() for each in connection.statements.prepared.values()}
    assert {row["name"] for row in names or []} == believed
    return len(believed)


# What runs twice, and what does not


@pytest.mark.parametrize("state", ["0A000", "26000"])
@pytest.mark.parametrize("way", ["query", "pipeline"])
def test_prepared_query_that_raises_0a000_itself_runs_once(
    postgres: Postgres, state: str, way: str
) -> None:
    postgres.sql(SETUP)
    postgres.sql(f"""
        CREATE OR REPLACE TRIGGER one BEFORE INSERT ON triggered
        FOR EACH ROW EXECUTE FUNCTION unsupported('{state}')
    """)
    insert = "INSERT INTO triggered VALUES ($1)"

    async def main() -> tuple[int, Any]:
        async with database(postgres.dsn, connection_limit=1) as of:
            for _ in range(3):
                await ask(of, insert, 0)
            before = int(postgres.sql("SELECT last_value FROM runs"))
            work = ask(of, insert, 1) if way == "query" else pipeline(of, [(insert, [1])])
            error = await outcome(work)
            await ask(of, insert, 0)
            return int(postgres.sql("SELECT last_value FROM runs")) - before, error

    runs, error = asyncio.run(main())
    assert runs == 2
    assert error.sqlstate == state


def test_pipeline_that_commits_in_the_middle_runs_once(postgres: Postgres) -> None:
    postgres.sql("CREATE TABLE IF NOT EXISTS counted (a int); TRUNCATE counted")
    postgres.sql("DROP TABLE IF EXISTS shifting; CREATE TABLE shifting (a int)")
    queries = ["INSERT INTO counted VALUES (1)", "COMMIT", "SELECT * FROM shifting"]

    async def main() -> Any:
        async with database(postgres.dsn, connection_limit=1) as of:
            for _ in range(3):
                await pipeline(of, queries)
            postgres.sql("ALTER TABLE shifting ADD b int")
            found = await outcome(pipeline(of, queries))
            return found, await pipeline(of, queries)

    error, after = asyncio.run(main())
    assert error.sqlstate == "0A000"
    assert after == [None, None, []]
    assert postgres.sql("SELECT count(*) FROM counted") == "5"


def test_pipeline_survives_a_change_of_its_tables(postgres: Postgres) -> None:
    postgres.sql("DROP TABLE IF EXISTS shifting; CREATE TABLE shifting (a int)")
    queries = ["SELECT 1 AS a", "SELECT * FROM shifting", "INSERT INTO shifting (a) VALUES (1)"]

    async def main() -> Any:
        async with database(postgres.dsn, connection_limit=1) as of:
            for _ in range(3):
                await pipeline(of, queries)
            postgres.sql("ALTER TABLE shifting ADD b int")
            return await pipeline(of, queries)

    found = asyncio.run(main())
    assert found == [[{"a": "1"}], [{"a": "1", "b": None}] * 3, None]


# Tables that come and go


@pytest.mark.parametrize("within", [True, False])
def test_pipeline_may_create_a_table_and_use_it(postgres: Postgres, within: bool) -> None:
    async def main() -> list[Any]:
        found = []
        async with database(postgres.dsn, connection_limit=1) as of:
            for _ in range(4):
                if within:
                    async with of.transaction(None, readonly=False) as tx:
                        found.append(await tx.pipeline(MADE))
                else:
                    found.append(await pipeline(of, MADE))
        return found

    assert asyncio.run(main()) == [[None, None, None, [{"n": "1"}, {"n": "2"}], None]] * 4


def test_transaction_may_change_a_table_of_a_prepared_query(postgres: Postgres) -> None:
    postgres.sql("DROP TABLE IF EXISTS shifting; CREATE TABLE shifting (a int)")

    async def main() -> Any:
        async with database(postgres.dsn, connection_limit=1) as of:
            for _ in range(3):
                await ask(of, "SELECT * FROM shifting")
            async with of.transaction(None, readonly=False) as tx:
                await tx.query("ALTER TABLE shifting ADD b int")
                await tx.query("INSERT INTO shifting VALUES (1, 2)")
                return await tx.query("SELECT * FROM shifting")

    assert asyncio.run(main()) == [{"a": "1", "b": "2"}]


# What a pipeline prepares


def test_pipeline_prepares_repeated_queries_within_the_limit(
    postgres: Postgres,
) -> None:
    async def main() -> list[Any]:
        async with database(postgres.dsn, connection_limit=1, prepared_limit=10) as of:
            many = [(f"SELECT {n} + $1::int AS n", [n]) for n in range(30)] * 2
            found = [[int(rows[0]["n"]) for rows in await pipeline(of, many)] for _ in range(2)]
            return [*found, await prepared(of)]

    expected = [2 * n for n in range(30)] * 2
    assert asyncio.run(main()) == [expected, expected, 10]


def test_cache_is_right_after_a_failed_or_cancelled_pipeline(
    postgres: Postgres,
) -> None:
    async def main() -> list[int]:
        counts = []
        async with database(postgres.dsn, connection_limit=1) as of:
            good = [("SELECT $1::int AS a", [1])] * 2
            bad = [*good, "SELECT 1/0", *[("SELECT $1::int AS b", [1])] * 2, "SELECT * FROM none"]
            await outcome(pipeline(of, bad))
            counts.append(await prepared(of))
            for moment in range(1, 40, 3):
                task = asyncio.ensure_future(outcome(pipeline(of, good)))
                await turns(moment, task.done)
                task.cancel()
                await outcome(task)
                await prepared(of)
            await pipeline(of, good)
            counts.append(await prepared(of))
        return counts

    assert asyncio.run(main()) == [1, 2]


class Text(str):
    """A text that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Text.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_pipeline_of_different_texts_takes_linear_time(postgres: Postgres) -> None:
    async def main() -> int:
        async with database(postgres.dsn, connection_limit=1) as of:
            found = await pipeline(of, [Text(f"SELECT {n} AS n") for n in range(3000)])
            return len(found)

    Text.compared = 0
    assert asyncio.run(main()) == 3000
    assert Text.compared < 30_000


# Results


def test_last_of_two_columns_with_one_name_has_its_type(postgres: Postgres) -> None:
    queries = {
        "SELECT 'a'::bytea AS a, 'b'::bytea AS a": b"b",
        "SELECT 'a'::bytea AS a, 'text \\ tail' AS a": "text \\ tail",
        "SELECT 'x' AS a, 'b'::bytea AS a": b"b",
        "SELECT 'a'::bytea AS a, NULL::int AS a": None,
    }

    async def main() -> list[Any]:
        async with database(postgres.dsn) as of:
            ways = []
            for query in queries:
                ways.append(await of.query(query, None, False, True))
                ways += await of.pipeline([query], False, True)
                ways.append([row async for row in of.stream(query, None, False, True)])
            return ways

    assert asyncio.run(main()) == [[{"a": value}] for value in queries.values() for _ in range(3)]


def test_column_names_in_another_encoding_are_escaped(postgres: Postgres) -> None:
    named = 'SELECT 1 AS "\u00fc"'

    async def main() -> list[Any]:
        async with database(postgres.dsn, connection_limit=1) as of:
            odd = await ask(of, f"SET client_encoding TO LATIN1; {named}")
            async with of.transaction(None, readonly=False) as tx:
                await tx.query("SET LOCAL client_encoding TO LATIN1")
                within = [await tx.query(named, binary=True) for _ in range(3)]
            return [odd, within[2], await ask(of, named)]

    odd, within, after = asyncio.run(main())
    assert after == [{"\u00fc": "1"}]
    # As the server sent it, whatever it made of the query's bytes.
    assert [len(rows) for rows in (odd, within)] == [1, 1]


@pytest.mark.parametrize("query", [b"SELECT 1", ["SELECT 1"], None])
def test_query_must_be_str(postgres: Postgres, query: Any) -> None:
    async def main() -> None:
        async with database(postgres.dsn) as of:
            await ask(of, query)

    with pytest.raises(TypeError, match="query must be str, not"):
        asyncio.run(main())


def test_large_results_yield_to_other_requests(postgres: Postgres) -> None:
    wide = ", ".join(f"g AS c{n}" for n in range(400))

    async def main() -> tuple[int, int]:
        async with database(postgres.dsn) as of:
            task = asyncio.ensure_future(ask(of, f"SELECT {wide} FROM generate_series(1, 500) g"))
            while not of.pool.connections or task.done():  # noqa: ASYNC110 - a set is enough
                await asyncio.sleep(0)
            (connection,) = of.pool.connections
            await turns(1_000_000, lambda: connection.pending is not None)
            await turns(1_000_000, lambda: connection.pending is None)
            rounds = 0
            while not task.done():
                rounds += 1
                await asyncio.sleep(0)
            rows = await task
            return rounds, len(rows or [])

    rounds, rows = asyncio.run(main())
    assert rows == 500
    assert rounds > 5

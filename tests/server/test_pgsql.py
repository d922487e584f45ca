"""Queries, as handlers make them, against a real PostgreSQL."""

import pytest

from tests.helpers.fix_postgres import Raised, Worker
from tests.helpers.postgres import Postgres


@pytest.fixture(scope="module", autouse=True)
def _tables(postgres: Postgres) -> None:
    postgres.sql("CREATE TABLE IF NOT EXISTS things (id int PRIMARY KEY, name text, data bytea)")


@pytest.fixture(autouse=True)
def _empty(postgres: Postgres, _tables: None) -> None:
    postgres.sql("TRUNCATE things; INSERT INTO things VALUES (1, 'one', 'x'), (2, NULL, NULL)")


def q(text: str, more: str = "") -> str:
    """Return code that makes a query."""
    return f'return await kore.dbquery("db", {text!r}{more})'


# What comes back


def test_rows_are_dicts_of_text_and_null_is_none(worker: Worker) -> None:
    rows = worker.do(q("SELECT * FROM things ORDER BY id"))

    assert rows == [
        {"id": "1", "name": "one", "data": "\\x78"},
        {"id": "2", "name": None, "data": None},
    ]


@pytest.mark.parametrize("times", [1, 2, 5])
def test_repeated_query_has_the_same_result(worker: Worker, times: int) -> None:
    """The second time it is prepared."""
    code = f"""
        for _ in range({times}):
            rows = await kore.dbquery("db", "SELECT name FROM things WHERE id = $1", params=["1"])
        return rows
    """
    assert worker.do(code) == [{"name": "one"}]


def test_no_rows_is_an_empty_list(worker: Worker) -> None:
    assert worker.do(q("SELECT * FROM things WHERE id = 99")) == []


@pytest.mark.parametrize(
    "query", ["UPDATE things SET name = 'x'", "CREATE TEMP TABLE t (i int)", "ANALYZE things"]
)
def test_statement_without_rows_returns_none(worker: Worker, query: str) -> None:
    assert worker.do(q(query)) is None


def test_returning_returns_rows(worker: Worker) -> None:
    query = "INSERT INTO things VALUES (3, 'three') RETURNING id"
    assert worker.do(q(query)) == [{"id": "3"}]


def test_rows_have_a_rowcount(worker: Worker) -> None:
    code = 'return (await kore.dbquery("db", "SELECT * FROM things")).rowcount'
    assert worker.do(code) == 2


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("UPDATE things SET name = 'x'", 2),
        ("DELETE FROM things WHERE id = 1", 1),
        ("DELETE FROM things WHERE id = 7", 0),
        ("INSERT INTO things SELECT i FROM generate_series(10, 19) i", 10),
        ("SELECT * FROM things", 2),
        ("CREATE TEMP TABLE t (i int)", 0),
    ],
)
def test_execute_returns_affected_rows(worker: Worker, query: str, count: int) -> None:
    assert worker.do(f'return await kore.dbexecute("db", {query!r})') == count


def test_last_of_two_columns_with_one_name_counts(worker: Worker) -> None:
    assert worker.do(q("SELECT 1 AS a, 2 AS a")) == [{"a": "2"}]


def test_binary_returns_bytes_of_the_server(worker: Worker) -> None:
    rows = worker.do(q("SELECT 258 AS n, 'é' AS t, NULL AS x", ", binary=True"))
    assert rows == [{"n": b"\0\0\1\2", "t": "é".encode(), "x": None}]


@pytest.mark.parametrize("style", ["hex", "escape"])
def test_bytea_returns_bytes_for_bytea_columns(worker: Worker, style: str) -> None:
    code = rf"""
        async with kore.transaction("db") as tx:
            await tx.query("SET LOCAL bytea_output = {style}")
            query = "SELECT '\\x00ff5c41'::bytea AS b, 'x' AS t, NULL::bytea AS n"
            return await tx.query(query, bytea=True)
    """
    assert worker.do(code) == [{"b": b"\0\xff\\A", "t": "x", "n": None}]


def test_several_statements_return_the_last_rows(worker: Worker) -> None:
    query = "SELECT 1 AS a; SELECT 2 AS b; UPDATE things SET name = 'x'"
    assert worker.do(q(query)) == [{"b": "2"}]


def test_large_result_is_converted_in_slices(worker: Worker) -> None:
    code = """
        turns = 0
        async def count():
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1
        counter = asyncio.create_task(count())
        rows = await kore.dbquery("db", "SELECT i, repeat('x', 100) AS x FROM "
                                        "generate_series(1, 50000) i")
        counter.cancel()
        return len(rows), rows[-1]["i"], sum(len(row["x"]) for row in rows), turns > 20
    """
    assert worker.do(code) == (50000, "50000", 5_000_000, True)


# What is asked


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        ("'text'", "text", "text"),
        ("'ü€𝄞'", "text", "ü€𝄞"),
        ("''", "text", ""),
        ("42", "int", "42"),
        ("-(2**62)", "bigint", str(-(2**62))),
        ("1.5", "float8", "1.5"),
        ("float('inf')", "float8", "Infinity"),
        ("float('nan')", "float8", "NaN"),
        ("True", "bool", "t"),
        ("False", "bool", "f"),
        ("None", "text", None),
        ("b'\\x00\\xff'", "bytea", "\\x00ff"),
        ("bytearray(b'ab')", "bytea", "\\x6162"),
        ("memoryview(b'ab')", "bytea", "\\x6162"),
        ("b'text'", "text", "text"),
    ],
)
def test_parameter_keeps_its_value(
    worker: Worker, value: str, kind: str, shown: str | None
) -> None:
    code = f'return await kore.dbquery("db", "SELECT $1::{kind} AS v", params=[{value}])'
    assert worker.do(code) == [{"v": shown}]


def test_parameter_is_not_part_of_the_query(worker: Worker) -> None:
    code = """
        evil = "'; DROP TABLE things; --"
        return await kore.dbquery("db", "SELECT $1 AS v", params=[evil])
    """
    assert worker.do(code) == [{"v": "'; DROP TABLE things; --"}]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ("{'a': 1}", "pgsql: params keyword must be a list"),
        ("'text'", "pgsql: params keyword must be a list"),
        ("['a', object()]", "pgsql: item 1 is not a string or bytes"),
        ("['a\\0b']", "pgsql: item 0 has a NUL"),
        ("['\\ud800']", "pgsql: item 0 cannot be encoded in UTF-8"),
        ("['x'] * 65536", "pgsql: list length too large"),
        ("[10**5000]", "pgsql: item 0 Exceeds the limit"),
    ],
)
def test_invalid_parameter_is_refused(worker: Worker, params: str, text: str) -> None:
    with pytest.raises(Raised, match=text) as raised:
        worker.do(q("SELECT $1", f", params={params}"))
    assert raised.value.kind == "DatabaseError"


@pytest.mark.parametrize("query", ["SELECT 1\0; DROP TABLE things", "SELECT '\ud800'"])
def test_query_with_nul_is_refused(worker: Worker, query: str) -> None:
    with pytest.raises(Raised, match="pgsql: the query"):
        worker.do(q(query))


def test_binary_must_be_bool(worker: Worker) -> None:
    with pytest.raises(Raised, match="pgsql: binary not True or False"):
        worker.do(q("SELECT 1", ", binary=1"))


# What goes wrong


@pytest.mark.parametrize(
    ("query", "params", "sqlstate", "text"),
    [
        ("SELECT * FROM nowhere", "", "42P01", 'relation "nowhere" does not exist'),
        ("SELEKT", "", "42601", "syntax error"),
        ("SELECT $1, $2", ", params=['1']", "08P01", "requires 2"),
        ("SELECT $1::int", ", params=['x']", "22P02", "invalid input syntax"),
        ("INSERT INTO things VALUES (1)", "", "23505", "duplicate key"),
        ("SELECT 1; SELECT 2", ", params=['1']", "42601", "multiple commands"),
        ("SELECT 1/0", "", "22012", "division by zero"),
    ],
)
def test_error_of_the_server_has_sqlstate(
    worker: Worker, query: str, params: str, sqlstate: str, text: str
) -> None:
    for _ in range(3):
        with pytest.raises(Raised, match=text) as raised:
            worker.do(q(query, params))
        assert str(raised.value).startswith("failed to perform query: ERROR:")
        assert (raised.value.kind, raised.value.sqlstate) == ("DatabaseError", sqlstate)
    assert worker.do(q("SELECT 1 AS a")) == [{"a": "1"}]


def test_error_names_the_constraint(worker: Worker) -> None:
    code = """
        try:
            await kore.dbquery("db", "INSERT INTO things VALUES (1)")
        except kore.errors.DatabaseError as error:
            return isinstance(error, RuntimeError), error.fields
    """
    is_runtime_error, fields = worker.do(code)
    assert is_runtime_error
    assert fields["constraint"] == "things_pkey"
    assert fields["table"] == "things"
    assert fields["detail"] == "Key (id)=(1) already exists."
    assert fields["severity"] == "ERROR"


def test_empty_query_is_an_error(worker: Worker) -> None:
    with pytest.raises(Raised, match="failed to perform query: it is empty"):
        worker.do(q(" -- nothing"))


def test_unknown_database_is_an_error(worker: Worker) -> None:
    with pytest.raises(Raised, match="pgsql error: no database found named 'other', there is db"):
        worker.do('return await kore.dbquery("other", "SELECT 1")')


def test_value_that_is_not_utf8_is_an_error_with_a_hint(worker: Worker, postgres: Postgres) -> None:
    code = r"""
        kore.dbquery  # the column is bytes of any kind, sent as if they were text
        return await kore.dbquery("db", "SELECT $1::text AS v", params=[b"\xff"])
    """
    with pytest.raises(Raised, match="invalid byte sequence") as raised:
        worker.do(code)
    assert raised.value.sqlstate == "22021"


@pytest.mark.parametrize(
    "query", ["COPY things TO STDOUT", "COPY things FROM STDIN", "SELECT 1; COPY things TO STDOUT"]
)
def test_copy_is_an_error_and_affects_no_other_query(worker: Worker, query: str) -> None:
    for _ in range(3):
        with pytest.raises(Raised, match="COPY cannot be part of a query"):
            worker.do(q(query))
    assert worker.do(q("SELECT count(*) AS n FROM things")) == [{"n": "2"}]


def test_listen_in_a_query_is_an_error(worker: Worker, postgres: Postgres) -> None:
    with pytest.raises(Raised, match=r"use kore\.listen\(\)"):
        worker.do(q("LISTEN nobody"))
    code = """
        return [await kore.dbquery("db", "SELECT count(*) AS n FROM pg_listening_channels()")
                for _ in range(4)]
    """
    assert worker.do(code) == [[{"n": "0"}]] * 4


def test_setting_does_not_outlive_its_query(worker: Worker) -> None:
    worker.do(q("SET statement_timeout = 12345"))
    code = """
        rows = await asyncio.gather(*(kore.dbquery("db", "SHOW statement_timeout")
                                      for _ in range(8)))
        return {row[0]["statement_timeout"] for row in rows}
    """
    assert worker.do(code) == {"0"}


def test_transaction_left_open_is_rolled_back_and_an_error(
    worker: Worker, postgres: Postgres
) -> None:
    with pytest.raises(Raised, match=r"left a transaction open.*use kore.transaction\(\)"):
        worker.do(q("BEGIN; DELETE FROM things"))
    assert worker.do(q("SELECT count(*) AS n FROM things")) == [{"n": "2"}]


def test_failed_statement_leaves_no_transaction_open(worker: Worker) -> None:
    with pytest.raises(Raised, match="division by zero"):
        worker.do(q("BEGIN; SELECT 1/0"))
    code = """
        rows = await asyncio.gather(*(kore.dbquery("db", "SELECT 1 AS a") for _ in range(8)))
        return len(rows)
    """
    assert worker.do(code) == 8


# Prepared statements


def test_prepared_query_survives_a_change_of_its_tables(worker: Worker) -> None:
    code = """
        await kore.dbquery("db", "DROP TABLE IF EXISTS changing")
        await kore.dbquery("db", "CREATE TABLE changing (a int)")
        await kore.dbquery("db", "INSERT INTO changing VALUES (1)")
        seen = []
        for _ in range(4):
            seen += await kore.dbquery("db", "SELECT * FROM changing")
        async with kore.transaction("db") as tx:
            await tx.query("ALTER TABLE changing ADD b text DEFAULT 'new'")
        for _ in range(4):
            seen += await kore.dbquery("db", "SELECT * FROM changing")
        return seen
    """
    assert worker.do(code) == [{"a": "1"}] * 4 + [{"a": "1", "b": "new"}] * 4


def test_query_survives_the_loss_of_its_statement(worker: Worker) -> None:
    code = """
        for _ in range(4):
            await kore.dbquery("db", "SELECT 'lost' AS a")
        for _ in range(4):
            await kore.dbquery("db", "DEALLOCATE ALL")
        return [await kore.dbquery("db", "SELECT 'lost' AS a") for _ in range(4)]
    """
    assert worker.do(code) == [[{"a": "lost"}]] * 4


def test_prepared_statements_stay_within_the_limit(worker: Worker) -> None:
    code = """
        async with kore.transaction("db") as tx:
            for number in range(150):
                for _ in range(3):
                    await tx.query(f"SELECT {number} AS a")
            kept = await tx.query("SELECT count(*) AS n FROM pg_prepared_statements")
        return int(kept[0]["n"])
    """
    assert worker.do(code) == 100


# Several at a time


def test_pipeline_returns_a_result_for_each_query(worker: Worker) -> None:
    code = """
        return await kore.dbpipeline("db", [
            "SELECT 1 AS a", ("SELECT $1 AS b", ["x"]), "UPDATE things SET name = 'y'",
            ("SELECT $1 AS b", ["z"]), ("SELECT name FROM things WHERE id = $1", [1]),
        ])
    """
    for _ in range(3):
        assert worker.do(code) == [
            [{"a": "1"}], [{"b": "x"}], None, [{"b": "z"}], [{"name": "y"}],
        ]  # fmt: skip


def test_pipeline_is_atomic(worker: Worker) -> None:
    code = """
        return await kore.dbpipeline("db", [
            "DELETE FROM things", ("SELECT 1/$1::int", [0]), "SELECT 1",
        ])
    """
    for _ in range(3):
        with pytest.raises(Raised, match="division by zero"):
            worker.do(code)
    assert worker.do(q("SELECT count(*) AS n FROM things")) == [{"n": "2"}]


def test_empty_pipeline_has_no_results(worker: Worker) -> None:
    assert worker.do('return await kore.dbpipeline("db", [])') == []


def test_pipeline_of_a_thousand_queries(worker: Worker) -> None:
    code = """
        many = [("SELECT $1::int AS n, repeat('x', 1000) AS x", [n]) for n in range(1000)]
        return [int(rows[0]["n"]) for rows in await kore.dbpipeline("db", many)]
    """
    assert worker.do(code) == list(range(1000))


@pytest.mark.parametrize("queries", ["[1]", "[('SELECT 1', [], 3)]", "[('SELECT $1', [object()])]"])
def test_invalid_query_of_a_pipeline_is_refused(worker: Worker, queries: str) -> None:
    with pytest.raises(Raised, match="pgsql: "):
        worker.do(f'return await kore.dbpipeline("db", {queries})')

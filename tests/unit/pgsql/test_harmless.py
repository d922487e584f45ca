"""Which queries are known to leave nothing in their session."""

import pytest

from kore._pgsql.harmless import is_about_rows, is_harmless, is_indelible

HARMLESS = [
    "SELECT 1",
    "select count(*) from t where a = $1 and (b or c)",
    "INSERT INTO books (title, price) VALUES ($1, $2) RETURNING id",
    "insert into s.t as b (a) select upper(y) from z on conflict (a) do update set (a) = (now())",
    "WITH x (a, b) AS (SELECT 1, 2), y AS MATERIALIZED (DELETE FROM t RETURNING *) SELECT * FROM x",
    "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
    "SELECT 'set_config(''a'', ''b'', false)'",
    "SELECT 'an INTO', \"set into\" FROM \"My (Table\" -- set_config('a', 'b', false)",
    "SELECT /* pg_advisory_lock(1); SET x = 1 */ pg_catalog.now()",
    "SELECT * FROM (VALUES (1, 2)) v(a, b)",
    "UPDATE w SET r = v.r FROM (SELECT unnest($1::int[]) AS i) AS v (i) WHERE id = v.i",
    "SELECT cast(x AS numeric(10, 2)), sum(a) FILTER (WHERE b) OVER (PARTITION BY c) FROM t",
    "(SELECT E'a\\nb', $1::varchar(10)) UNION ALL (TABLE t)",
    "SELECT 1 FROM straße WHERE größe IN (1, 2)",
    "BEGIN; INSERT INTO t VALUES (1); COMMIT;",
    "SET LOCAL statement_timeout = 5",
    "SELECT set_config('app.tenant', $1::text, true)",
    "SHOW work_mem",
    "WITH x AS (SELECT 1), y AS MATERIALIZED (SELECT 2) INSERT INTO t SELECT * FROM x",
    "WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM x",
    "WITH x AS (SELECT 1) MERGE INTO t USING x ON (true) WHEN MATCHED THEN DO NOTHING",
    "SELECT a::character varying(9), sum(b) OVER (ORDER BY (c)) FROM t GROUP BY (a, b)",
    "SELECT goes_into FROM t WHERE into_it IN (1)",
    "",
    ";",
]
UNKNOWN = [
    "SET x = 1",
    "SET SESSION x = 1",
    "SET ROLE x",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET LOCAL client_encoding TO LATIN1",
    "SELECT set_config('client_encoding', 'LATIN1', true)",
    "RESET ALL",
    "LISTEN x",
    "PREPARE p AS SELECT 1",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "DO 'BEGIN PERFORM 1; END'",
    "CALL p()",
    "EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1",
    "CREATE TEMP TABLE t (a int)",
    "CREATE TEMP TABLE t AS SELECT 1",
    "SELECT 1 AS n INTO TEMP t",
    "WITH x AS (SELECT 1) SELECT * INTO t FROM x",
    "INSERT INTO t SELECT 1; SELECT 1 INTO u",
    "SELECT 1; SET x = 1",
    "SELECT f()",
    "SELECT*FROM f(1)",
    "SELECT public.upper('x')",
    "SELECT upper.set_config('a', 'b', false)",
    "SELECT set_config('a', 'b', false)",
    "SELECT set_config('a', 'b', false), upper('x', true)",
    "SELECT set_config('a', f(1), true)",
    "SELECT \"set_config\"('a', 'b', false)",
    "SELECT pg_catalog . set_config ('a', 'b', false)",
    "SELECT set_config/**/('a', 'b', false)",
    "SELECT set_config--\n('a', 'b', false)",
    "SELECT U&\"set!005fconfig\" UESCAPE '!' ('a', 'b', false)",
    "INSERT INTO t VALUES (1) RETURNING set_config('a', 'b', false)",
    "WITH x AS (SELECT set_config('a', 'b', false)) SELECT * FROM x",
    "SELECT DISTINCT ON (a) f(x) FROM t",
    "SELECT a, f (1) FROM t",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_lock(1)",
    "SELECT query_to_xml('SET x = 1', true, true, '')",
    "SELECT ran\u212a()",
    # Keywords that are names here.
    "SELECT 1 AS insert INTO TEMP t",
    "SELECT 1 merge INTO TEMP t",
    "SELECT (1) insert INTO TEMP t",
    "(SELECT u.insert INTO TEMP t FROM u)",
    "WITH x AS (SELECT 1) SELECT (1) insert INTO TEMP t",
    "WITH x AS (SELECT 1) SELECT 1::numeric(3) merge INTO TEMP t",
    "SELECT conflict(1)",
    "SELECT a, rollup(b) FROM t",
    "SELECT is(1, 1)",
    "SELECT over(1)",
    # Glued to a number, as servers before PostgreSQL 15 take it.
    "SELECT 1INTO TEMP t",
    "SELECT 1.5into TEMP t",
    "SELECT $1into TEMP t",
    # Behind an operator of a schema there is no alias.
    "SELECT (1) OPERATOR(pg_catalog.+) f(2)",
    "SELECT (1) OPERATOR (app.+) 2",
    # Literals whose end depends on a setting, or that are not followed.
    "SELECT '\\'; SELECT set_config('a', 'b', false) --'",
    "SELECT $a$ ' $a$, set_config('a', 'b', false), ' '",
    "SELECT /* /* */ ' */ set_config('a', 'b', false) -- '",
]


@pytest.mark.parametrize("query", HARMLESS)
def test_statement_about_rows_or_local_to_its_transaction_is_harmless(query: str) -> None:
    assert is_harmless(query)
    # The same when it is too long to be kept.
    assert is_harmless(query + " " * 5000)


@pytest.mark.parametrize("query", UNKNOWN)
def test_statement_with_unknown_effects_is_not_harmless(query: str) -> None:
    assert not is_harmless(query)
    assert not is_harmless(query + "\n" + " " * 5000)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SET app.tenant = 'alice'", True),
        ("set session app.tenant to 'alice'", True),
        ("SELECT set_config('app.tenant', 'alice', false)", True),
        ("SELECT setseed(0.5)", True),
        ("LOAD 'auto_explain'", True),
        ("SELECT pg_create_logical_replication_slot('a', 'b', true)", True),
        ("SELECT pg_backup_start('x')", True),
        ("SET search_path = app", False),
        ("CREATE TEMP TABLE t (a int)", False),
        ("SELECT seed FROM plants", False),
    ],
)
def test_effects_that_outlast_discard_all_are_known(query: str, expected: bool) -> None:
    assert is_indelible(query) is expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [("-- x\n ( SELECT 1)", True), ("Values (1)", True), ("COMMIT", False), ("", False)],
)
def test_statement_about_rows_is_preparable(query: str, expected: bool) -> None:
    assert is_about_rows(query) is expected


def test_a_call_without_its_end_is_not_harmless() -> None:
    assert not is_harmless("SELECT set_config('a', 'b', true")

"""Transactions and streams, as handlers use them."""

import pytest

from tests.helpers.fix_postgres import Raised, Worker
from tests.helpers.postgres import Postgres
from tests.helpers.procs import peak, until


@pytest.fixture(autouse=True)
def _empty(postgres: Postgres) -> None:
    postgres.sql("CREATE TABLE IF NOT EXISTS kept (id int PRIMARY KEY); TRUNCATE kept")


def kept(postgres: Postgres) -> str:
    """Return what others see of the table."""
    return postgres.sql("SELECT string_agg(id::text, ',' ORDER BY id) FROM kept")


def test_transaction_is_visible_after_its_end(worker: Worker, postgres: Postgres) -> None:
    code = """
        seen = []
        async with kore.transaction("db") as tx:
            seen.append(await tx.execute("INSERT INTO kept VALUES ($1), ($2)", [1, 2]))
            seen.append(await kore.dbquery("db", "SELECT * FROM kept"))
            seen.append(await tx.query("SELECT * FROM kept"))
        seen.append(await kore.dbquery("db", "SELECT * FROM kept"))
        return seen
    """
    both = [{"id": "1"}, {"id": "2"}]
    assert worker.do(code) == [2, [], both, both]
    assert kept(postgres) == "1,2"


def test_exception_rolls_back_the_transaction(worker: Worker, postgres: Postgres) -> None:
    code = """
        async with kore.transaction("db") as tx:
            await tx.query("INSERT INTO kept VALUES (1)")
            raise LookupError("changed my mind")
    """
    with pytest.raises(Raised, match="changed my mind") as raised:
        worker.do(code)
    assert raised.value.kind == "LookupError"
    assert kept(postgres) == ""


def test_nested_transaction_rolls_back_only_itself(worker: Worker, postgres: Postgres) -> None:
    code = """
        async with kore.transaction("db") as tx:
            await tx.query("INSERT INTO kept VALUES (1)")
            try:
                async with tx.transaction() as inner:
                    await inner.query("INSERT INTO kept VALUES (2)")
                    await inner.query("INSERT INTO kept VALUES (1)")
            except kore.errors.DatabaseError as error:
                assert error.sqlstate == "23505"
            async with tx.transaction():
                await tx.query("INSERT INTO kept VALUES (3)")
                async with tx.transaction():
                    await tx.query("INSERT INTO kept VALUES (4)")
    """
    worker.do(code)
    assert kept(postgres) == "1,3,4"


def test_ignored_failure_is_an_error_at_the_end(worker: Worker, postgres: Postgres) -> None:
    code = """
        async with kore.transaction("db") as tx:
            await tx.query("INSERT INTO kept VALUES (1)")
            try:
                await tx.query("SELECT 1/0")
            except kore.errors.DatabaseError:
                pass
    """
    with pytest.raises(Raised, match="a query had failed, so the transaction was rolled back"):
        worker.do(code)
    assert kept(postgres) == ""


def test_failed_commit_is_an_error(worker: Worker) -> None:
    code = """
        await kore.dbquery("db", "CREATE TABLE IF NOT EXISTS late (id int UNIQUE DEFERRABLE "
                                 "INITIALLY DEFERRED)")
        async with kore.transaction("db") as tx:
            await tx.query("INSERT INTO late VALUES (1), (1)")
    """
    with pytest.raises(Raised, match="duplicate key") as raised:
        worker.do(code)
    assert raised.value.sqlstate == "23505"


def test_transaction_has_the_given_isolation(worker: Worker) -> None:
    code = """
        async with kore.transaction("db", isolation="serializable", readonly=True) as tx:
            rows = await tx.query("SELECT current_setting('transaction_isolation') AS i, "
                                  "current_setting('transaction_read_only') AS r")
        return rows
    """
    assert worker.do(code) == [{"i": "serializable", "r": "on"}]
    with pytest.raises(Raised, match="isolation 'chaos' is none of read committed"):
        worker.do('kore.transaction("db", isolation="chaos")')


def test_tasks_share_a_transaction_one_query_at_a_time(worker: Worker, postgres: Postgres) -> None:
    code = """
        async with kore.transaction("db") as tx:
            await asyncio.gather(*(tx.query("INSERT INTO kept VALUES ($1)", [n])
                                   for n in range(20)))
            return [row["id"] for row in await tx.query("SELECT id FROM kept ORDER BY id")]
    """
    assert worker.do(code) == [str(n) for n in range(20)]


def test_pipeline_is_part_of_the_transaction(worker: Worker, postgres: Postgres) -> None:
    code = """
        async with kore.transaction("db") as tx:
            return await tx.pipeline([("INSERT INTO kept VALUES ($1)", [7]), "SELECT * FROM kept"])
    """
    assert worker.do(code) == [None, [{"id": "7"}]]
    assert kept(postgres) == "7"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("await tx.query('SELECT 1')", "the transaction is over"),
        ("await tx.execute('SELECT 1')", "the transaction is over"),
        ("await anext(tx.stream('SELECT 1'))", "the transaction is over"),
    ],
)
def test_ended_transaction_refuses_queries(worker: Worker, code: str, text: str) -> None:
    with pytest.raises(Raised, match=text):
        worker.do(f'async with kore.transaction("db") as tx: pass\n{code}')


@pytest.mark.parametrize("word", ["COMMIT", "ROLLBACK"])
def test_query_that_ends_the_transaction_is_an_error(worker: Worker, word: str) -> None:
    with pytest.raises(Raised, match="a query has ended the transaction"):
        worker.do(f'async with kore.transaction("db") as tx: await tx.query("{word}")')


def test_setting_of_a_transaction_ends_with_it(worker: Worker) -> None:
    code = """
        async with kore.transaction("db") as tx:
            await tx.query("SET work_mem = '1MB'")
            await tx.query("CREATE TEMP TABLE mine (i int)")
        rows = await asyncio.gather(*(
            kore.dbquery("db", "SELECT current_setting('work_mem') AS w, to_regclass('mine') AS t")
            for _ in range(8)))
        return {(row["w"], row["t"]) for found in rows for row in found}
    """
    assert worker.do(code) == {("4MB", None)}


def test_transaction_is_rolled_back_when_its_client_leaves(
    worker: Worker, postgres: Postgres
) -> None:
    code = """
        async with kore.transaction("db") as tx:
            await tx.query("INSERT INTO kept VALUES (1)")
            await tx.query("SELECT pg_sleep(600)")
    """
    client = worker.begin(code)
    sleeping = """SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%'
        AND state = 'active' AND pid <> pg_backend_pid()"""
    until(lambda: postgres.sql(sleeping) == "1", what="the query")
    client.close()
    until(lambda: postgres.sql(sleeping) == "0", what="its end")
    # No lock is left, or this would wait.
    postgres.sql("SET lock_timeout = '20s'; LOCK TABLE kept; SELECT 1")
    assert kept(postgres) == ""


# Streams


def test_stream_yields_rows(worker: Worker) -> None:
    code = """
        rows = [row async for row in kore.dbstream("db", "SELECT i, $1 AS t FROM "
                                                   "generate_series(1, 1234) i", params=["x"])]
        return len(rows), rows[0], rows[-1]
    """
    assert worker.do(code) == (1234, {"i": "1", "t": "x"}, {"i": "1234", "t": "x"})


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1000])
def test_stream_ends_with_the_rows(worker: Worker, count: int) -> None:
    code = f"""
        query = "SELECT i FROM generate_series(1, {count}) i"
        return len([row async for row in kore.dbstream("db", query)])
    """
    assert worker.do(code) == count


def test_stream_of_bytes(worker: Worker) -> None:
    code = """
        return [row async for row in kore.dbstream("db", "SELECT 258 AS n", binary=True)]
    """
    assert worker.do(code) == [{"n": b"\0\0\1\2"}]


def test_abandoned_stream_releases_its_connection(worker: Worker) -> None:
    code = """
        for _ in range(20):
            async for row in kore.dbstream("db", "SELECT * FROM generate_series(1, 100000)"):
                break
        async with kore.dbstream("db", "SELECT * FROM generate_series(1, 100000)") as rows:
            await anext(rows)
        return await kore.dbquery("db", "SELECT 1 AS a")
    """
    assert worker.do(code) == [{"a": "1"}]


def test_stream_reports_errors_of_its_query(worker: Worker) -> None:
    with pytest.raises(Raised, match='relation "nowhere" does not exist'):
        worker.do('await anext(kore.dbstream("db", "SELECT * FROM nowhere"))')
    with pytest.raises(Raised, match="division by zero"):
        worker.do(
            'return [row async for row in kore.dbstream("db", '
            '"SELECT 1/(3000-i) FROM generate_series(1, 4000) i")]'
        )
    assert worker.do('return await kore.dbquery("db", "SELECT 1 AS a")') == [{"a": "1"}]


def test_streams_of_a_transaction_can_be_interleaved(worker: Worker) -> None:
    code = """
        async with kore.transaction("db") as tx:
            one = tx.stream("SELECT i FROM generate_series(1, 1500) i")
            other = tx.stream("SELECT i FROM generate_series(1, 1500) i")
            same = 0
            async for row in one:
                same += row == await anext(other)
                if same % 400 == 0:
                    await tx.query("SELECT 1")
            async for row in tx.stream("SELECT * FROM generate_series(1, 5000)"):
                break
            return same, await tx.query("SELECT 2 AS b")
    """
    assert worker.do(code) == (1500, [{"b": "2"}])


def test_changes_of_a_stream_are_committed_at_its_end(worker: Worker, postgres: Postgres) -> None:
    postgres.sql(
        "CREATE OR REPLACE FUNCTION keep(int) RETURNS int LANGUAGE sql AS "
        "'INSERT INTO kept VALUES ($1) RETURNING id'"
    )
    code = 'return [row async for row in kore.dbstream("db", "SELECT keep(5) AS id")]'
    assert worker.do(code) == [{"id": "5"}]
    assert kept(postgres) == "5"


def test_memory_of_a_stream_does_not_grow_with_its_rows(worker: Worker) -> None:
    def stream(rows: int) -> None:
        code = f"""
            query = "SELECT i, repeat('x', 200) AS x FROM generate_series(1, {rows}) i"
            count = 0
            async for row in kore.dbstream("db", query):
                count += 1
            return count
        """
        assert worker.do(code) == rows

    stream(2000)
    before = peak(worker.server.worker)
    stream(100_000)
    # All of them at once would be 40 MB.
    assert peak(worker.server.worker) - before < 4 << 20


# Who is cancelled


def test_cancelled_nested_transaction_is_rolled_back(worker: Worker, postgres: Postgres) -> None:
    code = """
        async def cancelled(number, more):
            inside = asyncio.Event()
            async def work():
                async with tx.transaction():
                    await tx.query("INSERT INTO kept VALUES ($1)", [number])
                    inside.set()
                    await more()
            task = asyncio.create_task(work())
            await inside.wait()
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait([task])
        async with kore.transaction("db") as tx:
            await tx.query("INSERT INTO kept VALUES (1)")
            await cancelled(2, lambda: asyncio.sleep(600))
            await cancelled(3, lambda: tx.query("SELECT pg_sleep(600)"))
            await cancelled(4, lambda: anext(tx.stream("SELECT pg_sleep(600)")))
            async with tx.transaction():
                await cancelled(5, lambda: tx.pipeline(["SELECT 1", "SELECT pg_sleep(600)"]))
                await tx.query("INSERT INTO kept VALUES (6)")
    """
    worker.do(code)
    assert kept(postgres) == "1,6"


def test_cancelled_query_is_never_committed(worker: Worker, postgres: Postgres) -> None:
    code = """
        async with kore.transaction("db") as tx:
            task = asyncio.create_task(tx.query("INSERT INTO kept SELECT 1 FROM pg_sleep(0.1)"))
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait([task])
            await asyncio.sleep(0.2)  # the server is done with it
    """
    with pytest.raises(Raised, match="a query was cancelled, so the transaction is rolled back"):
        worker.do(code)
    assert kept(postgres) == ""


def test_waiting_task_gets_an_error_when_the_transaction_ends(worker: Worker) -> None:
    code = """
        tasks = []
        async def leave():
            async with kore.transaction("db") as tx:
                tasks.append(asyncio.create_task(tx.query("SELECT pg_sleep(600)")))
                await asyncio.sleep(0.01)
                raise asyncio.CancelledError
        try:
            await leave()
        except asyncio.CancelledError:
            return await tasks[0]
    """
    with pytest.raises(Raised, match="its connection was given back"):
        worker.do(code)


def test_stream_may_be_garbage_collected_in_any_thread(worker: Worker) -> None:
    code = """
        import gc
        async def lose():
            held = [kore.dbstream("db", "SELECT * FROM generate_series(1, 100000)")]
            held.append(held)
            await anext(held[0])
        gc.disable()
        for _ in range(4):  # more than there are connections
            await lose()
            await asyncio.get_running_loop().run_in_executor(None, gc.collect)
        gc.enable()
        return await asyncio.wait_for(kore.dbquery("db", "SELECT 1 AS a"), 20)
    """
    assert worker.do(code) == [{"a": "1"}]


def test_stream_has_one_reader(worker: Worker) -> None:
    code = """
        rows = kore.dbstream("db", "SELECT * FROM generate_series(1, 1000)")
        async def read():
            return len([row async for row in rows])
        found = await asyncio.gather(read(), read(), return_exceptions=True)
        return found[0], str(found[1]), await kore.dbquery("db", "SELECT 1 AS a")
    """
    told = "pgsql error: another task reads this stream"
    assert worker.do(code) == (1000, told, [{"a": "1"}])


def test_stream_of_an_invalid_query_is_refused(worker: Worker) -> None:
    with pytest.raises(Raised, match="query must be str, not int"):
        worker.do('kore.dbstream("db", 5)')
    assert "Exception ignored" not in worker.log.text()


def test_terminated_connection_has_the_reason_of_the_server(worker: Worker) -> None:
    code = """
        async with kore.transaction("db") as tx:
            (row,) = await tx.query("SELECT pg_backend_pid() AS pid")
            await kore.dbquery("db", "SELECT pg_terminate_backend($1)", [row["pid"]])
            there = "SELECT 1 FROM pg_stat_activity WHERE pid = $1"
            while await kore.dbquery("db", there, [row["pid"]]):
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.01)
            await tx.query("SELECT 1")
    """
    with pytest.raises(Raised, match="FATAL:  terminating connection due to admin") as raised:
        worker.do(code)
    assert raised.value.sqlstate == "57P01"

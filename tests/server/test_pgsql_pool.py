"""Connections: how many, who gets them, what becomes of them, and of those whose clients leave."""

import re
import time
from pathlib import Path

import pytest

from tests.helpers.fix_postgres import APP, Raised, Worker, result
from tests.helpers.fix_serve import Launcher
from tests.helpers.postgres import Postgres
from tests.helpers.procs import descriptors, until
from tests.helpers.slow_lookup import lookups
from tests.helpers.tcp_forwarder import forwarding

SLEEPING = (
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(%' "
    "AND state = 'active'"
)
OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pool'"
KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pool'"
ONE = 'return await kore.dbquery("db", "SELECT 1 AS a")'


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    return postgres.dsn + " application_name=pool"


def serving(serve: Launcher, dsn: str, **settings: object) -> Worker:
    """Return a worker with settings."""
    return Worker(serve(APP, settings=dict(settings), DSN=dsn))


# How many


@pytest.mark.parametrize("most", [1, 3])
def test_connections_stay_within_the_limit(
    serve: Launcher, postgres: Postgres, dsn: str, most: int
) -> None:
    worker = serving(serve, dsn, pgsql_conn_max=most)
    code = """
        rows = await asyncio.gather(*(
            kore.dbquery("db", "SELECT pg_backend_pid() AS p, pg_sleep(0.01)") for _ in range(20)))
        return len({row["p"] for found in rows for row in found})
    """
    assert worker.do(code) == most
    # Those of a worker before this one may still be on their way out.
    until(lambda: postgres.sql(OURS) == str(most), what="as many connections")


def test_conn_max_of_zero_is_no_limit(serve: Launcher, postgres: Postgres, dsn: str) -> None:
    worker = serving(serve, dsn, pgsql_conn_max=0)
    # All at a time, or none would come to its end.
    code = """
        async def meet(number):
            async with kore.transaction("db") as tx:
                arrived.append(number)
                while len(arrived) < 12:
                    await asyncio.sleep(0.01)
                return (await tx.query("SELECT pg_backend_pid() AS p"))[0]["p"]
        arrived = []
        return len({*await asyncio.gather(*map(meet, range(12)))})
    """
    assert worker.do(code) == 12


def test_waiting_queries_are_served_in_order(serve: Launcher, dsn: str) -> None:
    worker = serving(serve, dsn, pgsql_conn_max=1)
    code = """
        order = []
        async def ask(number):
            await kore.dbquery("db", "SELECT $1", params=[number])
            order.append(number)
        await asyncio.gather(*map(ask, range(1000)))
        return order == list(range(1000))
    """
    assert worker.do(code) is True


def test_queries_above_the_queue_limit_are_refused(serve: Launcher, dsn: str) -> None:
    worker = serving(serve, dsn, pgsql_conn_max=1, pgsql_queue_limit=5)
    code = """
        done = await asyncio.gather(*(kore.dbquery("db", "SELECT 1") for _ in range(10)),
                                    return_exceptions=True)
        return [str(each) if isinstance(each, Exception) else "row" for each in done]
    """
    for _ in range(2):
        found = worker.do(code)
        assert found.count("pgsql error: no available connection") == 4
        # In their order: one that runs, or is about to, and five that wait.
        assert found[:6] == ["row"] * 6


def test_queue_limit_of_zero_still_allows_queries(serve: Launcher, dsn: str) -> None:
    worker = serving(serve, dsn, pgsql_conn_max=1, pgsql_queue_limit=0)
    for _ in range(3):
        assert worker.do(ONE) == [{"a": "1"}]


def test_idle_connections_are_closed(serve: Launcher, postgres: Postgres, dsn: str) -> None:
    worker = serving(serve, dsn, pgsql_idle_timeout=1)
    assert worker.do(ONE) == [{"a": "1"}]
    until(lambda: postgres.sql(OURS) == "0", what="the end of the connection")
    assert worker.do(ONE) == [{"a": "1"}]


def test_stopped_worker_leaves_no_connection(serve: Launcher, postgres: Postgres, dsn: str) -> None:
    worker = serving(serve, dsn)
    worker.do(ONE)
    client = worker.begin("await kore.dbquery('db', 'SELECT pg_sleep(600)')")
    until(lambda: postgres.sql(SLEEPING) == "1", what="the query")
    client.close()
    worker.server.stop()
    until(lambda: postgres.sql(OURS) == postgres.sql(SLEEPING) == "0", what="their end")


# Who leaves


def test_query_is_cancelled_when_its_client_leaves(
    serve: Launcher, postgres: Postgres, dsn: str
) -> None:
    worker = serving(serve, dsn, pgsql_conn_max=1)
    first = worker.do("return (await kore.dbquery('db', 'SELECT pg_backend_pid() AS p'))[0]['p']")
    client = worker.begin("await kore.dbquery('db', 'SELECT pg_sleep(600)')")
    until(lambda: postgres.sql(SLEEPING) == "1", what="the query")
    client.close()
    until(lambda: postgres.sql(SLEEPING) == "0", what="its end")

    # The same connection serves on.
    code = "return (await kore.dbquery('db', 'SELECT pg_backend_pid() AS p'))[0]['p']"
    assert worker.do(code) == first


def test_cancelled_task_never_affects_the_next_query(serve: Launcher, dsn: str) -> None:
    worker = serving(serve, dsn, pgsql_conn_max=2)
    code = """
        good = 0
        for round in range(60):
            doomed = [asyncio.create_task(kore.dbquery("db", "SELECT pg_sleep(0.0005)"))
                      for _ in range(3)]
            await asyncio.sleep(0.0002 * (round % 10))
            for task in doomed:
                task.cancel()
            rows = await asyncio.gather(*(kore.dbquery("db", "SELECT $1 AS n", params=[n])
                                          for n in range(4)))
            good += [row[0]["n"] for row in rows] == ["0", "1", "2", "3"]
        return good
    """
    assert worker.do(code) == 60


def test_waiting_query_may_be_cancelled(serve: Launcher, postgres: Postgres, dsn: str) -> None:
    worker = serving(serve, dsn, pgsql_conn_max=1)
    code = """
        slow = asyncio.create_task(kore.dbquery("db", "SELECT pg_sleep(0.2)"))
        waiting = [asyncio.create_task(kore.dbquery("db", "SELECT 1")) for _ in range(100)]
        last = asyncio.create_task(kore.dbquery("db", "SELECT 2 AS b"))
        await asyncio.sleep(0.05)
        for task in waiting:
            task.cancel()
        return await last
    """
    assert worker.do(code) == [{"b": "2"}]


def test_timeout_ends_a_query(serve: Launcher, postgres: Postgres, dsn: str) -> None:
    worker = serving(serve, dsn, pgsql_statement_timeout=500)
    with pytest.raises(Raised, match="statement timeout") as raised:
        worker.do("await kore.dbquery('db', 'SELECT pg_sleep(600)')")
    assert raised.value.sqlstate == "57014"
    # Nor does a setting left behind change it.
    code = """
        await kore.dbquery("db", "SET statement_timeout = 0")
        return await kore.dbquery("db", "SHOW statement_timeout")
    """
    assert worker.do(code) == [{"statement_timeout": "500ms"}]


# What dies


def test_lost_idle_connection_is_replaced(serve: Launcher, postgres: Postgres, dsn: str) -> None:
    worker = serving(serve, dsn)
    for _ in range(5):
        assert worker.do(ONE) == [{"a": "1"}]
        postgres.sql(KILL)
        until(lambda: postgres.sql(OURS) == "0", what="the end of the connection")
        # Longer than a connection counts as fresh.
        time.sleep(0.02)
        assert worker.do(ONE) == [{"a": "1"}]


def test_query_fails_when_its_connection_is_lost(
    serve: Launcher, postgres: Postgres, dsn: str
) -> None:
    worker = serving(serve, dsn)
    client = worker.begin("await kore.dbquery('db', 'SELECT pg_sleep(600)')")
    until(lambda: postgres.sql(SLEEPING) == "1", what="the query")
    postgres.sql(KILL)
    with pytest.raises(Raised, match="terminating connection") as raised, client:
        result(client.answer().body)
    assert raised.value.sqlstate == "57P01"
    assert worker.do(ONE) == [{"a": "1"}]


def test_pool_recovers_from_a_server_restart_under_load(
    serve: Launcher, own_postgres: Postgres
) -> None:
    worker = serving(serve, own_postgres.dsn)
    client = worker.begin("""
        kept["stop"] = False
        good = bad = 0
        errors = set()
        async def ask():
            nonlocal good, bad
            while not kept["stop"]:
                try:
                    await kore.dbquery("db", "SELECT 1 AS a")
                    good += 1
                except kore.errors.DatabaseError as error:
                    errors.add(type(error).__name__)
                    bad += 1
                    await asyncio.sleep(0.01)
                kept["good"], kept["bad"] = good, bad
        await asyncio.gather(*(ask() for _ in range(50)))
        return errors
    """)
    until(lambda: worker.do("return kept.get('good', 0)") > 100, what="load")
    for how in (2, 3):  # INT tells clients, QUIT does not
        own_postgres.stop(how)
        bad = worker.do("return kept.get('bad', 0)")
        until(lambda bad=bad: worker.do("return kept['bad']") > bad, what="errors")
        own_postgres.start()
        good = worker.do("return kept['good']")
        until(lambda good=good: worker.do("return kept['good']") > good + 100, what="recovery")
    worker.do("kept['stop'] = True")
    with client:
        assert result(client.answer().body) == {"DatabaseError"}


def test_failed_connections_leave_no_descriptor(
    serve: Launcher, postgres: Postgres, dsn: str
) -> None:
    worker = serving(serve, dsn)
    worker.do(ONE)
    before = descriptors(worker.server.worker)
    code = """
        for _ in range(20):
            task = asyncio.create_task(kore.dbquery("db", "SELECT pg_sleep(600)"))
            await asyncio.sleep(0.001)
            task.cancel()
            try:
                await kore.dbquery("db", "COPY pg_class TO STDOUT")
            except kore.errors.DatabaseError:
                pass
        return await kore.dbquery("db", "SELECT 1 AS a")
    """
    assert worker.do(code) == [{"a": "1"}]
    until(
        lambda: len(descriptors(worker.server.worker)) <= len(before) + 1, what="closed descriptors"
    )


# The way there


def test_unreachable_server_is_an_error(serve: Launcher, tmp_path: Path) -> None:
    worker = serving(serve, f"host={tmp_path}")
    for _ in range(3):
        with pytest.raises(Raised, match=r"pgsql error: .*No such file or directory"):
            worker.do(ONE)


@pytest.mark.parametrize("host", ["nowhere.invalid", "x" * 70 + ".invalid", "a..b"])
def test_unresolvable_host_is_an_error(serve: Launcher, host: str) -> None:
    worker = serving(serve, f"host={host}")
    with pytest.raises(Raised, match=rf"pgsql error: cannot resolve host '{re.escape(host)}'"):
        worker.do(ONE)


def test_hanging_lookup_blocks_no_other_request(serve: Launcher, tmp_path: Path, loop: str) -> None:
    worker = Worker(serve(APP, loop=loop, LD_PRELOAD=lookups(tmp_path), DSN="host=slow.test"))
    with pytest.raises(Raised) as raised:
        worker.do(f"async with asyncio.timeout(0.05): {ONE}")
    assert raised.value.kind == "TimeoutError"
    worker.server.stop()
    assert "exited with status 0" in worker.log.text()


def test_missing_database_is_an_error(serve: Launcher, dsn: str) -> None:
    worker = serving(serve, dsn + " dbname=other")
    with pytest.raises(Raised, match=r'pgsql error: .*database "other" does not exist'):
        worker.do(ONE)


@pytest.mark.parametrize(
    "form",
    [
        "host=localhost port={port} user=postgres dbname=postgres",
        "host=127.0.0.1 port={port} user=postgres dbname=postgres",
        "postgresql://postgres@localhost:{port}/postgres",
        "host=nowhere.invalid,localhost port={port} user=postgres dbname=postgres",
        "host=localhost,127.0.0.1 port=1,{port} user=postgres dbname=postgres",
    ],
)
def test_server_is_reached_by_tcp(serve: Launcher, postgres: Postgres, form: str) -> None:
    with forwarding(postgres.sockets) as port:
        worker = serving(serve, form.format(port=port))
        assert worker.do(ONE) == [{"a": "1"}]


def test_silent_server_times_out(serve: Launcher, postgres: Postgres) -> None:
    with forwarding(postgres.sockets, deaf=True) as port:
        worker = serving(serve, f"host=127.0.0.1 port={port}", pgsql_connect_timeout=1)
        code = """
            done = await asyncio.gather(*(kore.dbquery("db", "SELECT 1") for _ in range(50)),
                                        return_exceptions=True)
            return {str(each) for each in done}
        """
        assert worker.do(code) == {"pgsql error: connection failed: no response within 1 s"}


def test_connect_timeout_of_the_string_applies(serve: Launcher, postgres: Postgres) -> None:
    with forwarding(postgres.sockets, deaf=True) as port:
        worker = serving(serve, f"host=127.0.0.1 port={port} connect_timeout=1")
        with pytest.raises(Raised, match="no response within 1 s"):
            worker.do(ONE)


def test_query_that_cannot_be_cancelled_costs_its_connection(
    serve: Launcher, postgres: Postgres
) -> None:
    """The way to the server is cut while a query runs."""
    with forwarding(postgres.sockets) as port:
        dsn = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
        worker = serving(serve, dsn, pgsql_conn_max=1, pgsql_cancel_timeout=1)
        client = worker.begin("await kore.dbquery('db', 'SELECT pg_sleep(600)')")
        until(lambda: postgres.sql(SLEEPING) == "1", what="the query")
    client.close()
    with pytest.raises(Raised, match="pgsql error"):
        worker.do(ONE)
    postgres.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
    )

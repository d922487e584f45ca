"""Waiting for a connection: how long, for whom, and what is said when none comes."""

import asyncio
import re
from typing import Any

import pytest

from kore._pgsql import listen, pool
from kore._pgsql.conninfo import parse_conninfo
from kore._pgsql.database import Callbacks, Database, PoolLimits
from kore.errors import DatabaseError
from tests.helpers.databases import ask, database, outcome, turns
from tests.helpers.fix_postgres import APP, Raised, Worker
from tests.helpers.fix_serve import Launcher
from tests.helpers.postgres import Postgres

DEADLOCK = "all are held by transactions or streams that wait for another one"


async def hold(of: Database, met: list[int], count: int) -> Any:
    """Ask for a connection in a transaction, when *count* tasks have begun theirs."""
    async with of.transaction(None, readonly=False) as tx:
        await tx.query("SELECT 1")
        met.append(1)
        while len(met) < count:  # noqa: ASYNC110 - a list is enough
            await asyncio.sleep(0)
        return await ask(of, "SELECT 2 AS a")


@pytest.mark.parametrize("most", [1, 2, 5])
def test_last_holder_in_a_deadlock_gets_an_error(postgres: Postgres, most: int) -> None:
    async def main() -> tuple[list[Any], Any]:
        async with database(postgres.dsn, connection_limit=most, wait_timeout=600) as of:
            met: list[int] = []
            work = (outcome(hold(of, met, most)) for _ in range(most))
            return await asyncio.gather(*work), await ask(of, "SELECT 3 AS a")

    found, after = asyncio.run(main())
    errors = [each for each in found if isinstance(each, DatabaseError)]
    assert found.count([{"a": "2"}]) == most - 1
    assert len(errors) == 1
    assert re.search(rf"{DEADLOCK}.*: {most} open: .*Task-\d+ for \d+\.\d s", str(errors[0]))
    assert after == [{"a": "3"}]


def test_stream_counts_as_holder_of_a_connection(postgres: Postgres) -> None:
    async def main() -> None:
        async with database(postgres.dsn, connection_limit=1, wait_timeout=600) as of:
            async for _ in of.stream("SELECT * FROM generate_series(1, 9)", None, False, False):
                await ask(of, "SELECT 1")

    with pytest.raises(DatabaseError, match=DEADLOCK):
        asyncio.run(main())


def test_no_deadlock_while_a_connection_can_be_released(postgres: Postgres) -> None:
    async def main() -> list[Any]:
        async with database(postgres.dsn, connection_limit=2, wait_timeout=600) as of:
            one = await hold(of, [], 1)
            # The other one is in use, but not by a task that waits.
            busy = asyncio.ensure_future(ask(of, "SELECT pg_sleep(0.05)"))
            await turns(3)
            return [one, await hold(of, [], 1), await busy]

    assert asyncio.run(main()) == [[{"a": "2"}]] * 2 + [[{"pg_sleep": ""}]]


def test_wait_timeout_names_the_holders(serve: Launcher, postgres: Postgres) -> None:
    worker = Worker(
        serve(APP, settings={"pgsql_conn_max": 2, "pgsql_queue_timeout": 1}, DSN=postgres.dsn)
    )
    code = """
        async def job():
            async with kore.transaction("db") as tx:
                await tx.query("SELECT 1")
                arrived.set()
                await leave.wait()
        arrived, leave = asyncio.Event(), asyncio.Event()
        kore.task_create(job())
        await arrived.wait()
        async with kore.transaction("db") as tx:
            # In a task of its own: it is not known to be waited for.
            try:
                return await asyncio.create_task(kore.dbquery("db", "SELECT 1"))
            finally:
                leave.set()
    """
    with pytest.raises(Raised) as raised:
        worker.do(code)
    assert re.fullmatch(
        r"pgsql error: no connection within 1 s \(pgsql_queue_timeout\): 2 open: "
        r"route '/do' for 1\.\d s, task '\S*job' for 1\.\d s",
        str(raised.value),
    )
    assert worker.do('return await kore.dbquery("db", "SELECT 1 AS a")') == [{"a": "1"}]


def test_each_waiting_query_has_its_own_deadline(postgres: Postgres) -> None:
    async def main() -> list[Any]:
        async with database(postgres.dsn, connection_limit=1, wait_timeout=0.05) as of:
            async with of.transaction(None, readonly=False):
                waiting = [asyncio.ensure_future(outcome(ask(of, "SELECT 1"))) for _ in range(3)]
                await asyncio.sleep(0)
                waiting[1].cancel()
                found = await asyncio.gather(*waiting, return_exceptions=True)
                found.append(await outcome(asyncio.create_task(ask(of, "SELECT 1"))))
            return [*map(type, found), await ask(of, "SELECT 1 AS a"), len(of.pool.queue.waiters)]

    late, cancelled = DatabaseError, asyncio.CancelledError
    assert asyncio.run(main()) == [late, cancelled, late, late, [{"a": "1"}], 0]


def test_queue_timeout_of_zero_is_no_limit(postgres: Postgres) -> None:
    async def main() -> Any:
        async with database(postgres.dsn, connection_limit=1, wait_timeout=0) as of:
            busy = asyncio.ensure_future(ask(of, "SELECT pg_sleep(0.01)"))
            task = asyncio.ensure_future(ask(of, "SELECT 1 AS a"))
            await turns(10)
            assert of.pool.wait_timer is None
            await busy
            return await task

    assert asyncio.run(main()) == [{"a": "1"}]


def test_refused_connection_is_retried_for_waiting_queries(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "CONNECT_BACKOFF", 0.01)
    postgres.sql("DROP ROLE IF EXISTS few; CREATE ROLE few LOGIN CONNECTION LIMIT 1")

    async def main() -> tuple[Any, Any]:
        dsn = postgres.dsn.replace("user=postgres", "user=few")
        async with (
            database(dsn, wait_timeout=600) as of,
            database(postgres.dsn) as other,
            of.transaction(None, readonly=False),
        ):
            task = asyncio.ensure_future(ask(of, "SELECT 1 AS a"))
            await turns(100_000_000, lambda: of.pool.backoff > 0.02)
            refusal = of.pool.last_refusal
            await ask(other, "ALTER ROLE few CONNECTION LIMIT 10")
            return refusal, await task

    refusal, rows = asyncio.run(main())
    assert "too many connections" in refusal
    assert rows == [{"a": "1"}]


class Standby:
    """A server that takes connections, and refuses all commands."""

    WELCOME = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"

    def __init__(self) -> None:
        self.connections = 0
        self.tasks: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.current_task())
        self.connections += 1
        await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)
        writer.write(self.WELCOME)
        message = b"SERROR\0C25006\0Mread-only\0\0"
        error = b"E" + (len(message) + 4).to_bytes(4) + message
        while (data := await reader.read(65536)) and not data.startswith(b"X"):
            writer.write(error + b"Z\0\0\0\x05I")
        writer.close()


def test_refused_listen_backs_off_and_logs_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listen, "RECONNECT_DELAY_MAX", 0.4)

    async def main() -> tuple[list[str], float]:
        standby, told = Standby(), []
        async with await asyncio.start_server(standby.serve, "127.0.0.1", 0) as server:
            where = f"host=127.0.0.1 port={server.sockets[0].getsockname()[1]} user=x"
            of = Database(
                parse_conninfo(f"{where} sslmode=disable gssencmode=disable", 10, 0),
                PoolLimits(),
                Callbacks(lambda *_: None, told.append),
            )
            of.listen("news", lambda *_: None, None)
            while standby.connections < 4:  # noqa: ASYNC110 - counted elsewhere
                await asyncio.sleep(0.01)
            delay = of.listener.reconnect_delay
            await of.close(1)
            await asyncio.wait(filter(None, standby.tasks))
        return told, delay

    told, delay = asyncio.run(main())
    assert delay == 0.4
    assert len(told) == 1
    assert "read-only" in told[0]

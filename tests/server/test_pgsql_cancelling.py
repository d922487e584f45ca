"""Requests to cancel: they end what they are meant for, and nothing else."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kore._pgsql.database import Database
from kore._pgsql.transaction import Transaction
from tests.helpers.databases import ask, database, outcome, turns
from tests.helpers.postgres import Postgres

CANCEL_REQUEST = 80877102
WAITING = "SELECT count(*) AS n FROM pg_locks WHERE objid = {} AND NOT granted"


class Gate:
    """A way to a server on which requests to cancel wait until they are let through."""

    def __init__(self, postgres: Postgres) -> None:
        self.path = f"{postgres.sockets}/.s.PGSQL.5432"
        self.arrived = asyncio.Event()
        self.opened = asyncio.Event()
        self.delivered = asyncio.Event()
        self.dsn = ""
        # A query that holds this text goes on when a request to cancel has been delivered.
        self.held = b""
        self.tasks: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.tasks.add(asyncio.current_task())
        first = await reader.read(65536)
        is_cancel = int.from_bytes(first[4:8]) == CANCEL_REQUEST
        if is_cancel:
            self.arrived.set()
            await self.opened.wait()
        server_reader, server_writer = await asyncio.open_unix_connection(self.path)
        server_writer.write(first)
        if is_cancel:
            # The server hangs up when it has passed the request on.
            await carry(server_reader, writer)
            server_writer.close()
            self.delivered.set()
        else:
            await asyncio.gather(
                self.carry_queries(reader, server_writer), carry(server_reader, writer)
            )

    async def carry_queries(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Forward queries to the server, the held one late."""
        while data := await reader.read(65536):
            if self.held and self.held in data:
                await self.delivered.wait()
            writer.write(data)
        writer.close()


async def carry(reader: StreamReader, writer: StreamWriter) -> None:
    """Carry what one end says to the other."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except ConnectionError:
        pass
    writer.close()


@asynccontextmanager
async def gate(postgres: Postgres) -> AsyncIterator[Gate]:
    """Lead from a TCP port to a server."""
    made = Gate(postgres)
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        made.dsn = (
            f"host=127.0.0.1 port={port} user=postgres dbname=postgres sslmode=disable "
            "gssencmode=disable"
        )
        yield made
        made.opened.set()
        await asyncio.wait(filter(None, made.tasks))


async def until_waiting(of: Database, lock: int) -> None:
    """Wait until a query waits for a lock."""
    query = WAITING.format(lock)
    while await ask(of, query) != [{"n": "1"}]:  # noqa: ASYNC110 - the server has no event
        await asyncio.sleep(0)


def test_late_cancel_request_ends_no_other_query(postgres: Postgres) -> None:
    async def first_request(of: Database, inner: asyncio.Event) -> None:
        async with of.transaction(None, readonly=False) as tx:
            try:
                async with tx.transaction():
                    task = asyncio.ensure_future(tx.query("SELECT pg_advisory_xact_lock(81)"))
                    await inner.wait()
                    task.cancel()
                    await task
            except asyncio.CancelledError:
                pass
            # The savepoint is taken back first, by a request to cancel.
            await tx.query("SELECT 2 AS a")

    async def main() -> object:
        inner = asyncio.Event()
        async with (
            gate(postgres) as way,
            database(postgres.dsn) as other,
            database(way.dsn, connection_limit=1, cancel_timeout=60) as of,
        ):
            async with other.transaction(None, readonly=False) as tx:
                await tx.query("SELECT pg_advisory_xact_lock(81)")
                request = asyncio.ensure_future(first_request(of, inner))
                await until_waiting(other, 81)
                inner.set()
                await way.arrived.wait()
            # The lock is free, and the query comes to its end before it can be cancelled.
            (connection,) = of.pool.connections
            await turns(100_000_000, lambda: connection.pending is None)
            # Its client leaves while the request to cancel is on its way.
            request.cancel()
            await outcome(request)
            async with other.transaction(None, readonly=False) as tx:
                await tx.query("SELECT pg_advisory_xact_lock(82)")
                query = "SELECT 'mine' AS a, pg_advisory_xact_lock(82)"
                next_one = asyncio.ensure_future(outcome(ask(of, query)))
                for _ in range(20):
                    if await ask(other, WAITING.format(82)) == [{"n": "1"}]:
                        break
                way.opened.set()
                await way.delivered.wait()
            return await next_one

    assert asyncio.run(main()) == [{"a": "mine", "pg_advisory_xact_lock": ""}]


def test_connection_is_closed_when_its_cancel_request_is_lost(
    postgres: Postgres,
) -> None:
    async def main() -> tuple[object, bool]:
        async with (
            gate(postgres) as way,
            database(way.dsn, connection_limit=1, cancel_timeout=0.2) as of,
            database(postgres.dsn) as other,
        ):
            async with other.transaction(None, readonly=False) as tx:
                await tx.query("SELECT pg_advisory_xact_lock(83)")
                task = asyncio.ensure_future(ask(of, "SELECT pg_advisory_xact_lock(83)"))
                await until_waiting(other, 83)
                (connection,) = of.pool.connections
                task.cancel()
                await way.arrived.wait()
            found = await ask(of, "SELECT 'mine' AS a")
            way.opened.set()
            return found, connection in of.pool.connections

    assert asyncio.run(main()) == ([{"a": "mine"}], False)


def test_cancel_request_is_repeated_until_the_query_ends(postgres: Postgres) -> None:
    async def main() -> object:
        async with gate(postgres) as way, database(way.dsn, connection_limit=1) as of:
            assert await ask(of, "SELECT 1 AS a") == [{"a": "1"}]
            way.held = b"pg_sleep(600)"
            way.opened.set()
            task = asyncio.ensure_future(ask(of, "SELECT pg_sleep(600)"))
            await turns(20)
            (connection,) = of.pool.connections
            task.cancel()
            found = await ask(of, "SELECT 'mine' AS a")
            return found, connection in of.pool.connections

    assert asyncio.run(main()) == ([{"a": "mine"}], True)


def test_cancelling_a_task_at_any_moment_affects_no_other_query(
    postgres: Postgres,
) -> None:
    async def main() -> list[object]:
        async with database(postgres.dsn, connection_limit=1) as of:
            found = []
            for moment in range(1, 120, 3):
                task = asyncio.ensure_future(ask(of, "SELECT pg_sleep(0.0005)"))
                await turns(moment, task.done)
                task.cancel()
                found.append(await outcome(ask(of, "SELECT 'mine' AS a")))
            return found

    assert asyncio.run(main()) == [[{"a": "mine"}]] * 40


def test_cancelling_a_savepoint_at_any_moment_keeps_the_transaction(postgres: Postgres) -> None:
    postgres.sql("DROP TABLE IF EXISTS spared; CREATE TABLE spared (a int)")

    async def inner(tx: Transaction) -> None:
        async with tx.transaction():
            await tx.query("INSERT INTO spared VALUES (1)")
            await tx.query("SELECT pg_sleep(600)")

    async def main() -> list[object]:
        async with (
            database(postgres.dsn, connection_limit=1) as of,
            of.transaction(None, readonly=False) as tx,
        ):
            found = []
            for moment in [*range(1, 60), *range(60, 1000, 50)]:
                task = asyncio.ensure_future(inner(tx))
                await turns(moment)
                task.cancel()
                await outcome(task)
                found.append(await tx.query("SELECT count(*) AS n FROM spared"))
        return found

    assert asyncio.run(main()) == [[{"n": "0"}]] * 78

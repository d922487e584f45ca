"""Opening of connections, to servers that a test plays."""

import asyncio
import socket
import threading
from asyncio import StreamReader, StreamWriter

import pytest

from kore._pgsql import pool
from kore._pgsql.connect import connect
from kore._pgsql.conninfo import ConnectionTarget, parse_conninfo
from kore._pgsql.database import Callbacks, Database, PoolLimits
from kore.errors import DatabaseError

WELCOME = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"
DONE = b"C\0\0\0\x08SET\0Z\0\0\0\x05I"
REFUSED = b"E\0\0\0\x19SFATAL\0C53300\0Mfull\0\0"


class FullServer:
    """A server with room for one connection, which refuses the others before it accepts one."""

    def __init__(self) -> None:
        self.first = True
        self.tasks: list[asyncio.Task[None] | None] = []
        self.refused = asyncio.Event()

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        first, self.first = self.first, False
        self.tasks.append(asyncio.current_task())
        await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)
        if not first:
            writer.write(REFUSED)
            await reader.read()
            self.refused.set()
        else:
            await self.refused.wait()
            writer.write(WELCOME)
            while await reader.read(65536):
                writer.write(DONE)
        writer.close()
        await writer.wait_closed()


def database(port: int, **limits: int) -> Database:
    where = f"host=127.0.0.1 port={port} user=x sslmode=disable gssencmode=disable"
    callbacks = Callbacks(lambda *_: None, lambda _: None)
    return Database(parse_conninfo(where, 10, 0), PoolLimits(**limits), callbacks)


def test_waiters_do_not_fail_while_another_attempt_is_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "CONNECT_BACKOFF", 60.0)

    async def main() -> list[object]:
        server_side = FullServer()
        async with await asyncio.start_server(server_side.serve, "127.0.0.1", 0) as server:
            asked = database(server.sockets[0].getsockname()[1], connection_limit=2)
            queries = (asked.query("SET x = 1", None, False, False) for _ in range(5))
            try:
                return list(await asyncio.gather(*queries))
            finally:
                await asked.close(1)
                await asyncio.wait(filter(None, server_side.tasks))

    assert asyncio.run(main()) == [None] * 5


def test_hanging_lookup_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(60))

    async def main() -> None:
        try:
            await connect(ConnectionTarget({"host": "slow.test"}, 0.05))
        finally:
            over.set()

    with pytest.raises(
        DatabaseError, match=r"resolve host 'slow\.test': no response within 0\.05 s"
    ):
        asyncio.run(main())

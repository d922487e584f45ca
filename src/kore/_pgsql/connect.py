"""Opening connections, and cancelling what runs on one: libpq's steps, on the event loop."""

import asyncio
import os
from typing import Final

import psycopg
from psycopg.pq import ConnStatus, PGconn, PollingStatus
from psycopg.pq.abc import PGcancelConn
from psycopg.pq.abc import PGconn as AnyConn

from kore._pgsql.conninfo import ConnectionTarget, attempts
from kore.errors import DatabaseError

WRITING: Final = int(PollingStatus.WRITING)
READING: Final = int(PollingStatus.READING)
DONE: Final = int(PollingStatus.OK)
BAD: Final = int(ConnStatus.BAD)


async def connect(target: ConnectionTarget) -> AnyConn:
    """Return an open connection; the addresses of *target* are tried in turn."""
    problem = DatabaseError("pgsql error: there is no address to connect to")
    for conninfo in await addresses(target):
        try:
            async with asyncio.timeout(target.timeout):
                return await opened(conninfo)
        except TimeoutError:
            problem = DatabaseError(
                f"pgsql error: connection failed: no answer within {target.timeout:g} s"
            )
        except DatabaseError as error:
            problem = error
        except psycopg.Error as error:
            problem = DatabaseError(f"pgsql error: {str(error).strip()}")
    raise problem


async def addresses(target: ConnectionTarget) -> list[bytes]:
    """Return a connection string for each address of *target*."""
    try:
        async with asyncio.timeout(target.timeout):
            return await attempts(target.words)
    except TimeoutError:
        host = target.words.get("host") or os.environ.get("PGHOST")
        raise DatabaseError(
            f"pgsql error: cannot resolve host '{host}': no answer within {target.timeout:g} s"
        ) from None


async def opened(conninfo: bytes) -> AnyConn:
    """Return an open connection to one address."""
    pgconn: AnyConn = PGconn.connect_start(conninfo)
    try:
        while (step := int(pgconn.connect_poll())) != DONE:
            if step not in {READING, WRITING} or pgconn.status == BAD:
                reason = f"pgsql error: {pgconn.get_error_message().strip()}"
                raise DatabaseError(reason)  # noqa: TRY301 - what follows is for all that fails
            await ready(pgconn.socket, writing=step == WRITING)
    except BaseException:
        pgconn.finish()
        raise
    pgconn.nonblocking = 1
    return pgconn


async def cancel(pgconn: AnyConn) -> None:
    """Ask the server to end what runs on a connection; return when it has been asked."""
    try:
        request = pgconn.cancel_conn()
    except psycopg.NotSupportedError:
        # libpq before 17 can only wait.
        older = pgconn.get_cancel()
        await asyncio.get_running_loop().run_in_executor(None, older.cancel)
        return
    try:
        request.start()
        await asked(request)
    finally:
        request.finish()


async def asked(request: PGcancelConn) -> None:
    """See a request to cancel through."""
    while (step := int(request.poll())) != DONE:
        if step not in {READING, WRITING}:
            raise DatabaseError(f"pgsql error: {request.get_error_message().strip()}")
        await ready(request.socket, writing=step == WRITING)


async def ready(fd: int, *, writing: bool) -> None:
    """Wait until a descriptor is ready. Nothing is left behind: libpq may close it next."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    watch, unwatch = (
        (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
    )
    watch(fd, lambda: None if over.done() else over.set_result(None))
    try:
        await over
    finally:
        unwatch(fd)

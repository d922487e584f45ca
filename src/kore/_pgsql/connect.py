"""Open connections and cancel queries, without blocking: the steps of libpq on the event loop."""

import asyncio
import os
from typing import Final

import psycopg
from psycopg.pq import ConnStatus, PGconn, PollingStatus
from psycopg.pq.abc import PGcancelConn
from psycopg.pq.abc import PGconn as AnyConn

from kore._pgsql.conninfo import ConnectionTarget, resolve_attempts
from kore._pgsql.errors import make_error, map_error
from kore.errors import DatabaseError

POLL_WRITING: Final = int(PollingStatus.WRITING)
POLL_READING: Final = int(PollingStatus.READING)
POLL_OK: Final = int(PollingStatus.OK)
STATUS_BAD: Final = int(ConnStatus.BAD)


async def connect(target: ConnectionTarget) -> AnyConn:
    """Return an open connection to the first address of *target* that accepts one.

    Raises DatabaseError if none does; it has the reason of the last attempt.
    """
    problem = make_error("there is no address to connect to")
    for conninfo in await _resolve_target(target):
        try:
            async with asyncio.timeout(target.timeout):
                return await _open_connection(conninfo)
        except TimeoutError:
            problem = make_error(f"connection failed: no response within {target.timeout:g} s")
        except DatabaseError as error:
            problem = error
        except psycopg.Error as error:
            problem = map_error(error)
    raise problem


async def _resolve_target(target: ConnectionTarget) -> list[bytes]:
    """Return a connection string for each address of *target*.

    Raises DatabaseError if its host cannot be resolved in time.
    """
    try:
        async with asyncio.timeout(target.timeout):
            return await resolve_attempts(target.keywords)
    except TimeoutError:
        host = target.keywords.get("host") or os.environ.get("PGHOST")
        message = f"cannot resolve host '{host}': no response within {target.timeout:g} s"
        raise make_error(message) from None


async def _open_connection(conninfo: bytes) -> AnyConn:
    """Return an open connection to one address. Raises DatabaseError if it is refused."""
    pgconn: AnyConn = PGconn.connect_start(conninfo)
    try:
        while (step := int(pgconn.connect_poll())) != POLL_OK:
            if step not in {POLL_READING, POLL_WRITING} or pgconn.status == STATUS_BAD:
                error = make_error(pgconn.get_error_message())
                raise error  # noqa: TRY301 - the handler below closes after any failure
            await _wait_ready(pgconn.socket, for_writing=step == POLL_WRITING)
    except BaseException:
        pgconn.finish()
        raise
    pgconn.nonblocking = 1
    return pgconn


async def cancel_query(pgconn: AnyConn) -> None:
    """Send a cancel request for the query that runs on a connection.

    Returns when the request is delivered, which is before the query ends. Raises DatabaseError
    or psycopg.Error if it cannot be delivered.
    """
    try:
        request = pgconn.cancel_conn()
    except psycopg.NotSupportedError:
        # libpq before 17 has only a blocking call.
        older = pgconn.get_cancel()
        await asyncio.get_running_loop().run_in_executor(None, older.cancel)
        return
    try:
        request.start()
        await _deliver_cancel(request)
    finally:
        request.finish()


async def _deliver_cancel(request: PGcancelConn) -> None:
    """Run the steps of a cancel request. Raises DatabaseError if it fails."""
    while (step := int(request.poll())) != POLL_OK:
        if step not in {POLL_READING, POLL_WRITING}:
            raise make_error(request.get_error_message())
        await _wait_ready(request.socket, for_writing=step == POLL_WRITING)


async def _wait_ready(fd: int, *, for_writing: bool) -> None:
    """Wait until a descriptor is ready; stop watching it then, as libpq may close it next."""
    loop = asyncio.get_running_loop()
    is_ready = loop.create_future()
    add, remove = (
        (loop.add_writer, loop.remove_writer)
        if for_writing
        else (loop.add_reader, loop.remove_reader)
    )
    add(fd, lambda: None if is_ready.done() else is_ready.set_result(None))
    try:
        await is_ready
    finally:
        remove(fd)

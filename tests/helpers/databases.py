"""A database of kore's in the process of a test, without a worker."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from kore._pgsql.conninfo import parse_conninfo
from kore._pgsql.database import Callbacks, Database, PoolLimits
from kore._pgsql.rows import Rows


@asynccontextmanager
async def database(dsn: str, **limits: Any) -> AsyncIterator[Database]:
    """Have a database for the length of a block."""
    callbacks = Callbacks(lambda call, *words: call(*words), lambda _: None)
    made = Database(parse_conninfo(dsn, 10, 0), PoolLimits(**limits), callbacks)
    try:
        yield made
    finally:
        await made.close(5)


async def ask(of: Database, query: str, *values: object) -> Rows | None:
    """Ask for rows as text."""
    return await of.query(query, list(values) or None, False, False)


async def settled(of: Database) -> None:
    """Wait until all connections are proven or closed."""
    while of.pool.background_tasks:
        await asyncio.wait(of.pool.background_tasks)


async def turns(count: int, until: Callable[[], bool] = lambda: False) -> None:
    """Let the event loop go round so many times, unless something has happened by then."""
    for _ in range(count):
        if until():
            return
        await asyncio.sleep(0)


async def outcome(work: Awaitable[Any]) -> Any:
    """Return what comes of some work: a value or an exception."""
    try:
        return await work
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it is the result
        return error

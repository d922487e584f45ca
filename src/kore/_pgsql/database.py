"""What an application can do with a database: ask, stream, listen, have transactions."""

from asyncio import Task
from collections.abc import Callable, Iterable
from typing import Any

from kore._dataclass import dataclass
from kore._pgsql.conninfo import ConnectionTarget
from kore._pgsql.listen import Call, Callback, NotifyListener, Subscription
from kore._pgsql.pipeline import batch, pipeline
from kore._pgsql.pool import ConnectionPool, PoolLimits
from kore._pgsql.query import execute, fetch, form
from kore._pgsql.rows import Rows
from kore._pgsql.session import TransactionSession, begin
from kore._pgsql.stream import RowStream
from kore._pgsql.transaction import Transaction
from kore._pgsql.values import parameters


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What calls callbacks, where it is said that a connection was lost, what tasks are called."""

    call: Call
    log: Callable[[str], object]
    describe: Callable[[Task[Any]], str] = Task.get_name


class Database:
    """A database of a worker. Made where the event loop runs."""

    def __init__(self, target: ConnectionTarget, limits: PoolLimits, around: Callbacks) -> None:
        self.pool = ConnectionPool(target, limits, around.describe)
        self.listener = NotifyListener(target, self.pool.hub, around.call, around.log)

    async def query(self, query: str, params: Any, binary: object, bytea: object) -> Rows | None:
        """Return the rows of a query; None: it has no such thing."""
        return await self.pool.run(fetch, query, parameters(params), form(binary, bytea))

    async def execute(self, query: str, params: Any) -> int:
        """Return how many rows a query touched."""
        return await self.pool.run(execute, query, parameters(params))

    async def pipeline(
        self, queries: Iterable[object], binary: object, bytea: object
    ) -> list[Rows | None]:
        """Return what each of several queries has for a result."""
        return await self.pool.run(pipeline, batch(queries), form(binary, bytea))

    def stream(self, query: str, params: Any, binary: object, bytea: object) -> RowStream:
        """Return what reads the rows of a query as they are needed."""
        wanted = form(binary, bytea)
        return RowStream(TransactionSession(self.pool), query, parameters(params), wanted, own=True)

    def transaction(self, isolation: object, *, readonly: bool) -> Transaction:
        """Return a transaction yet to begin."""
        return Transaction(TransactionSession(self.pool, begin(isolation, readonly=readonly)))

    def listen(
        self, channel: str, callback: Callback, again: Callable[[], object] | None
    ) -> Subscription:
        """Have a callback called with what is notified."""
        return self.listener.add(channel, callback, again)

    async def close(self, seconds: float) -> None:
        """Hang up."""
        await self.listener.close()
        await self.pool.close(seconds)

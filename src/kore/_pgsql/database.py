"""The operations an application has on a database: query, stream, listen, transaction."""

from asyncio import Task
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kore._pgsql.conninfo import ConnectionTarget
from kore._pgsql.listen import CallApplication, NotifyCallback, NotifyListener, Subscription
from kore._pgsql.pipeline import parse_batch, run_pipeline
from kore._pgsql.pool import ConnectionPool, PoolLimits
from kore._pgsql.query import execute_query, fetch_rows, parse_format
from kore._pgsql.rows import Rows
from kore._pgsql.session import TransactionSession, build_begin
from kore._pgsql.stream import RowStream
from kore._pgsql.transaction import Transaction
from kore._pgsql.values import encode_params


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the worker does for a database: call the application, log, name a task."""

    call: CallApplication
    log: Callable[[str], object]
    describe_task: Callable[[Task[Any]], str] = Task.get_name


class Database:
    """A database of a worker: a pool of connections, and a connection for notifications.

    Create it on the event loop that it will use.
    """

    def __init__(self, target: ConnectionTarget, limits: PoolLimits, callbacks: Callbacks) -> None:
        self.pool = ConnectionPool(target, limits, callbacks.describe_task)
        self.listener = NotifyListener(target, self.pool.epoll, callbacks.call, callbacks.log)

    async def query(self, query: str, params: Any, binary: object, bytea: object) -> Rows | None:
        """Return the rows of a query; None if it returns none, as an INSERT."""
        return await self.pool.run(
            fetch_rows, query, encode_params(params), parse_format(binary, bytea)
        )

    async def execute(self, query: str, params: Any) -> int:
        """Run a query; return how many rows it affected."""
        return await self.pool.run(execute_query, query, encode_params(params))

    async def pipeline(
        self, queries: Iterable[object], binary: object, bytea: object
    ) -> list[Rows | None]:
        """Return the result of each of several queries that are sent at once."""
        return await self.pool.run(run_pipeline, parse_batch(queries), parse_format(binary, bytea))

    def stream(self, query: str, params: Any, binary: object, bytea: object) -> RowStream:
        """Return an iterator over the rows of a query, which reads some rows at a time."""
        result_format = parse_format(binary, bytea)
        session = TransactionSession(self.pool)
        return RowStream(
            session, query, encode_params(params), result_format, owns_transaction=True
        )

    def transaction(self, isolation: object, *, readonly: bool) -> Transaction:
        """Return a transaction that has not begun yet."""
        begin = build_begin(isolation, readonly=readonly)
        return Transaction(TransactionSession(self.pool, begin))

    def listen(
        self, channel: str, callback: NotifyCallback, on_relisten: Callable[[], object] | None
    ) -> Subscription:
        """Call *callback* for each notification on *channel*.

        *on_relisten* is called after the connection was lost and opened again.
        """
        return self.listener.add(channel, callback, on_relisten)

    async def close(self, seconds_max: float) -> None:
        """Close all connections; wait so long at most for queries that are being cancelled."""
        await self.listener.close()
        await self.pool.close(seconds_max)

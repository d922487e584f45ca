"""Transactions: committed at the end of their block, rolled back if an exception leaves it."""

from collections.abc import Awaitable, Iterable
from types import TracebackType
from typing import Any, Self

from kore._pgsql.pipeline import parse_batch, run_pipeline
from kore._pgsql.query import execute_query, fetch_rows, parse_format
from kore._pgsql.rows import Rows
from kore._pgsql.session import TransactionSession
from kore._pgsql.stream import RowStream
from kore._pgsql.values import encode_params
from kore.errors import DatabaseError


class Transaction:
    """A transaction as an application uses it: `async with kore.transaction(db) as tx`."""

    def __init__(self, session: TransactionSession) -> None:
        self._session = session

    async def query(
        self, query: str, params: Any = None, *, binary: bool = False, bytea: bool = False
    ) -> Rows | None:
        """Do what `kore.dbquery()` does, in this transaction."""
        result_format = parse_format(binary, bytea)
        return await self._session.run(fetch_rows, query, encode_params(params), result_format)

    async def execute(self, query: str, params: Any = None) -> int:
        """Do what `kore.dbexecute()` does, in this transaction."""
        return await self._session.run(execute_query, query, encode_params(params))

    async def pipeline(
        self, queries: Iterable[object], *, binary: bool = False, bytea: bool = False
    ) -> list[Rows | None]:
        """Do what `kore.dbpipeline()` does, in this transaction."""
        batch, result_format = parse_batch(queries), parse_format(binary, bytea)
        return await self._session.run(run_pipeline, batch, result_format)

    def stream(
        self, query: str, params: Any = None, *, binary: bool = False, bytea: bool = False
    ) -> RowStream:
        """Do what `kore.dbstream()` does, in this transaction; other queries may come between."""
        encoded, result_format = encode_params(params), parse_format(binary, bytea)
        return RowStream(self._session, query, encoded, result_format, owns_transaction=False)

    def transaction(self) -> "Savepoint":
        """Return a nested transaction, a savepoint: a failure in it rolls back only its part."""
        return Savepoint(self, self._session)

    async def __aenter__(self) -> Self:
        await self._session.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is None:
            await self._session.end(commit=True)
        elif not issubclass(kind, Exception):
            # Cancelled: do not wait. The pool rolls back in the background.
            self._session.release()
        else:
            # The exception of the block says more than an error of the rollback.
            await _ignore_database_error(self._session.end(commit=False))


class Savepoint:
    """A transaction within another one."""

    def __init__(self, transaction: Transaction, session: TransactionSession) -> None:
        self.transaction = transaction
        self.session = session
        self.name = session.make_name()

    async def __aenter__(self) -> Transaction:
        await self.session.create_savepoint(self.name)
        return self.transaction

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is None:
            await self.session.run_command(f"RELEASE {self.name}")
            return
        self.session.roll_back_later(self.name)
        # If cancelled, do not wait: the rollback runs before the next query of the transaction.
        if issubclass(kind, Exception):
            await _ignore_database_error(self.session.flush_rollback())


async def _ignore_database_error(work: Awaitable[None]) -> None:
    """Await a rollback that may fail because of an earlier error, which is reported instead."""
    try:
        await work
    except DatabaseError:
        return

"""Transactions: committed when their block ends, rolled back by what goes wrong in it."""

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from kore._pgsql.pipeline import batch, pipeline
from kore._pgsql.query import execute, fetch, form
from kore._pgsql.rows import Rows
from kore._pgsql.session import TransactionSession
from kore._pgsql.stream import RowStream
from kore._pgsql.values import parameters
from kore.errors import DatabaseError


class Transaction:
    """What `async with kore.transaction(db) as tx` runs its queries on."""

    def __init__(self, session: TransactionSession) -> None:
        self._session = session

    async def query(
        self, query: str, params: Any = None, *, binary: bool = False, bytea: bool = False
    ) -> Rows | None:
        """Do what `kore.dbquery()` does, in this transaction."""
        return await self._session.run(fetch, query, parameters(params), form(binary, bytea))

    async def execute(self, query: str, params: Any = None) -> int:
        """Do what `kore.dbexecute()` does, in this transaction."""
        return await self._session.run(execute, query, parameters(params))

    async def pipeline(
        self, queries: Iterable[object], *, binary: bool = False, bytea: bool = False
    ) -> list[Rows | None]:
        """Do what `kore.dbpipeline()` does, in this transaction."""
        return await self._session.run(pipeline, batch(queries), form(binary, bytea))

    def stream(
        self, query: str, params: Any = None, *, binary: bool = False, bytea: bool = False
    ) -> RowStream:
        """Do what `kore.dbstream()` does, in this transaction; other queries may come between."""
        return RowStream(self._session, query, parameters(params), form(binary, bytea), own=False)

    def transaction(self) -> "Savepoint":
        """Return a transaction within this one: what goes wrong in it undoes no more than it."""
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
            # Cancelled: nobody waits for the end of it.
            self._session.leave()
        else:
            # What made it fail says more than what makes the end of it fail.
            await quietly(self._session.end(commit=False))


class Savepoint:
    """A transaction within another one."""

    def __init__(self, transaction: Transaction, session: TransactionSession) -> None:
        self.transaction = transaction
        self.session = session
        self.name = session.name()

    async def __aenter__(self) -> Transaction:
        await self.session.enter(self.name)
        return self.transaction

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is None:
            await self.session.command(f"RELEASE {self.name}")
            return
        self.session.give_up(self.name)
        # Cancelled: nobody waits for it. Whatever comes next in the transaction will.
        if issubclass(kind, Exception):
            await quietly(self.session.settle())


async def quietly(work: Any) -> None:
    """Await what may fail because something else has failed before."""
    try:
        await work
    except DatabaseError:
        return

"""One connection for some queries that belong together, from BEGIN to COMMIT or ROLLBACK."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import psycopg

from kore._pgsql.connection import Connection
from kore._pgsql.pool import ConnectionPool
from kore._pgsql.query import judged
from kore._pgsql.rows import tag
from kore.errors import DatabaseError

ISOLATIONS: Final = ("read committed", "repeatable read", "serializable")
OVER: Final = "pgsql error: the transaction is over, or has not begun"
FAILED: Final = "pgsql error: a query had failed, so the transaction was rolled back"
CUT: Final = "pgsql error: a query was cancelled, so the transaction is rolled back"

T = TypeVar("T")
P = ParamSpec("P")


def begin(isolation: object, *, readonly: bool) -> bytes:
    """Return the statement that begins a transaction. ValueError: there is no such isolation."""
    words = "BEGIN"
    if isolation is not None:
        if not isinstance(isolation, str) or isolation.lower() not in ISOLATIONS:
            raise ValueError(f"isolation {isolation!r} is none of {', '.join(ISOLATIONS)}")
        words += f" ISOLATION LEVEL {isolation.upper()}"
    if type(readonly) is not bool:
        raise DatabaseError("pgsql: readonly not True or False")
    return f"{words} READ ONLY".encode() if readonly else words.encode()


class TransactionSession:
    """A transaction as those see it who work on it."""

    def __init__(self, pool: ConnectionPool, first: bytes = b"BEGIN") -> None:
        self.pool = pool
        self.first = first
        self.connection: Connection | None = None
        # The task that began it.
        self.owner: asyncio.Task[Any] | None = None
        # Tasks may share a transaction: one query at a time.
        self.turn = asyncio.Lock()
        self.names = 0
        # A query was cancelled: nobody knows whether it has run.
        self.cut = False
        # What takes back the work of savepoints that were left in the middle.
        self.undo = ""
        # A savepoint is about to be made: that is not cut off.
        self.is_entering = False

    async def begin(self) -> None:
        """Take a connection, and begin."""
        async with self.turn:
            if self.connection is not None:
                raise DatabaseError("pgsql error: the transaction has begun already")
            connection = self.pool.idle() or await self.pool.lend()
            connection.holder = asyncio.current_task()
            try:
                judged(await connection.command(self.first))
            except BaseException:
                self.pool.take_back(connection)
                raise
            self.connection, self.cut, self.undo = connection, False, ""
            self.is_entering = False
            self.owner = self.pool.hold(connection.holder)

    async def run(
        self,
        work: Callable[Concatenate[Connection, P], Awaitable[T]],
        *arguments: P.args,
        **keywords: P.kwargs,
    ) -> T:
        """Do some work on the connection, when it is its turn."""
        async with self.turn:
            try:
                connection = await self.usable()
                result = await work(connection, *arguments, **keywords)
            except asyncio.CancelledError:
                self.cut = True
                raise
            except psycopg.Error as error:
                raise DatabaseError(f"pgsql error: {str(error).strip()}") from None
            if not connection.in_transaction:
                raise DatabaseError("pgsql error: a query has ended the transaction")
            return result

    async def command(self, text: str) -> None:
        """Run a statement of ours."""
        await self.run(order, text)

    async def enter(self, savepoint: str) -> None:
        """Make a savepoint. If that is cancelled, it is taken back, and no more."""
        try:
            await self.run(self.make_savepoint, savepoint)
        except asyncio.CancelledError:
            if self.is_entering:
                self.cut = False
                self.give_up(savepoint)
            raise

    async def make_savepoint(self, connection: Connection, savepoint: str) -> None:
        """Make a savepoint on the connection."""
        self.is_entering = True
        try:
            await order(connection, f"SAVEPOINT {savepoint}")
        except Exception:
            self.is_entering = False
            raise
        self.is_entering = False

    def give_up(self, savepoint: str) -> None:
        """Have the work since a savepoint taken back by what comes next."""
        self.undo += f"ROLLBACK TO {savepoint}; RELEASE {savepoint};"

    def name(self) -> str:
        """Return a name for a savepoint or a cursor."""
        self.names += 1
        return f"kore_{self.names}"

    async def end(self, *, commit: bool) -> None:
        """End it, and give the connection back. DatabaseError: it could not be committed."""
        try:
            async with self.turn:
                connection = await self.usable()
                results = await connection.command(b"COMMIT" if commit else b"ROLLBACK")
                judged(results)
                if commit and tag(results[-1]) != "COMMIT":
                    raise DatabaseError(FAILED)
        except psycopg.Error as error:
            raise DatabaseError(f"pgsql error: {str(error).strip()}") from None
        finally:
            self.leave()

    def leave(self) -> None:
        """Give the connection back, in whatever state: what is open is rolled back."""
        connection, self.connection = self.connection, None
        if connection is not None:
            self.pool.release(self.owner)
            self.owner = None
            self.pool.take_back(connection)

    async def usable(self) -> Connection:
        """Return the connection. DatabaseError: it is gone, or of no use any more."""
        if self.connection is None:
            raise DatabaseError(OVER)
        if self.connection.lost is not None:
            raise self.connection.lost
        if self.undo:
            await self.take_back(self.connection)
        if self.cut:
            raise DatabaseError(CUT)
        return self.connection

    async def take_back(self, connection: Connection) -> None:
        """Take back the work of a savepoint, and what may still run in it."""
        undo, self.undo = self.undo, ""
        # Unless it comes to its end here.
        self.cut = True
        try:
            async with asyncio.timeout(self.pool.limits.cancel):
                if not self.is_entering:
                    await connection.halt()
                elif connection.reply is not None:
                    await connection.abandon()
                self.is_entering = False
                await order(connection, undo)
        except TimeoutError:
            raise DatabaseError(CUT) from None
        self.cut = False

    async def settle(self) -> None:
        """Take back what is to be taken back, now."""
        try:
            async with self.turn:
                await self.usable()
        except psycopg.Error as error:
            raise DatabaseError(f"pgsql error: {str(error).strip()}") from None


async def order(connection: Connection, text: str) -> None:
    """Run a statement of ours on a connection."""
    judged(await connection.command(text.encode()))

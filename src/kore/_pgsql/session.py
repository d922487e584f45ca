"""The connection of a transaction: acquired at BEGIN, released after COMMIT or ROLLBACK.

Transactions, savepoints and streams run on it. Tasks may share it, one query at a time. A query
that is cancelled fails the transaction, or the innermost savepoint, which is rolled back first.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from kore._pgsql.connection import PgConnection
from kore._pgsql.errors import map_errors
from kore._pgsql.pool import ConnectionPool
from kore._pgsql.query import check_results
from kore._pgsql.rows import get_command_tag
from kore.errors import DatabaseError

ISOLATIONS: Final = ("read committed", "repeatable read", "serializable")
NOT_BEGUN: Final = "pgsql error: the transaction is over, or has not begun"
ROLLED_BACK: Final = "pgsql error: a query had failed, so the transaction was rolled back"
CANCELLED: Final = "pgsql error: a query was cancelled, so the transaction is rolled back"

T = TypeVar("T")
P = ParamSpec("P")


def build_begin(isolation: object, *, readonly: bool) -> bytes:
    """Return the statement that begins a transaction.

    Raises ValueError for an unknown isolation level, DatabaseError if *readonly* is not a bool.
    """
    words = "BEGIN"
    if isolation is not None:
        if not isinstance(isolation, str) or isolation.lower() not in ISOLATIONS:
            raise ValueError(f"isolation {isolation!r} is none of {', '.join(ISOLATIONS)}")
        words += f" ISOLATION LEVEL {isolation.upper()}"
    if type(readonly) is not bool:
        raise DatabaseError("pgsql: readonly not True or False")
    return f"{words} READ ONLY".encode() if readonly else words.encode()


class TransactionSession:
    """A transaction on a connection of its own; *begin_statement* starts it."""

    def __init__(self, pool: ConnectionPool, begin_statement: bytes = b"BEGIN") -> None:
        self.pool = pool
        self.begin_statement = begin_statement
        # None: not begun, or over.
        self.connection: PgConnection | None = None
        # The task that began it.
        self.owner: asyncio.Task[Any] | None = None
        self.lock = asyncio.Lock()
        self.name_count = 0
        # A query was cancelled, and may or may not have run.
        self.cancelled_midway = False
        # Statements that roll back savepoints whose block was left by an exception.
        self.pending_rollback = ""
        # SAVEPOINT is under way. If its task is cancelled, it runs to its end all the same.
        self.is_creating_savepoint = False

    async def begin(self) -> None:
        """Acquire a connection and begin. Raises DatabaseError if that fails, or it has begun."""
        async with self.lock:
            if self.connection is not None:
                raise DatabaseError("pgsql error: the transaction has begun already")
            connection = self.pool.pop_idle() or await self.pool.acquire()
            connection.holder = asyncio.current_task()
            try:
                check_results(await connection.send_command(self.begin_statement))
            except BaseException:
                self.pool.release(connection)
                raise
            self.connection = connection
            self.cancelled_midway, self.pending_rollback = False, ""
            self.is_creating_savepoint = False
            self.owner = self.pool.add_holder(connection.holder)

    async def run(
        self,
        work: Callable[Concatenate[PgConnection, P], Awaitable[T]],
        *arguments: P.args,
        **keywords: P.kwargs,
    ) -> T:
        """Call *work* with the connection, after earlier calls have ended.

        Raises DatabaseError if the transaction cannot be used, or is over after the call.
        """
        async with self.lock:
            try:
                with map_errors():
                    connection = await self.ensure_usable()
                    result = await work(connection, *arguments, **keywords)
            except asyncio.CancelledError:
                self.cancelled_midway = True
                raise
            if not connection.in_transaction:
                raise DatabaseError("pgsql error: a query has ended the transaction")
            return result

    async def run_command(self, text: str) -> None:
        """Run a statement of this package, such as RELEASE."""
        await self.run(run_command, text)

    async def end(self, *, commit: bool) -> None:
        """Commit or roll back, and release the connection.

        Raises DatabaseError if the transaction could not be committed.
        """
        try:
            with map_errors():
                async with self.lock:
                    connection = await self.ensure_usable()
                    results = await connection.send_command(b"COMMIT" if commit else b"ROLLBACK")
                    check_results(results)
                    # COMMIT of a failed transaction succeeds, but rolls back.
                    if commit and get_command_tag(results[-1]) != "COMMIT":
                        raise DatabaseError(ROLLED_BACK)
        finally:
            self.release()

    def release(self) -> None:
        """Release the connection in any state; the pool rolls back an open transaction."""
        connection, self.connection = self.connection, None
        if connection is not None:
            self.pool.remove_holder(self.owner)
            self.owner = None
            self.pool.release(connection)

    async def ensure_usable(self) -> PgConnection:
        """Return the connection, after pending rollbacks.

        Raises DatabaseError if the transaction is not open, lost, or failed by a cancelled query.
        """
        if self.connection is None:
            raise DatabaseError(NOT_BEGUN)
        if self.connection.lost_error is not None:
            raise self.connection.lost_error
        if self.pending_rollback:
            await self.roll_back_savepoints(self.connection)
        if self.cancelled_midway:
            raise DatabaseError(CANCELLED)
        return self.connection

    # ---- savepoints

    def make_name(self) -> str:
        """Return a new name for a savepoint or a cursor."""
        self.name_count += 1
        return f"kore_{self.name_count}"

    async def create_savepoint(self, name: str) -> None:
        """Create a savepoint. If the task is cancelled meanwhile, only that is rolled back."""
        try:
            await self.run(self.send_savepoint, name)
        except asyncio.CancelledError:
            if self.is_creating_savepoint:
                self.cancelled_midway = False
                self.roll_back_later(name)
            raise

    async def send_savepoint(self, connection: PgConnection, name: str) -> None:
        """Run SAVEPOINT; after a cancellation `is_creating_savepoint` stays set."""
        self.is_creating_savepoint = True
        try:
            await run_command(connection, f"SAVEPOINT {name}")
        except Exception:
            self.is_creating_savepoint = False
            raise
        self.is_creating_savepoint = False

    def roll_back_later(self, savepoint: str) -> None:
        """Roll back to a savepoint and release it before the next query runs."""
        self.pending_rollback += f"ROLLBACK TO {savepoint}; RELEASE {savepoint};"

    async def roll_back_savepoints(self, connection: PgConnection) -> None:
        """Run the pending rollback, after the query that may still run has been cancelled.

        Raises DatabaseError if that takes longer than the pool's `cancel_timeout`.
        """
        rollback, self.pending_rollback = self.pending_rollback, ""
        # Stays set if this is cancelled or fails.
        self.cancelled_midway = True
        try:
            async with asyncio.timeout(self.pool.limits.cancel_timeout):
                if not self.is_creating_savepoint:
                    await connection.cancel_running()
                elif connection.pending is not None:
                    await connection.abandon()
                self.is_creating_savepoint = False
                await run_command(connection, rollback)
        except TimeoutError:
            raise DatabaseError(CANCELLED) from None
        self.cancelled_midway = False

    async def flush_rollback(self) -> None:
        """Run the pending rollback now. Raises DatabaseError if it fails."""
        with map_errors():
            async with self.lock:
                await self.ensure_usable()


async def run_command(connection: PgConnection, text: str) -> None:
    """Run a statement of this package on a connection. Raises DatabaseError if it fails."""
    check_results(await connection.send_command(text.encode()))

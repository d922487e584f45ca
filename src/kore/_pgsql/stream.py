"""Rows as they are needed: a cursor on the server, read some rows at a time."""

import contextlib
from types import TracebackType
from typing import Final, Self

from psycopg.pq.abc import PGresult

from kore._pgsql.connection import Connection
from kore._pgsql.query import ResultFormat, found, sending
from kore._pgsql.rows import GOOD, TUPLES_OK, Row, Rows, columns, failure, width
from kore._pgsql.session import TransactionSession
from kore._pgsql.values import Values, statement
from kore.errors import DatabaseError

# Rows that are read at a time: at first, when nothing is known of their size, and at most.
FIRST: Final = 4
BATCH: Final = 500
GROWTH: Final = 16
# What they may have in values and, as far as can be told from those before, in bytes.
VALUES: Final = 20_000
BYTES: Final = 1 << 20

CLOSED: Final = "pgsql error: the stream was closed before its last row"
CUT: Final = "pgsql error: a read of the stream was cancelled, so the rows end before the last one"
BUSY: Final = "pgsql error: another task reads this stream"


class RowStream:
    """An async iterator over the rows of a query, each a dict.

    With a transaction of its *own*, that is committed after the last row, and rolled back when the
    stream is closed, or dropped, before.
    """

    def __init__(
        self,
        session: TransactionSession,
        query: str,
        values: Values,
        wanted: ResultFormat,
        *,
        own: bool,
    ) -> None:
        self.session = session
        self.own = own
        self.query = query
        self.encoded = statement(query)
        self.values = values
        self.wanted = wanted
        self.cursor = ""
        self.names: tuple[str, ...] | None = None
        # The next one is the last one.
        self.rows: list[Row] = []
        self.count = FIRST
        # All have been read; or no more will be, and this is why.
        self.over = False
        self.cut: DatabaseError | None = None
        self.reading = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Row:
        if not self.rows:
            await self.read()
        return self.rows.pop()

    async def aclose(self) -> None:
        """Read no more. Another task that reads, or goes on to, hears that rows are missing."""
        if self.cut is not None or (self.over and not self.rows):
            return
        over, self.rows = self.over, []
        self.cut = DatabaseError(CLOSED)
        if over or self.session.connection is None:
            return
        if not self.own:
            if self.cursor:
                await self.session.command(f"CLOSE {self.cursor}")
        elif self.reading:
            self.session.leave()
        else:
            await self.session.end(commit=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is not None and not issubclass(kind, Exception):
            self.drop()
        else:
            await self.aclose()

    def __del__(self) -> None:
        # A `break` in an `async for` leads here at once; a collection of garbage in any thread.
        if self.own and self.session.connection is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and all connections
                self.session.pool.loop.call_soon_threadsafe(self.session.leave)

    # ---- inside

    async def read(self) -> None:
        """Read the next rows. StopAsyncIteration: there are none. DatabaseError: some are lost."""
        if self.cut is not None:
            raise again(self.cut)
        if self.over:
            raise StopAsyncIteration
        if self.reading:
            raise DatabaseError(BUSY)
        self.reading = True
        try:
            rows = await self.next_rows()
        except BaseException as error:
            closed = self.cut if isinstance(error, DatabaseError) else None
            self.drop(error)
            if closed is not None:
                raise again(closed) from None
            raise
        finally:
            self.reading = False
        if not rows:
            raise StopAsyncIteration
        rows.reverse()
        self.rows = rows

    async def next_rows(self) -> Rows:
        """Return the next rows; with the last ones, what is left to do is done."""
        if not self.cursor:
            await self.begin()
        self.check()
        count = self.count
        rows = await self.session.run(self.fetch)
        self.check()
        if len(rows) < count:
            await self.finish()
            self.check()
            self.over = True
        return rows

    def check(self) -> None:
        """Raise DatabaseError if the stream has been closed meanwhile."""
        if self.cut is not None:
            raise self.cut

    async def begin(self) -> None:
        """Have a cursor made."""
        if self.own:
            await self.session.begin()
        self.cursor = self.session.name()
        await self.session.run(self.declare)

    async def declare(self, connection: Connection) -> None:
        """Make the cursor."""
        values, formats = self.values
        sending(connection)
        connection.note(self.query)
        words = b"DECLARE %s NO SCROLL CURSOR FOR %s" % (self.cursor.encode(), self.encoded)
        connection.pgconn.send_query_params(words, values, None, formats)
        for result in await connection.expect():
            if result.status not in GOOD:
                raise failure(result)

    async def fetch(self, connection: Connection) -> Rows:
        """Return the next rows."""
        sending(connection)
        words = b"FETCH %d FROM %s" % (self.count, self.cursor.encode())
        connection.pgconn.send_query_params(words, [], None, None, self.wanted.binary)
        (result,) = await connection.expect()
        if result.status != TUPLES_OK:
            raise failure(result)
        if self.names is None:
            self.names = columns(result)
        self.count = reasonable(self.count, result)
        return await found(result, self.names, self.wanted) or Rows()

    async def finish(self) -> None:
        """Commit, or close the cursor: all has been read."""
        if self.own:
            await self.session.end(commit=True)
        else:
            await self.session.command(f"CLOSE {self.cursor}")

    def drop(self, error: BaseException | None = None) -> None:
        """Read no more, and wait for nothing."""
        if self.cut is None:
            self.cut = error if isinstance(error, DatabaseError) else DatabaseError(CUT)
        self.rows = []
        if self.own:
            self.session.leave()


def reasonable(count: int, result: PGresult) -> int:
    """Return how many rows to read next, after *count* of which *result* has what there was."""
    if not result.ntuples:
        return count
    limits = (
        count * GROWTH, BATCH, VALUES // max(1, result.nfields), BYTES // max(1, width(result))
    )  # fmt: skip
    return max(1, min(limits))


def again(error: DatabaseError) -> DatabaseError:
    """Return the same error, to be raised once more."""
    return DatabaseError(str(error), error.sqlstate, error.fields)

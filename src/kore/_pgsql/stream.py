"""Rows as they are needed: a cursor on the server, read some rows at a time."""

import contextlib
from types import TracebackType
from typing import Final, Self

from kore._pgsql.connection import Connection
from kore._pgsql.question import Form, found, sending
from kore._pgsql.rows import GOOD, TUPLES_OK, Row, Rows, columns, failure
from kore._pgsql.session import Session
from kore._pgsql.values import Values, statement
from kore.errors import DatabaseError

# Rows that are on their way at a time.
BATCH: Final = 500


class Stream:
    """An async iterator over the rows of a query, each a dict.

    With a transaction of its *own*, that is committed after the last row, and rolled back when the
    stream is closed, or dropped, before.
    """

    def __init__(
        self, session: Session, query: str, values: Values, wanted: Form, *, own: bool
    ) -> None:
        self.session = session
        self.own = own
        self.query = statement(query)
        self.values = values
        self.wanted = wanted
        self.cursor = ""
        self.names: tuple[str, ...] | None = None
        # The next one is the last one.
        self.rows: list[Row] = []
        self.over = False
        self.reading = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Row:
        if not self.rows:
            await self.read()
        return self.rows.pop()

    async def aclose(self) -> None:
        """Read no more."""
        self.rows = []
        over, self.over = self.over, True
        if over or not self.cursor:
            return
        if self.own:
            await self.session.end(commit=False)
        elif self.session.connection is not None:
            await self.session.command(f"CLOSE {self.cursor}")

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
        """Read the next rows. StopAsyncIteration: there are none."""
        if self.over:
            raise StopAsyncIteration
        if self.reading:
            raise DatabaseError("pgsql error: somebody else reads this stream")
        self.reading = True
        try:
            if not self.cursor:
                await self.begin()
            made = await self.session.run(self.fetch)
            self.over = len(made) < BATCH
            if self.over:
                await self.finish()
        except BaseException:
            self.drop()
            raise
        finally:
            self.reading = False
        if not made:
            raise StopAsyncIteration
        made.reverse()
        self.rows = made

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
        words = b"DECLARE %s NO SCROLL CURSOR FOR %s" % (self.cursor.encode(), self.query)
        connection.pgconn.send_query_params(words, values, None, formats)
        for result in await connection.expect():
            if result.status not in GOOD:
                raise failure(result)

    async def fetch(self, connection: Connection) -> Rows:
        """Return the next rows."""
        sending(connection)
        words = b"FETCH %d FROM %s" % (BATCH, self.cursor.encode())
        connection.pgconn.send_query_params(words, [], None, None, self.wanted.binary)
        (result,) = await connection.expect()
        if result.status != TUPLES_OK:
            raise failure(result)
        if self.names is None:
            self.names = columns(result)
        return await found(result, self.names, self.wanted) or Rows()

    async def finish(self) -> None:
        """Commit, or close the cursor: all has been read."""
        if self.own:
            await self.session.end(commit=True)
        else:
            await self.session.command(f"CLOSE {self.cursor}")

    def drop(self) -> None:
        """Read no more, and wait for nothing."""
        self.over, self.rows = True, []
        if self.own:
            self.session.leave()

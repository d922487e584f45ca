"""Row streams: the rows of a query, fetched from a cursor on the server some at a time."""

import contextlib
from types import TracebackType
from typing import Final, Self

from psycopg.pq.abc import PGresult

from kore._pgsql.connection import PgConnection
from kore._pgsql.errors import copy_error, make_query_error
from kore._pgsql.query import ResultFormat, convert_result, ensure_idle
from kore._pgsql.rows import (
    SUCCESS_STATUSES,
    TUPLES_OK,
    Row,
    Rows,
    decode_column_names,
    estimate_row_size,
)
from kore._pgsql.session import TransactionSession
from kore._pgsql.values import EncodedParams, encode_query
from kore.errors import DatabaseError

# Rows of the first FETCH, when their size is unknown, of the largest one, and by how much one
# may be larger than the one before.
FIRST_FETCH_COUNT: Final = 4
FETCH_COUNT_MAX: Final = 500
FETCH_GROWTH_MAX: Final = 16
# Values, and estimated bytes, of one FETCH.
FETCH_VALUES_MAX: Final = 20_000
FETCH_SIZE_MAX: Final = 1 << 20

CLOSED: Final = "pgsql error: the stream was closed before its last row"
CANCELLED: Final = (
    "pgsql error: a read of the stream was cancelled, so the rows end before the last one"
)
BUSY: Final = "pgsql error: another task reads this stream"


class RowStream:
    """An async iterator over the rows of a query, each a dict.

    If it *owns_transaction*, the transaction is committed after the last row, and rolled back when
    the stream is closed, or garbage-collected, before.
    """

    def __init__(
        self,
        session: TransactionSession,
        query: str,
        params: EncodedParams,
        result_format: ResultFormat,
        *,
        owns_transaction: bool,
    ) -> None:
        self.session = session
        self.owns_transaction = owns_transaction
        self.query = query
        self.encoded_query = encode_query(query)
        self.params = params
        self.result_format = result_format
        # The name of the cursor; empty: there is none yet.
        self.cursor = ""
        self.names: tuple[str, ...] | None = None
        # Fetched rows in reverse: the next one is the last.
        self.rows: list[Row] = []
        self.fetch_count = FIRST_FETCH_COUNT
        # All rows have been fetched.
        self.is_exhausted = False
        # Why no more rows can be fetched, although there may be some.
        self.end_error: DatabaseError | None = None
        self.is_reading = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Row:
        if not self.rows:
            await self.read()
        return self.rows.pop()

    async def aclose(self) -> None:
        """Close the stream. A task that reads it, now or later, gets DatabaseError."""
        if self.end_error is not None or (self.is_exhausted and not self.rows):
            return
        is_exhausted, self.rows = self.is_exhausted, []
        self.end_error = DatabaseError(CLOSED)
        if is_exhausted or self.session.connection is None:
            return
        if not self.owns_transaction:
            if self.cursor:
                await self.session.run_command(f"CLOSE {self.cursor}")
        elif self.is_reading:
            self.session.release()
        else:
            await self.session.end(commit=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is not None and not issubclass(kind, Exception):
            self.abandon()
        else:
            await self.aclose()

    def __del__(self) -> None:
        # Called at once after a `break` in `async for`; by the garbage collector in any thread.
        if self.owns_transaction and self.session.connection is not None:
            # RuntimeError: the loop is closed, and all connections with it.
            with contextlib.suppress(RuntimeError):
                self.session.pool.loop.call_soon_threadsafe(self.session.release)

    # ---- reading

    async def read(self) -> None:
        """Fetch the next rows into `rows`.

        Raises StopAsyncIteration after the last row, DatabaseError if rows cannot be fetched or
        another task is fetching.
        """
        if self.end_error is not None:
            raise copy_error(self.end_error)
        if self.is_exhausted:
            raise StopAsyncIteration
        if self.is_reading:
            raise DatabaseError(BUSY)
        self.is_reading = True
        try:
            rows = await self.fetch_next()
        except BaseException as error:
            closed = self.end_error if isinstance(error, DatabaseError) else None
            self.abandon(error)
            if closed is not None:
                raise copy_error(closed) from None
            raise
        finally:
            self.is_reading = False
        if not rows:
            raise StopAsyncIteration
        rows.reverse()
        self.rows = rows

    async def fetch_next(self) -> Rows:
        """Return the next rows; after the last ones, finish. Raises DatabaseError if closed."""
        if not self.cursor:
            await self.open_cursor()
        self.raise_if_closed()
        count = self.fetch_count
        rows = await self.session.run(self.fetch)
        self.raise_if_closed()
        if len(rows) < count:
            await self.finish()
            self.raise_if_closed()
            self.is_exhausted = True
        return rows

    def raise_if_closed(self) -> None:
        """Raise DatabaseError if the stream was closed while a task was waiting."""
        if self.end_error is not None:
            raise self.end_error

    async def open_cursor(self) -> None:
        """Declare the cursor, in a transaction."""
        if self.owns_transaction:
            await self.session.begin()
        self.cursor = self.session.make_name()
        await self.session.run(self.declare)

    async def declare(self, connection: PgConnection) -> None:
        """Run DECLARE. Raises DatabaseError if the query is wrong."""
        values, formats = self.params
        ensure_idle(connection)
        connection.note_effects(self.query)
        text = b"DECLARE %s NO SCROLL CURSOR FOR %s" % (self.cursor.encode(), self.encoded_query)
        connection.pgconn.send_query_params(text, values, None, formats)
        for result in await connection.start_query():
            if result.status not in SUCCESS_STATUSES:
                raise make_query_error(result)

    async def fetch(self, connection: PgConnection) -> Rows:
        """Run FETCH and return its rows. Raises DatabaseError if the query fails."""
        ensure_idle(connection)
        text = b"FETCH %d FROM %s" % (self.fetch_count, self.cursor.encode())
        connection.pgconn.send_query_params(text, [], None, None, self.result_format.binary)
        (result,) = await connection.start_query()
        if result.status != TUPLES_OK:
            raise make_query_error(result)
        if self.names is None:
            self.names = decode_column_names(result)
        self.fetch_count = _choose_fetch_count(self.fetch_count, result)
        return await convert_result(result, self.names, self.result_format) or Rows()

    async def finish(self) -> None:
        """Commit, or close the cursor, after the last row."""
        if self.owns_transaction:
            await self.session.end(commit=True)
        else:
            await self.session.run_command(f"CLOSE {self.cursor}")

    def abandon(self, error: BaseException | None = None) -> None:
        """End the stream because of an error or a cancellation, without waiting."""
        if self.end_error is None:
            self.end_error = error if isinstance(error, DatabaseError) else DatabaseError(CANCELLED)
        self.rows = []
        if self.owns_transaction:
            self.session.release()


def _choose_fetch_count(count: int, result: PGresult) -> int:
    """Return how many rows to fetch next, by the size of those of *result*."""
    if not result.ntuples:
        return count
    limits = (
        count * FETCH_GROWTH_MAX,
        FETCH_COUNT_MAX,
        FETCH_VALUES_MAX // max(1, result.nfields),
        FETCH_SIZE_MAX // max(1, estimate_row_size(result)),
    )
    return max(1, min(limits))

"""One connection to a PostgreSQL server: sends queries, collects results as they arrive.

It runs one query, or one pipeline of queries, at a time, and has no knowledge of the pool.
`query.py` and `pipeline.py` say what is sent.
"""

import asyncio
import contextlib
import select
from asyncio import Future, Task
from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from kore._pgsql.connect import cancel_query
from kore._pgsql.epoll import LoopEpoll
from kore._pgsql.errors import make_connection_error, map_error
from kore._pgsql.harmless import is_harmless, is_indelible
from kore._pgsql.rows import Results
from kore._pgsql.statements import StatementCache
from kore.errors import DatabaseError

IDLE: Final = int(TransactionStatus.IDLE)
IN_TRANSACTION: Final = frozenset({int(TransactionStatus.INTRANS), int(TransactionStatus.INERROR)})
PIPELINE_SYNC: Final = int(ExecStatus.PIPELINE_SYNC)
COPY_STATUSES: Final = frozenset(
    {int(ExecStatus.COPY_IN), int(ExecStatus.COPY_OUT), int(ExecStatus.COPY_BOTH)}
)
SPECIAL_STATUSES: Final = COPY_STATUSES | {PIPELINE_SYNC}
FATAL_SEVERITIES: Final = frozenset({b"FATAL", b"PANIC"})
CONNECTION_LOST: Final = "pgsql error: the connection was lost"
QUERY_ABANDONED: Final = "pgsql error: the query was ended: its connection was given back"
# Seconds between requests to cancel the same query.
CANCEL_INTERVAL: Final = 0.25
NO_COPY: Final = (
    "failed to perform query: COPY cannot be part of a query: use INSERT, dbstream() or psql"
)


class PgConnection:
    """An open connection, its descriptor watched by the event loop through *epoll*."""

    def __init__(self, pgconn: PGconn, epoll: LoopEpoll, prepared_limit: int) -> None:
        self.pgconn = pgconn
        self.epoll = epoll
        self.loop = epoll.loop
        self.fd = pgconn.socket
        self.statements = StatementCache(prepared_limit)
        # Gets the results of the running query; None: no query runs.
        self.pending: Future[Results] | None = None
        self.results: Results = []
        # The results of the running query are dropped.
        self.is_abandoned = False
        # libpq is in pipeline mode.
        self.in_pipeline = False
        # A query may have left settings, temporary tables or locks in the session ...
        self.needs_reset = False
        # ... or something that outlasts DISCARD ALL: only closing removes it.
        self.must_close = False
        # Delivers a cancel request, which must not reach the server during the next query.
        self.cancel_task: Task[None] | None = None
        # The task that has acquired the connection.
        self.holder: Task[Any] | None = None
        # Why the connection is closed; None: it is open.
        self.lost_error: DatabaseError | None = None
        # The last message of the server before it closes the connection.
        self.fatal_notice: DatabaseError | None = None
        self.on_lost: Callable[[PgConnection], object] = lambda _: None
        self.on_notify: Callable[[str, str], object] | None = None
        # By the loop's clock.
        self.last_used = self.loop.time()
        self.is_writing = False
        pgconn.notice_handler = self.on_notice
        epoll.watch(self.fd, self.on_event)

    # ---- queries

    def start_query(self) -> Future[Results]:
        """Send the query that libpq has been given; return the future of its results."""
        self.results = []
        pending = self.pending = self.loop.create_future()
        try:
            if self.pgconn.flush():
                self.set_writing(wanted=True)
        except psycopg.Error as error:
            self.mark_lost(error)
        return pending

    def send_command(self, text: bytes) -> Future[Results]:
        """Send a statement of this package, such as COMMIT; return the future of its results."""
        self.pgconn.send_query(text)
        return self.start_query()

    def note_effects(self, query: str) -> None:
        """Record what a query may leave in the session.

        Call it before the query is sent: it may be cancelled at any moment after.
        """
        if not is_harmless(query):
            self.needs_reset = True
            self.must_close = self.must_close or is_indelible(query)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, failed or not."""
        return self.pgconn.transaction_status in IN_TRANSACTION

    @property
    def is_idle(self) -> bool:
        """Whether the server is ready for a query, outside of a transaction."""
        return (
            self.pending is None
            and self.lost_error is None
            and self.cancel_task is None
            and self.pgconn.transaction_status == IDLE
        )

    def check_alive(self) -> bool:
        """Return whether an idle connection is still open; read what the server has sent."""
        if self.lost_error is not None:
            return False
        poller = select.poll()
        poller.register(self.fd, select.POLLIN)
        if poller.poll(0):
            self.on_readable()
        return self.lost_error is None

    # ---- events

    def on_event(self, events: int) -> None:
        """Send the rest of a long query, and read what the server has sent."""
        if self.is_writing and self.lost_error is None:
            try:
                if not self.pgconn.flush():
                    self.set_writing(wanted=False)
            except psycopg.Error as error:
                self.mark_lost(error)
        if events != select.EPOLLOUT and self.lost_error is None:
            self.on_readable()

    def set_writing(self, *, wanted: bool) -> None:
        """Start or stop waiting for the socket to become writable."""
        self.is_writing = wanted
        self.epoll.watch_writable(self.fd, wanted=wanted)

    def on_readable(self) -> None:
        """Read what the server has sent."""
        try:
            self.pgconn.consume_input()
            self.read_results()
            if self.on_notify is not None:
                self.dispatch_notifications()
        except psycopg.Error as error:
            # The reason may have arrived with the end of input: have libpq parse it.
            with contextlib.suppress(psycopg.Error):
                self.pgconn.is_busy()
            self.mark_lost(error)

    def read_results(self) -> None:
        """Collect the results that are complete."""
        pgconn = self.pgconn
        if self.in_pipeline and not self.is_abandoned:
            self.read_pipeline_results()
        while self.pending is not None and not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                # In a pipeline, None only separates the results of two queries.
                if not self.in_pipeline:
                    self.deliver()
            elif result.status in SPECIAL_STATUSES:
                self.handle_special_result(result)
            elif not self.is_abandoned:
                self.results.append(result)

    def read_pipeline_results(self) -> None:
        """Collect the results of a pipeline.

        A fast form of the loop in `read_results()`: None follows each result, and is there
        already when the result is.
        """
        is_busy, get, keep = self.pgconn.is_busy, self.pgconn.get_result, self.results.append
        while not is_busy():
            result = get()
            if result is None:
                continue
            if result.status in SPECIAL_STATUSES:
                self.handle_special_result(result)
                return
            keep(result)
            get()

    def handle_special_result(self, result: PGresult) -> None:
        """Handle the end of a pipeline, or the begin of a COPY, which is not supported."""
        if result.status == PIPELINE_SYNC:
            self.pgconn.exit_pipeline_mode()
            self.in_pipeline = False
            self.deliver()
        else:
            self.mark_lost(DatabaseError(NO_COPY))

    def deliver(self) -> None:
        """Complete the pending future with the results."""
        pending, self.pending, self.is_abandoned = self.pending, None, False
        if pending is not None and not pending.done():
            pending.set_result(self.results)

    # ---- cancelling

    def abandon(self) -> "Future[Results]":
        """Drop the results of the running query; return a future that completes when it ends.

        Its task gets DatabaseError.
        """
        self.is_abandoned = True
        # Whether the query has had its effects is unknown.
        self.must_close = self.needs_reset
        self.results = []
        self.fail_pending(DatabaseError(QUERY_ABANDONED))
        self.pending = self.loop.create_future()
        return self.pending

    async def cancel_running(self) -> None:
        """Cancel the running query, if any; return when no cancel request is under way.

        A server ignores a request that arrives before it has read the query, so the
        request is repeated until the query has ended.
        """
        end = None if self.pending is None else self.abandon()
        while True:
            if end is not None and not end.done() and self.cancel_task is None:
                self.cancel_task = self.loop.create_task(self.request_cancel())
            if self.cancel_task is not None:
                # Not interrupted half-way: the server may have received the request, or be about
                # to, and would cancel the next query.
                await asyncio.shield(self.cancel_task)
            if end is None:
                return
            await asyncio.wait([end], timeout=CANCEL_INTERVAL)
            if end.done() and self.cancel_task is None:
                break
        await end

    async def request_cancel(self) -> None:
        """Send a cancel request; close the connection if that fails.

        A request that seems lost may still arrive, so the connection cannot be used again.
        """
        try:
            await cancel_query(self.pgconn)
        except (DatabaseError, psycopg.Error) as error:
            self.cancel_task = None
            self.mark_lost(DatabaseError(f"pgsql error: cannot cancel: {str(error).strip()}"))
        finally:
            self.cancel_task = None

    # ---- messages that are not results

    def on_notice(self, result: PGresult) -> None:
        """Mark the connection as lost after a message that announces its end."""
        if result.error_field(DiagnosticField.SEVERITY_NONLOCALIZED) in FATAL_SEVERITIES:
            self.fatal_notice = make_connection_error(result)
            # Later: libpq calls this while it parses its input.
            self.loop.call_soon(self.mark_lost, self.fatal_notice)

    def dispatch_notifications(self) -> None:
        """Call `on_notify` for each notification that has arrived."""
        while self.on_notify is not None and (notify := self.pgconn.notifies()):
            fields = (notify.relname, notify.extra)
            self.on_notify(*(each.decode("utf-8", "replace") for each in fields))

    # ---- the end

    def mark_lost(self, error: Exception) -> None:
        """Close the connection because of an error; the running query fails with the reason."""
        if self.lost_error is None:
            self.lost_error = self.find_lost_reason(error)
            self.close()
            self.on_lost(self)

    def find_lost_reason(self, error: Exception) -> DatabaseError:
        """Return the last error message of the server, or else what libpq says."""
        if isinstance(error, DatabaseError):
            return error
        for result in reversed(self.results):
            if result.error_message:
                return make_connection_error(result)
        return self.fatal_notice or map_error(error)

    def close(self) -> None:
        """Close the connection; the running query fails."""
        self.lost_error = self.lost_error or DatabaseError(CONNECTION_LOST)
        self.epoll.unwatch(self.fd)
        if self.cancel_task is not None:
            self.cancel_task.cancel()
        self.holder = None
        self.fail_pending(self.lost_error)
        self.pgconn.notice_handler = None
        self.pgconn.finish()

    def fail_pending(self, error: DatabaseError) -> None:
        """Complete the pending future with an error."""
        pending, self.pending = self.pending, None
        if pending is not None and not pending.done():
            pending.set_exception(error)
            # Mark it as retrieved: the task may have been cancelled and never look at it.
            pending.exception()

"""One connection: queries go out, results come in when the event loop says so.

It knows no pool. One question at a time; `question.py` says what is asked.
"""

import asyncio
import contextlib
import select
from asyncio import Future, Task
from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg.pq import DiagnosticField, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from kore._pgsql.connect import cancel
from kore._pgsql.epoll import LoopEpoll
from kore._pgsql.harmless import is_harmless, is_indelible
from kore._pgsql.rows import COPIES, PIPELINE_SYNC, Results
from kore._pgsql.statements import StatementCache
from kore.errors import DatabaseError

IDLE: Final = int(TransactionStatus.IDLE)
IN_TRANSACTION: Final = frozenset({int(TransactionStatus.INTRANS), int(TransactionStatus.INERROR)})
UNUSUAL: Final = COPIES | {PIPELINE_SYNC}
DEADLY: Final = frozenset({b"FATAL", b"PANIC"})
GONE: Final = "pgsql error: the connection was lost"
TAKEN: Final = "pgsql error: the query was ended: its connection was given back"
# Seconds between requests to cancel the same query.
CANCEL_INTERVAL: Final = 0.25
NO_COPY: Final = (
    "failed to perform query: COPY cannot be part of a query: use INSERT, dbstream() or psql"
)


class Connection:
    """An open connection to a server, its own descriptor watched by the event loop."""

    def __init__(self, pgconn: PGconn, hub: LoopEpoll, statements: int) -> None:
        self.pgconn = pgconn
        self.hub = hub
        self.loop = hub.loop
        self.fd = pgconn.socket
        self.statements = StatementCache(statements)
        # Who waits for what was asked; None: nobody asked.
        self.reply: Future[Results] | None = None
        self.results: Results = []
        # Nobody wants the results.
        self.abandoned = False
        # Several questions were asked in one go.
        self.pipelined = False
        # Something may be left on the server: settings, temporary tables, locks.
        self.soiled = False
        # What may be left there outlasts DISCARD ALL.
        self.is_spent = False
        # The request to cancel what ran: it must not meet what runs next.
        self.cancelling: Task[None] | None = None
        # The task it is lent to.
        self.holder: Task[Any] | None = None
        self.lost: DatabaseError | None = None
        # What the server said unasked before it hung up.
        self.farewell: DatabaseError | None = None
        self.on_lost: Callable[[Connection], object] = lambda _: None
        self.on_notify: Callable[[str, str], object] | None = None
        # When it was last used, by the loop's clock.
        self.used = self.loop.time()
        self.writing = False
        pgconn.notice_handler = self.on_notice
        hub.watch(self.fd, self.on_event)

    # ---- asking

    def expect(self) -> Future[Results]:
        """Send what libpq was given; return what its results will be in."""
        self.results = []
        reply = self.reply = self.loop.create_future()
        try:
            if self.pgconn.flush():
                self.write_on(wanted=True)
        except psycopg.Error as error:
            self.lose(error)
        return reply

    def command(self, text: bytes) -> Future[Results]:
        """Send a statement of ours."""
        self.pgconn.send_query(text)
        return self.expect()

    def note(self, query: str) -> None:
        """Take note of what a query may leave behind, before it is sent: later may be too late."""
        if not is_harmless(query):
            self.soiled = True
            self.is_spent = self.is_spent or is_indelible(query)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, failed or not."""
        return self.pgconn.transaction_status in IN_TRANSACTION

    @property
    def is_idle(self) -> bool:
        """Whether the server has said that it waits for us, outside of a transaction."""
        return (
            self.reply is None
            and self.lost is None
            and self.cancelling is None
            and self.pgconn.transaction_status == IDLE
        )

    def answers(self) -> bool:
        """Whether an idle connection is still one, as far as the kernel knows."""
        if self.lost is not None:
            return False
        waiter = select.poll()
        waiter.register(self.fd, select.POLLIN)
        if waiter.poll(0):
            self.on_readable()
        return self.lost is None

    # ---- what the event loop says

    def on_event(self, events: int) -> None:
        """Send more of a long question, and take what the server sent."""
        if self.writing and self.lost is None:
            try:
                if not self.pgconn.flush():
                    self.write_on(wanted=False)
            except psycopg.Error as error:
                self.lose(error)
        if events != select.EPOLLOUT and self.lost is None:
            self.on_readable()

    def write_on(self, *, wanted: bool) -> None:
        """Say whether there is more to send."""
        self.writing = wanted
        self.hub.want(self.fd, writing=wanted)

    def on_readable(self) -> None:
        """Take what the server sent."""
        try:
            self.pgconn.consume_input()
            self.take()
            if self.on_notify is not None:
                self.tell()
        except psycopg.Error as error:
            # The end may have come with the reason for it, which libpq has not looked at.
            with contextlib.suppress(psycopg.Error):
                self.pgconn.is_busy()
            self.lose(error)

    def take(self) -> None:
        """Take the results that are complete."""
        pgconn = self.pgconn
        if self.pipelined and not self.abandoned:
            self.take_many()
        while self.reply is not None and not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                # Of a pipeline, it is the end of one question.
                if not self.pipelined:
                    self.answer()
            elif result.status in UNUSUAL:
                self.stumble(result)
            elif not self.abandoned:
                self.results.append(result)

    def take_many(self) -> None:
        """Take the good results of a pipeline; None follows each, and is there already."""
        busy, get, keep = self.pgconn.is_busy, self.pgconn.get_result, self.results.append
        while not busy():
            result = get()
            if result is None:
                continue
            if result.status in UNUSUAL:
                self.stumble(result)
                return
            keep(result)
            get()

    def stumble(self, result: PGresult) -> None:
        """Take what is no result: the end of a pipeline, or a copy."""
        if result.status == PIPELINE_SYNC:
            self.pgconn.exit_pipeline_mode()
            self.pipelined = False
            self.answer()
        else:
            self.lose(DatabaseError(NO_COPY))

    def answer(self) -> None:
        """Hand over what was waited for."""
        reply, self.reply, self.abandoned = self.reply, None, False
        if reply is not None and not reply.done():
            reply.set_result(self.results)

    def abandon(self) -> "Future[Results]":
        """Want no results of what was asked; return what says that the server is done with it."""
        self.abandoned = True
        # How far it got will not be known.
        self.is_spent = self.soiled
        self.results = []
        self.fail(DatabaseError(TAKEN))
        self.reply = self.loop.create_future()
        return self.reply

    async def halt(self) -> None:
        """Cancel the running query, if any; return when no request to cancel is under way.

        A server ignores a request that arrives before it has read the query, so the
        request is repeated until the query has ended.
        """
        over = None if self.reply is None else self.abandon()
        while True:
            if over is not None and not over.done() and self.cancelling is None:
                self.cancelling = self.loop.create_task(self.request_cancel())
            if self.cancelling is not None:
                # Not to be broken off half-way: the server may have got it, or be about to.
                await asyncio.shield(self.cancelling)
            if over is None:
                return
            await asyncio.wait([over], timeout=CANCEL_INTERVAL)
            if over.done() and self.cancelling is None:
                break
        await over

    async def request_cancel(self) -> None:
        """Have the server end what runs, or hang up: a request may arrive that seems lost."""
        try:
            await cancel(self.pgconn)
        except (DatabaseError, psycopg.Error) as error:
            self.cancelling = None
            self.lose(DatabaseError(f"pgsql error: cannot cancel: {str(error).strip()}"))
        finally:
            self.cancelling = None

    def on_notice(self, result: PGresult) -> None:
        """Notice what a server says unasked before it hangs up."""
        if result.error_field(DiagnosticField.SEVERITY_NONLOCALIZED) in DEADLY:
            self.farewell = lost(result)
            # Not here: libpq is in the middle of reading.
            self.loop.call_soon(self.lose, self.farewell)

    def tell(self) -> None:
        """Pass notifications on."""
        while self.on_notify is not None and (notify := self.pgconn.notifies()):
            words = (notify.relname, notify.extra)
            self.on_notify(*(each.decode("utf-8", "replace") for each in words))

    # ---- the end

    def lose(self, error: Exception) -> None:
        """Be of no more use; whoever waits hears why."""
        if self.lost is None:
            self.lost = self.reason(error)
            self.close()
            self.on_lost(self)

    def reason(self, error: Exception) -> DatabaseError:
        """Return why: what the server said last, or else what libpq says."""
        if isinstance(error, DatabaseError):
            return error
        for result in reversed(self.results):
            if result.error_message:
                return lost(result)
        return self.farewell or DatabaseError(f"pgsql error: {str(error).strip()}")

    def close(self) -> None:
        """Hang up."""
        self.lost = self.lost or DatabaseError(GONE)
        self.hub.forget(self.fd)
        if self.cancelling is not None:
            self.cancelling.cancel()
        self.holder = None
        self.fail(self.lost)
        self.pgconn.notice_handler = None
        self.pgconn.finish()

    def fail(self, error: DatabaseError) -> None:
        """Tell whoever waits that there will be no answer."""
        reply, self.reply = self.reply, None
        if reply is not None and not reply.done():
            reply.set_exception(error)
            # Whoever waited may just have been cancelled: it is no error that nobody looked at.
            reply.exception()


def lost(result: PGresult) -> DatabaseError:
    """Return what the server says of the end of a connection."""
    text = (result.error_message or b"").decode("utf-8", "replace").strip()
    state = result.error_field(DiagnosticField.SQLSTATE)
    return DatabaseError(f"pgsql error: {text}", state.decode() if state else None)

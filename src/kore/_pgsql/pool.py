"""The connections of a worker to one database: acquired, released, reset, closed when idle.

A query runs on a connection that is acquired for it alone (`run()`); a transaction or a stream
acquires one for longer (`session.py`). `queue.py` decides which waiter is next. A connection
that may not be as it was is reset in the background before it is used again.
"""

import asyncio
from asyncio import Future, Task, TimerHandle
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from math import inf
from typing import Any, Final, TypeVar

import psycopg

from kore._pgsql.connect import connect
from kore._pgsql.connection import PgConnection
from kore._pgsql.conninfo import ConnectionTarget
from kore._pgsql.epoll import LoopEpoll
from kore._pgsql.errors import copy_error, map_error
from kore._pgsql.query import check_results
from kore._pgsql.queue import ConnectionQueue
from kore.errors import DatabaseError

# A connection that was idle for more seconds is checked before it is used.
UNCHECKED_SECONDS_MAX: Final = 0.002
# Seconds between attempts to open a connection after one was refused: at first, and at most.
CONNECT_BACKOFF: Final = 0.5
CONNECT_BACKOFF_MAX: Final = 1.0
CLOSED: Final = "pgsql error: the connection was closed"
STOPPING: Final = "pgsql error: the worker is about to end"
LEFT_OPEN: Final = (
    "failed to perform query: it left a transaction open, which was rolled back: "
    "use kore.transaction()"
)

DEADLOCK: Final = (
    "pgsql error: no connection: all are held by transactions or streams that wait for another "
    "one: use the query() of the transaction, or raise pgsql_conn_max"
)
TIMEOUT: Final = "pgsql error: no connection within {:g} s (pgsql_queue_timeout)"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """The settings of a pool: counts, and times in seconds."""

    connection_limit: int = 2
    waiter_limit: int = 1000
    idle_timeout: float = 60
    cancel_timeout: float = 5
    prepared_limit: int = 100
    # How long a query may wait for a connection; 0: no limit.
    wait_timeout: float = 30


class ConnectionPool:
    """The connections to one database."""

    def __init__(
        self,
        target: ConnectionTarget,
        limits: PoolLimits,
        describe_task: Callable[[Task[Any]], str] = Task.get_name,
    ) -> None:
        self.target = target
        self.limits = limits
        self.describe_task = describe_task
        self.loop = asyncio.get_running_loop()
        self.epoll = LoopEpoll(self.loop)
        self.queue: ConnectionQueue[PgConnection, Future[PgConnection]] = ConnectionQueue(
            limits.connection_limit, limits.waiter_limit
        )
        self.connections: set[PgConnection] = set()
        # Tasks that open or reset a connection.
        self.background_tasks: set[Task[None]] = set()
        self.is_closed = False
        self.sweep_scheduled = False
        # After a refusal: no attempt before this time, as long as connections are open.
        self.next_attempt_time = 0.0
        self.backoff = CONNECT_BACKOFF
        # Why the last attempt failed, for messages.
        self.last_refusal = ""
        self.retry_timer: TimerHandle | None = None
        self.wait_timer: TimerHandle | None = None
        # Tasks with a transaction or stream, by the number of connections each holds; and those
        # among them that wait for another connection.
        self.holders: Counter[Task[Any]] = Counter()
        self.waiting_holders: set[Task[Any]] = set()
        # Until then a refusal may be due to too many attempts at a time; 0: none is under way.
        self.burst_deadline = 0.0

    # ---- acquire and release

    async def run(self, work: Callable[..., Awaitable[T]], *arguments: object) -> T:
        """Call *work* with an acquired connection and *arguments*, and release the connection.

        Raises DatabaseError if there is no connection, or if a transaction was left open.
        """
        connection = self.pop_idle() or await self.acquire()
        connection.holder = asyncio.current_task()
        try:
            result = await work(connection, *arguments)
        except BaseException as error:
            self.release(connection)
            if isinstance(error, psycopg.Error):
                raise map_error(error) from None
            raise
        if connection.is_idle and not connection.needs_reset:
            self.hand_over(connection)
        else:
            left_open = connection.lost_error is None and connection.in_transaction
            self.release(connection)
            if left_open:
                raise DatabaseError(LEFT_OPEN)
        return result

    def pop_idle(self) -> PgConnection | None:
        """Acquire an idle connection that is still open; None if there is none."""
        idle = self.queue.idle
        while idle:
            connection = idle.pop()
            now = self.loop.time()
            if now - connection.last_used < UNCHECKED_SECONDS_MAX or connection.check_alive():
                connection.last_used = now
                return connection
        return None

    async def acquire(self) -> PgConnection:
        """Wait for a connection.

        Raises DatabaseError if too many tasks wait, none can be opened, or none is free in time.
        """
        if self.is_closed:
            raise DatabaseError(STOPPING)
        waiter: Future[PgConnection] = self.loop.create_future()
        timeout = self.limits.wait_timeout
        self.queue.add_waiter(waiter, self.loop.time() + timeout if timeout else inf)
        self.open_needed()
        self.set_wait_timer()
        try:
            # A deadlock is possible only among tasks that hold a connection.
            task = asyncio.current_task() if self.holders else None
            if task is not None and task in self.holders:
                return await self.acquire_another(task, waiter)
            return await waiter
        except BaseException as error:
            self.queue.remove_waiter(waiter)
            if isinstance(error, asyncio.CancelledError):
                self.release_unused(waiter)
            raise

    async def acquire_another(self, task: Task[Any], waiter: Future[PgConnection]) -> PgConnection:
        """Wait for a connection in a task that holds one.

        Raises DatabaseError if all connections are held by tasks that wait for another one.
        """
        self.waiting_holders.add(task)
        try:
            held = sum(self.holders[each] for each in self.waiting_holders)
            is_full = not self.queue.has_room and not self.queue.opening_count
            if held >= self.queue.open_count and is_full and not waiter.done():
                raise DatabaseError(f"{DEADLOCK}: {self.describe_use()}")
            return await waiter
        finally:
            self.waiting_holders.discard(task)

    def release_unused(self, waiter: Future[PgConnection]) -> None:
        """Release the connection that a waiter got after its task had been cancelled."""
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            self.hand_over(waiter.result())

    def set_wait_timer(self) -> None:
        """Set a timer for the deadline of the first waiter."""
        if self.wait_timer is None and self.queue.waiters and self.limits.wait_timeout:
            self.wait_timer = self.loop.call_at(self.queue.waiters[0][1], self.fail_expired)

    def fail_expired(self) -> None:
        """Fail the waiters past their deadline; the error says which tasks have the connections."""
        self.wait_timer = None
        for waiter in self.queue.pop_expired(self.loop.time()):
            timeout = TIMEOUT.format(self.limits.wait_timeout)
            reason = f"{timeout}: {self.describe_use()}{self.last_refusal}"
            waiter.set_exception(DatabaseError(reason))
        self.set_wait_timer()

    def describe_use(self) -> str:
        """Return which tasks have the connections, and for how long."""
        now = self.loop.time()
        uses = [
            f"{self.describe_task(each.holder)} for {now - each.last_used:.1f} s"
            for each in self.connections
            if each.holder is not None
        ]
        others = len(self.connections) - len(uses)
        if others:
            uses.append(f"{others} being cleaned")
        return f"{len(self.connections)} open: {', '.join(sorted(uses)) or 'none'}"

    def hand_over(self, connection: PgConnection) -> None:
        """Give a clean connection to the first waiter, or make it idle."""
        if connection.lost_error is not None:
            return
        connection.holder = None
        connection.last_used = self.loop.time()
        if self.queue.waiters and (waiter := self.queue.pop_waiter()) is not None:
            waiter.set_result(connection)
        else:
            self.queue.idle.append(connection)
            self.schedule_sweep()

    def release(self, connection: PgConnection) -> None:
        """Release a connection in any state; it is reset first if it needs it."""
        if connection.lost_error is not None:
            return
        if connection.is_idle and not connection.needs_reset:
            self.hand_over(connection)
        else:
            connection.holder = None
            self.run_in_background(self.reset(connection))

    def add_holder(self, task: Task[Any] | None) -> Task[Any] | None:
        """Count a connection that a task holds for more than one query; return the task."""
        if task is not None:
            self.holders[task] += 1
        return task

    def remove_holder(self, task: Task[Any] | None) -> None:
        """Count a connection less for a task."""
        if task is not None:
            self.holders[task] -= 1
            if not self.holders[task]:
                del self.holders[task]

    # ---- opening

    def open_needed(self) -> None:
        """Start to open as many connections as waiters need and the limit allows."""
        while self.queue.needs_connection and not self.is_closed and self.may_connect():
            self.queue.opening_count += 1
            self.run_in_background(self.add_connection())

    def may_connect(self) -> bool:
        """Return whether to try now: not soon after a refusal, if other connections are open."""
        return not self.queue.open_count or self.loop.time() >= self.next_attempt_time

    async def add_connection(self) -> None:
        """Open a connection and hand it over."""
        self.burst_deadline = self.burst_deadline or self.loop.time() + CONNECT_BACKOFF
        try:
            pgconn = await connect(self.target)
        except Exception as error:  # noqa: BLE001 - any error is for the waiters
            self.queue.opening_count -= 1
            self.schedule_retry(error)
            self.fail_waiters(error)
            return
        except BaseException:
            self.queue.opening_count -= 1
            raise
        self.queue.opening_count -= 1
        self.queue.open_count += 1
        self.burst_deadline = 0.0
        self.backoff, self.last_refusal = CONNECT_BACKOFF, ""
        connection = PgConnection(pgconn, self.epoll, self.limits.prepared_limit)
        connection.on_lost = self.on_lost
        self.connections.add(connection)
        self.hand_over(connection)

    def schedule_retry(self, error: Exception) -> None:
        """Try again later for the tasks that wait, with back-off."""
        self.last_refusal = f"; another was refused: {error}"
        self.next_attempt_time = self.loop.time() + self.backoff
        if self.retry_timer is None:
            self.retry_timer = self.loop.call_later(self.backoff, self.retry)

    def retry(self) -> None:
        """Open the connections that are still needed."""
        self.retry_timer, self.next_attempt_time = None, 0.0
        self.backoff = min(self.backoff * 2, CONNECT_BACKOFF_MAX)
        self.open_needed()

    def fail_waiters(self, error: Exception) -> None:
        """Fail all waiters because no connection can be opened.

        Not at once while other attempts are under way: a server with room for only some of
        several connections may refuse one before it accepts another.
        """
        if self.queue.opening_count and self.loop.time() < self.burst_deadline:
            return
        self.burst_deadline = 0.0
        for waiter in self.queue.pop_unservable():
            if isinstance(error, DatabaseError):
                waiter.set_exception(copy_error(error))
            else:
                waiter.set_exception(map_error(error))

    def on_lost(self, connection: PgConnection) -> None:
        """Remove a connection that was closed, and open another one if it is needed."""
        self.connections.discard(connection)
        self.queue.open_count -= 1
        if connection in self.queue.idle:
            self.queue.idle.remove(connection)
        self.open_needed()

    # ---- in the background

    def run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in a task of the pool."""
        task = self.loop.create_task(work)
        self.background_tasks.add(task)
        task.add_done_callback(self.background_tasks.discard)

    async def reset(self, connection: PgConnection) -> None:
        """Reset a connection and hand it over; close it if that fails or takes too long."""
        try:
            async with asyncio.timeout(self.limits.cancel_timeout):
                await self.reset_session(connection)
        except (TimeoutError, DatabaseError, psycopg.Error):
            is_clean = False
        except BaseException:
            connection.mark_lost(DatabaseError(CLOSED))
            raise
        else:
            is_clean = connection.is_idle
        if is_clean:
            self.hand_over(connection)
        else:
            connection.mark_lost(DatabaseError(CLOSED))

    async def reset_session(self, connection: PgConnection) -> None:
        """Cancel the running query, roll back, and discard the state of the session.

        Raises DatabaseError or psycopg.Error if the connection has to be closed instead.
        """
        await connection.cancel_running()
        if connection.must_close:
            raise DatabaseError(CLOSED)
        if connection.in_transaction:
            check_results(await connection.send_command(b"ROLLBACK"))
        if connection.needs_reset:
            check_results(await connection.send_command(b"DISCARD ALL"))
            connection.statements.clear()
            connection.needs_reset = False

    def schedule_sweep(self) -> None:
        """Schedule a sweep, if none is."""
        if self.limits.idle_timeout and not self.sweep_scheduled and not self.is_closed:
            self.sweep_scheduled = True
            self.loop.call_later(self.limits.idle_timeout / 2, self.sweep)

    def sweep(self) -> None:
        """Close the connections that were idle for too long."""
        self.sweep_scheduled = False
        latest = self.loop.time() - self.limits.idle_timeout
        for connection in [each for each in self.queue.idle if each.last_used <= latest]:
            connection.mark_lost(DatabaseError(CLOSED))
        if self.queue.idle:
            self.schedule_sweep()

    async def close(self, seconds_max: float) -> None:
        """Close all connections; wait so long at most for those that are being reset."""
        self.is_closed = True
        for timer in (self.retry_timer, self.wait_timer):
            if timer is not None:
                timer.cancel()
        if self.background_tasks:
            await asyncio.wait(self.background_tasks, timeout=seconds_max)
        for task in self.background_tasks:
            task.cancel()
        for connection in list(self.connections):
            connection.mark_lost(DatabaseError(STOPPING))
        self.epoll.close()

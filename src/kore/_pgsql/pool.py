"""The connections of a worker to one database: lent, taken back, proven, closed."""

import asyncio
from asyncio import Future, Task, TimerHandle
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from math import inf
from typing import Any, Final, TypeVar

import psycopg

from kore._dataclass import dataclass
from kore._pgsql.connect import connect
from kore._pgsql.connection import Connection
from kore._pgsql.conninfo import ConnectionTarget
from kore._pgsql.epoll import LoopEpoll
from kore._pgsql.query import judged
from kore._pgsql.queue import ConnectionQueue
from kore.errors import DatabaseError

# A connection that was idle for longer is looked at before it is used.
FRESH: Final = 0.002
# Between two attempts to open another connection beside those there are: at first, and at most.
RELUCTANCE: Final = 0.5
RELUCTANCE_MAX: Final = 1.0
CLOSED: Final = "pgsql error: the connection was closed"
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
    """What the settings say, in seconds and counts."""

    connections: int = 2
    queue: int = 1000
    idle: float = 60
    cancel: float = 5
    prepared: int = 100
    # How long a query may wait for a connection; 0: for ever.
    wait: float = 30


class ConnectionPool:
    """The connections to one database."""

    def __init__(
        self,
        target: ConnectionTarget,
        limits: PoolLimits,
        describe: Callable[[Task[Any]], str] = Task.get_name,
    ) -> None:
        self.target = target
        self.limits = limits
        # What a task is called in messages.
        self.describe = describe
        self.loop = asyncio.get_running_loop()
        self.hub = LoopEpoll(self.loop)
        self.line: ConnectionQueue[Connection, Future[Connection]] = ConnectionQueue(
            limits.connections, limits.queue
        )
        self.connections: set[Connection] = set()
        # What goes on behind everybody's back: opening, rescuing.
        self.errands: set[Task[None]] = set()
        self.closed = False
        self.sweeping = False
        self.tired_until = 0.0
        self.reluctance = RELUCTANCE
        # What the last attempt came to, for messages.
        self.refusal = ""
        self.retry: TimerHandle | None = None
        self.watch: TimerHandle | None = None
        # Tasks that have a connection for some time, with how many; those that wait for another.
        self.holders: Counter[Task[Any]] = Counter()
        self.blocked: set[Task[Any]] = set()
        # Until when a refusal may be due to how many were asked for at a time.
        self.patient_until = 0.0

    # ---- lending

    async def run(self, work: Callable[..., Awaitable[T]], *arguments: object) -> T:
        """Do some work on a connection, and see that it is as it was when it is taken back."""
        connection = self.idle() or await self.lend()
        connection.holder = asyncio.current_task()
        try:
            result = await work(connection, *arguments)
        except BaseException as error:
            self.take_back(connection)
            if isinstance(error, psycopg.Error):
                raise DatabaseError(f"pgsql error: {str(error).strip()}") from None
            raise
        if connection.is_idle and not connection.soiled:
            self.give(connection)
        else:
            left_open = connection.lost is None and connection.in_transaction
            self.take_back(connection)
            if left_open:
                raise DatabaseError(LEFT_OPEN)
        return result

    def idle(self) -> Connection | None:
        """Return a connection that nobody uses, if there is one."""
        idle = self.line.idle
        while idle:
            connection = idle.pop()
            now = self.loop.time()
            if now - connection.used < FRESH or connection.answers():
                connection.used = now
                return connection
        return None

    async def lend(self) -> Connection:
        """Wait for a connection. DatabaseError: none can be had, or not in time."""
        if self.closed:
            raise DatabaseError("pgsql error: the worker is about to end")
        waiter: Future[Connection] = self.loop.create_future()
        wait = self.limits.wait
        self.line.stand(waiter, self.loop.time() + wait if wait else inf)
        self.open_more()
        self.watch_line()
        try:
            # A task that holds no connection keeps none from the others.
            task = asyncio.current_task() if self.holders else None
            if task is not None and task in self.holders:
                return await self.lend_another(task, waiter)
            return await waiter
        except BaseException as error:
            self.line.leave(waiter)
            if isinstance(error, asyncio.CancelledError):
                self.decline(waiter)
            raise

    async def lend_another(self, task: Task[Any], waiter: Future[Connection]) -> Connection:
        """Wait for another connection, unless all are held by tasks that wait for one, too."""
        self.blocked.add(task)
        try:
            held = sum(self.holders[each] for each in self.blocked)
            is_full = not self.line.has_room and not self.line.opening
            if held >= self.line.open and is_full and not waiter.done():
                raise DatabaseError(f"{DEADLOCK}: {self.users()}")
            return await waiter
        finally:
            self.blocked.discard(task)

    def decline(self, waiter: Future[Connection]) -> None:
        """Give back what a task was lent that had been cancelled by then."""
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            self.give(waiter.result())

    def watch_line(self) -> None:
        """See to it that none waits for too long."""
        if self.watch is None and self.line.waiting and self.limits.wait:
            self.watch = self.loop.call_at(self.line.waiting[0][1], self.expire)

    def expire(self) -> None:
        """Tell those who have waited for too long which tasks have the connections."""
        self.watch = None
        for waiter in self.line.overdue(self.loop.time()):
            reason = f"{TIMEOUT.format(self.limits.wait)}: {self.users()}{self.refusal}"
            waiter.set_exception(DatabaseError(reason))
        self.watch_line()

    def users(self) -> str:
        """Return which tasks have the connections, and since when."""
        now = self.loop.time()
        found = [
            f"{self.describe(each.holder)} for {now - each.used:.1f} s"
            for each in self.connections
            if each.holder is not None
        ]
        others = len(self.connections) - len(found)
        if others:
            found.append(f"{others} being cleaned")
        return f"{len(self.connections)} open: {', '.join(sorted(found)) or 'none'}"

    def give(self, connection: Connection) -> None:
        """Lend a connection to who waits longest, or keep it."""
        if connection.lost is not None:
            return
        connection.holder = None
        connection.used = self.loop.time()
        if self.line.waiting and (waiter := self.line.next()) is not None:
            waiter.set_result(connection)
        else:
            self.line.idle.append(connection)
            self.sweep_later()

    def hold(self, task: Task[Any] | None) -> Task[Any] | None:
        """Take note of a task that has a connection for more than one query; return it."""
        if task is not None:
            self.holders[task] += 1
        return task

    def release(self, task: Task[Any] | None) -> None:
        """Take note of a task that has one connection less."""
        if task is not None:
            self.holders[task] -= 1
            if not self.holders[task]:
                del self.holders[task]

    def take_back(self, connection: Connection) -> None:
        """Take back a connection in whatever state."""
        if connection.lost is not None:
            return
        if connection.is_idle and not connection.soiled:
            self.give(connection)
        else:
            connection.holder = None
            self.errand(self.rescue(connection))

    # ---- opening

    def open_more(self) -> None:
        """Open as many connections as are waited for, and allowed."""
        while self.line.wants_more and not self.closed and self.eager():
            self.line.opening += 1
            self.errand(self.open())

    def eager(self) -> bool:
        """Whether to try: not at once after a refusal, as long as there are others."""
        return not self.line.open or self.loop.time() >= self.tired_until

    async def open(self) -> None:
        """Open one more connection."""
        self.patient_until = self.patient_until or self.loop.time() + RELUCTANCE
        try:
            pgconn = await connect(self.target)
        except Exception as error:  # noqa: BLE001 - whoever waits has to hear of it
            self.line.opening -= 1
            self.tire(error)
            self.disappoint(error)
            return
        except BaseException:
            self.line.opening -= 1
            raise
        self.line.opening -= 1
        self.line.open += 1
        self.patient_until = 0.0
        self.reluctance, self.refusal = RELUCTANCE, ""
        connection = Connection(pgconn, self.hub, self.limits.prepared)
        connection.on_lost = self.lost
        self.connections.add(connection)
        self.give(connection)

    def tire(self, error: Exception) -> None:
        """Try again later, for those who wait: ever less often, as long as it is refused."""
        self.refusal = f"; another was refused: {error}"
        self.tired_until = self.loop.time() + self.reluctance
        if self.retry is None:
            self.retry = self.loop.call_later(self.reluctance, self.try_again)

    def try_again(self) -> None:
        """Open what is still waited for."""
        self.retry, self.tired_until = None, 0.0
        self.reluctance = min(self.reluctance * 2, RELUCTANCE_MAX)
        self.open_more()

    def disappoint(self, error: Exception) -> None:
        """Tell those who wait in vain why there is no connection.

        A server that has room for some of several refuses the others first: not at once, then.
        """
        if self.line.opening and self.loop.time() < self.patient_until:
            return
        self.patient_until = 0.0
        for waiter in self.line.hopeless():
            reason = error if isinstance(error, DatabaseError) else f"pgsql error: {error}"
            waiter.set_exception(DatabaseError(str(reason).strip()))

    def lost(self, connection: Connection) -> None:
        """Notice that a connection is no more."""
        self.connections.discard(connection)
        self.line.open -= 1
        if connection in self.line.idle:
            self.line.idle.remove(connection)
        self.open_more()

    # ---- behind everybody's back

    def errand(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for."""
        task = self.loop.create_task(work)
        self.errands.add(task)
        task.add_done_callback(self.errands.discard)

    async def rescue(self, connection: Connection) -> None:
        """Bring a connection back to where nothing runs and nothing is left; or hang up."""
        try:
            async with asyncio.timeout(self.limits.cancel):
                await self.clean(connection)
        except (TimeoutError, DatabaseError, psycopg.Error):
            proven = False
        except BaseException:
            connection.lose(DatabaseError(CLOSED))
            raise
        else:
            proven = connection.is_idle
        if proven:
            self.give(connection)
        else:
            connection.lose(DatabaseError(CLOSED))

    async def clean(self, connection: Connection) -> None:
        """End what runs, roll back, and throw away what was left behind."""
        await connection.halt()
        if connection.is_spent:
            raise DatabaseError(CLOSED)
        if connection.in_transaction:
            judged(await connection.command(b"ROLLBACK"))
        if connection.soiled:
            judged(await connection.command(b"DISCARD ALL"))
            connection.statements.forget()
            connection.soiled = False

    def sweep_later(self) -> None:
        """Have a look at idle connections, some time."""
        if self.limits.idle and not self.sweeping and not self.closed:
            self.sweeping = True
            self.loop.call_later(self.limits.idle / 2, self.sweep)

    def sweep(self) -> None:
        """Close what was idle for too long."""
        self.sweeping = False
        latest = self.loop.time() - self.limits.idle
        for connection in [each for each in self.line.idle if each.used <= latest]:
            connection.lose(DatabaseError(CLOSED))
        if self.line.idle:
            self.sweep_later()

    async def close(self, seconds: float) -> None:
        """Hang up, after what is being cancelled has been, for so long at most."""
        self.closed = True
        for timer in (self.retry, self.watch):
            if timer is not None:
                timer.cancel()
        if self.errands:
            await asyncio.wait(self.errands, timeout=seconds)
        for task in self.errands:
            task.cancel()
        for connection in list(self.connections):
            connection.lose(DatabaseError("pgsql error: the worker is about to end"))
        self.hub.close()

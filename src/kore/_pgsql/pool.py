"""The connections of a worker to one database: lent, taken back, proven, closed."""

import asyncio
from asyncio import Future, Task
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import psycopg

from kore._pgsql.connection import Connection
from kore._pgsql.hub import Hub
from kore._pgsql.line import Line
from kore._pgsql.opening import cancel, connect
from kore._pgsql.target import Target
from kore.errors import DatabaseError

# A connection that was idle for longer is looked at before it is used.
FRESH: Final = 0.002
# Between two attempts to open another connection beside those there are.
RELUCTANCE: Final = 0.5
CLOSED: Final = "pgsql error: the connection was closed"
LEFT_OPEN: Final = (
    "failed to perform query: it left a transaction open, which was rolled back: "
    "use kore.transaction()"
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings say, in seconds and counts."""

    connections: int = 2
    queue: int = 1000
    idle: float = 60
    cancel: float = 5
    prepared: int = 100


class Pool:
    """The connections to one database."""

    def __init__(self, target: Target, limits: Limits) -> None:
        self.target = target
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.hub = Hub(self.loop)
        self.line: Line[Connection, Future[Connection]] = Line(limits.connections, limits.queue)
        self.connections: set[Connection] = set()
        # What goes on behind everybody's back: opening, rescuing.
        self.errands: set[Task[None]] = set()
        self.closed = False
        self.sweeping = False
        self.tired_until = 0.0
        # Until when a refusal may be due to how many were asked for at a time.
        self.patient_until = 0.0

    # ---- lending

    async def run(self, work: Callable[..., Awaitable[T]], *arguments: object) -> T:
        """Do some work on a connection, and see that it is as it was when it is taken back."""
        connection = self.idle() or await self.lend()
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
            if self.loop.time() - connection.used < FRESH or connection.answers():
                return connection
        return None

    async def lend(self) -> Connection:
        """Wait for a connection. DatabaseError: none can be had, or too many wait."""
        if self.closed:
            raise DatabaseError("pgsql error: the worker is about to end")
        waiter: Future[Connection] = self.loop.create_future()
        self.line.stand(waiter)
        self.open_more()
        try:
            return await waiter
        except asyncio.CancelledError:
            self.line.leave(waiter)
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give(waiter.result())
            raise

    def give(self, connection: Connection) -> None:
        """Lend a connection to who waits longest, or keep it."""
        if connection.lost is not None:
            return
        connection.used = self.loop.time()
        if self.line.waiting and (waiter := self.line.next()) is not None:
            waiter.set_result(connection)
        else:
            self.line.idle.append(connection)
            self.sweep_later()

    def take_back(self, connection: Connection) -> None:
        """Take back a connection in whatever state."""
        if connection.lost is not None:
            return
        if connection.is_idle and not connection.soiled:
            self.give(connection)
        else:
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
            self.tired_until = self.loop.time() + RELUCTANCE
            self.disappoint(error)
            return
        except BaseException:
            self.line.opening -= 1
            raise
        self.line.opening -= 1
        self.line.open += 1
        self.patient_until = 0.0
        connection = Connection(pgconn, self.hub, self.limits.prepared)
        connection.on_lost = self.lost
        self.connections.add(connection)
        self.give(connection)

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
        await halt(connection)
        if connection.in_transaction:
            await connection.command(b"ROLLBACK")
        if connection.soiled:
            await connection.command(b"DISCARD ALL")
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
        if self.errands:
            await asyncio.wait(self.errands, timeout=seconds)
        for task in self.errands:
            task.cancel()
        for connection in list(self.connections):
            connection.lose(DatabaseError("pgsql error: the worker is about to end"))
        self.hub.close()


async def halt(connection: Connection) -> None:
    """End what runs on a connection, if anything does."""
    if connection.reply is not None:
        over = connection.abandon()
        await cancel(connection.pgconn)
        await over

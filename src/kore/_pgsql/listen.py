"""LISTEN: a connection of its own, opened again whenever it is lost."""

import asyncio
from asyncio import Event, Future
from collections.abc import Callable, Generator
from typing import Any, Final

import psycopg

from kore._pgsql.connect import connect
from kore._pgsql.connection import Connection
from kore._pgsql.conninfo import ConnectionTarget
from kore._pgsql.epoll import LoopEpoll
from kore._pgsql.query import judged
from kore.errors import DatabaseError

# Between attempts to connect, in seconds: at first, and at most.
DELAY: Final = 0.05
DELAY_MAX: Final = 1.0
NAME_MAX: Final = 63  # bytes of an identifier: longer ones would be cut

Callback = Callable[[str, str], object]
# Has a callback called: what raises is reported, what is a coroutine is run.
Call = Callable[..., None]


class Subscription:
    """A channel that somebody listens to. Awaited, it says that the server knows."""

    def __init__(self, listener: "NotifyListener", channel: str, callback: Callback) -> None:
        self.listener = listener
        self.channel = channel
        self.callback = callback
        self.again: Callable[[], object] | None = None
        self.known: Future[None] = asyncio.get_running_loop().create_future()

    def close(self) -> None:
        """Listen no more."""
        self.listener.drop(self)

    def told(self) -> bool:
        """Tell who awaits this that the server knows; return whether that is news."""
        if self.known.done():
            return False
        self.known.set_result(None)
        return True

    def __await__(self) -> Generator[Any, None, "Subscription"]:
        yield from asyncio.shield(self.known).__await__()
        return self


class NotifyListener:
    """All that a worker listens to on one database."""

    def __init__(
        self, target: ConnectionTarget, hub: LoopEpoll, call: Call, log: Callable[[str], object]
    ) -> None:
        self.target = target
        self.hub = hub
        self.call = call
        self.log = log
        self.listenings: list[Subscription] = []
        # What the server knows of, on the connection there is.
        self.channels: set[str] = set()
        self.changed = Event()
        # Until the next attempt to connect, and whether the last one came to nothing.
        self.delay = DELAY
        self.is_refused = False
        self.task: asyncio.Task[None] | None = None

    def add(
        self, channel: str, callback: Callback, again: Callable[[], object] | None
    ) -> Subscription:
        """Listen to a channel."""
        if not is_channel(channel):
            raise DatabaseError(f"pgsql: {channel!r} is no channel: 1 to {NAME_MAX} bytes, no NUL")
        for given in (callback,) if again is None else (callback, again):
            if not callable(given):
                raise TypeError(f"listen() cannot call back {given!r}")
        listening = Subscription(self, channel, callback)
        listening.again = again
        self.listenings.append(listening)
        self.changed.set()
        if self.task is None or self.task.done():
            self.task = asyncio.get_running_loop().create_task(self.live())
        return listening

    def drop(self, listening: Subscription) -> None:
        """Listen to a channel no more."""
        if listening in self.listenings:
            self.listenings.remove(listening)
            listening.told()
            self.changed.set()

    async def live(self) -> None:
        """Be connected as long as somebody listens."""
        while self.listenings:
            try:
                connection = await self.connected()
            except Exception as error:  # noqa: BLE001 - nothing else would try again
                self.refused(error)
            else:
                begun = connection.loop.time()
                try:
                    await self.attend(connection)
                finally:
                    connection.close()
                if connection.loop.time() - begun > DELAY_MAX:
                    self.delay = DELAY
            if self.listenings:
                await asyncio.sleep(self.delay)

    def refused(self, error: Exception) -> None:
        """Try again later, ever less often; say so once."""
        if not self.is_refused:
            self.log(f"cannot listen, trying on: {error}")
        self.delay, self.is_refused = min(self.delay * 2, DELAY_MAX), True

    async def connected(self) -> Connection:
        """Return a connection that passes on what it hears."""
        pgconn = await connect(self.target)
        connection = Connection(pgconn, self.hub, 0)
        connection.on_notify = self.heard
        connection.on_lost = lambda _: self.changed.set()
        self.channels = set()
        return connection

    async def attend(self, connection: Connection) -> None:
        """Listen to what is wanted, until the connection is lost or nobody listens."""
        try:
            while self.listenings and connection.lost is None:
                self.changed.clear()
                await self.adjust(connection)
                self.is_refused = False
                await self.changed.wait()
        except (DatabaseError, psycopg.Error) as error:
            self.refused(error)
        else:
            if connection.lost is not None:
                self.log(f"listening again soon: {connection.lost}")
                self.delay = min(self.delay * 2, DELAY_MAX)

    async def adjust(self, connection: Connection) -> None:
        """Have the server know what is wanted, and those who want it."""
        wanted = {listening.channel for listening in self.listenings}
        for channel in self.channels - wanted:
            await order(connection, "UNLISTEN", channel)
            self.channels.discard(channel)
        for channel in wanted - self.channels:
            await order(connection, "LISTEN", channel)
            self.channels.add(channel)
            self.announce(channel)
        # Those whose channel others listened to before.
        for listening in self.listenings:
            if listening.channel in self.channels:
                listening.told()

    def announce(self, channel: str) -> None:
        """Tell those who listen to a channel that it works, again or for the first time."""
        for listening in [each for each in self.listenings if each.channel == channel]:
            if not listening.told() and listening.again is not None:
                self.call(listening.again)

    def heard(self, channel: str, payload: str) -> None:
        """Pass a notification on."""
        for listening in [each for each in self.listenings if each.channel == channel]:
            self.call(listening.callback, channel, payload)

    async def close(self) -> None:
        """Listen no more to anything."""
        self.listenings = []
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])


def is_channel(name: object) -> bool:
    """Return whether a server would take a name for what it is."""
    try:
        return isinstance(name, str) and "\0" not in name and 1 <= len(name.encode()) <= NAME_MAX
    except UnicodeError:
        return False


async def order(connection: Connection, word: str, channel: str) -> None:
    """Run LISTEN or UNLISTEN."""
    quoted = channel.replace('"', '""')
    for result in await connection.command(f'{word} "{quoted}"'.encode()):
        if result.error_message:
            judged([result])

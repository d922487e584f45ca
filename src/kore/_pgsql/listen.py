"""LISTEN: notifications, on a connection of their own that is opened again when it is lost."""

import asyncio
from asyncio import Event, Future
from collections.abc import Callable, Generator
from typing import Any, Final

import psycopg

from kore._pgsql.connect import connect
from kore._pgsql.connection import PgConnection
from kore._pgsql.conninfo import ConnectionTarget
from kore._pgsql.epoll import LoopEpoll
from kore._pgsql.query import check_results
from kore.errors import DatabaseError

# Seconds between attempts to connect: at first, and at most.
RECONNECT_DELAY: Final = 0.05
RECONNECT_DELAY_MAX: Final = 1.0
IDENTIFIER_SIZE_MAX: Final = 63  # bytes; PostgreSQL truncates longer ones

NotifyCallback = Callable[[str, str], object]
# Calls a function of the application: reports what it raises, runs it if it is a coroutine.
CallApplication = Callable[..., None]


class Subscription:
    """A callback for a channel. Awaiting it waits until the server has confirmed LISTEN."""

    def __init__(self, listener: "NotifyListener", channel: str, callback: NotifyCallback) -> None:
        self.listener = listener
        self.channel = channel
        self.callback = callback
        self.on_relisten: Callable[[], object] | None = None
        self.confirmed: Future[None] = asyncio.get_running_loop().create_future()

    def close(self) -> None:
        """Stop listening."""
        self.listener.remove(self)

    def confirm(self) -> bool:
        """Complete the future that is awaited; return whether this is the first time."""
        if self.confirmed.done():
            return False
        self.confirmed.set_result(None)
        return True

    def __await__(self) -> Generator[Any, None, "Subscription"]:
        yield from asyncio.shield(self.confirmed).__await__()
        return self


class NotifyListener:
    """The subscriptions of a worker on one database, and their connection.

    The connection is open while there are subscriptions. A lost one is opened again, with
    back-off.
    """

    def __init__(
        self,
        target: ConnectionTarget,
        epoll: LoopEpoll,
        call: CallApplication,
        log: Callable[[str], object],
    ) -> None:
        self.target = target
        self.epoll = epoll
        self.call = call
        self.log = log
        self.subscriptions: list[Subscription] = []
        # Channels that the server listens to for the current connection.
        self.channels: set[str] = set()
        # Subscriptions were added or removed, or the connection was lost.
        self.changed = Event()
        self.reconnect_delay = RECONNECT_DELAY
        # The failure has been logged: once until the next success.
        self.is_failing = False
        self.task: asyncio.Task[None] | None = None

    def add(
        self, channel: str, callback: NotifyCallback, on_relisten: Callable[[], object] | None
    ) -> Subscription:
        """Subscribe a callback to a channel.

        Raises DatabaseError if the name of the channel is invalid, TypeError if a callback is not
        callable.
        """
        if not _is_channel_name(channel):
            raise DatabaseError(
                f"pgsql: {channel!r} is not a channel: 1 to {IDENTIFIER_SIZE_MAX} bytes, no NUL"
            )
        for given in (callback,) if on_relisten is None else (callback, on_relisten):
            if not callable(given):
                raise TypeError(f"listen(): callback must be callable, not {given!r}")
        subscription = Subscription(self, channel, callback)
        subscription.on_relisten = on_relisten
        self.subscriptions.append(subscription)
        self.changed.set()
        if self.task is None or self.task.done():
            self.task = asyncio.get_running_loop().create_task(self.run())
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """Remove a subscription, and UNLISTEN if it was the last of its channel."""
        if subscription in self.subscriptions:
            self.subscriptions.remove(subscription)
            subscription.confirm()
            self.changed.set()

    async def run(self) -> None:
        """Keep a connection open while there are subscriptions."""
        while self.subscriptions:
            try:
                connection = await self.open_connection()
            except Exception as error:  # noqa: BLE001 - after any error it is tried again
                self.back_off(error)
            else:
                start_time = connection.loop.time()
                try:
                    await self.serve_connection(connection)
                finally:
                    connection.close()
                if connection.loop.time() - start_time > RECONNECT_DELAY_MAX:
                    self.reconnect_delay = RECONNECT_DELAY
            if self.subscriptions:
                await asyncio.sleep(self.reconnect_delay)

    def back_off(self, error: Exception) -> None:
        """Log the first of several failures, and double the delay before the next attempt."""
        if not self.is_failing:
            self.log(f"cannot listen, trying on: {error}")
        self.reconnect_delay = min(self.reconnect_delay * 2, RECONNECT_DELAY_MAX)
        self.is_failing = True

    async def open_connection(self) -> PgConnection:
        """Return a new connection. Raises DatabaseError if it is refused."""
        pgconn = await connect(self.target)
        connection = PgConnection(pgconn, self.epoll, 0)
        connection.on_notify = self.on_notify
        connection.on_lost = lambda _: self.changed.set()
        self.channels = set()
        return connection

    async def serve_connection(self, connection: PgConnection) -> None:
        """Keep the server's channels up to date until the connection is lost or not needed."""
        try:
            while self.subscriptions and connection.lost_error is None:
                self.changed.clear()
                await self.update_channels(connection)
                self.is_failing = False
                await self.changed.wait()
        except (DatabaseError, psycopg.Error) as error:
            self.back_off(error)
        else:
            if connection.lost_error is not None:
                self.log(f"listening again soon: {connection.lost_error}")
                self.reconnect_delay = min(self.reconnect_delay * 2, RECONNECT_DELAY_MAX)

    async def update_channels(self, connection: PgConnection) -> None:
        """Run LISTEN and UNLISTEN for what has changed. Raises DatabaseError if one fails."""
        wanted = {subscription.channel for subscription in self.subscriptions}
        for channel in self.channels - wanted:
            await _run_listen(connection, "UNLISTEN", channel)
            self.channels.discard(channel)
        for channel in wanted - self.channels:
            await _run_listen(connection, "LISTEN", channel)
            self.channels.add(channel)
            self.confirm_channel(channel)
        # New subscriptions to a channel that had one before.
        for subscription in self.subscriptions:
            if subscription.channel in self.channels:
                subscription.confirm()

    def confirm_channel(self, channel: str) -> None:
        """Confirm the subscriptions of a channel; call `on_relisten` of those that were before."""
        for subscription in self.list_subscriptions(channel):
            if not subscription.confirm() and subscription.on_relisten is not None:
                self.call(subscription.on_relisten)

    def on_notify(self, channel: str, payload: str) -> None:
        """Call the callbacks of a channel."""
        for subscription in self.list_subscriptions(channel):
            self.call(subscription.callback, channel, payload)

    def list_subscriptions(self, channel: str) -> list[Subscription]:
        """Return the subscriptions of a channel, a copy: callbacks may add and remove some."""
        return [each for each in self.subscriptions if each.channel == channel]

    async def close(self) -> None:
        """Remove all subscriptions and close the connection."""
        self.subscriptions = []
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])


def _is_channel_name(name: object) -> bool:
    """Return whether a name can be a channel's without being truncated."""
    try:
        return (
            isinstance(name, str)
            and "\0" not in name
            and 1 <= len(name.encode()) <= IDENTIFIER_SIZE_MAX
        )
    except UnicodeError:
        return False


async def _run_listen(connection: PgConnection, command: str, channel: str) -> None:
    """Run LISTEN or UNLISTEN. Raises DatabaseError if it fails."""
    quoted = channel.replace('"', '""')
    for result in await connection.send_command(f'{command} "{quoted}"'.encode()):
        if result.error_message:
            check_results([result])

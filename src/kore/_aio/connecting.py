"""Connecting to a host, which may have several addresses."""

import errno
import socket
from asyncio import get_running_loop
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kore._aio.addresses import internet_addresses
from kore._aio.nonblocking_io import ClosedError, IoDirection, in_time, seconds_of
from kore.errors import SocketError


class ConnectAttempt:
    """A socket on its way to one of the addresses of a host."""

    __slots__ = ("_usable", "_writing")

    def __init__(self, usable: Callable[[], socket.socket], writing: IoDirection) -> None:
        # Who says that it is closed by now.
        self._usable = usable
        self._writing = writing

    async def to(self, host: object, port: int, timeout_ms: float | None) -> None:
        """Connect to the first address that lets us, in the resolver's order.

        What is left of the time is shared by the addresses that are left: one that does not answer
        may not have it all. TimeoutError: it has passed. SocketError: what each of them said.
        """
        now = get_running_loop().time
        seconds = seconds_of(timeout_ms)
        end = None if seconds is None else now() + seconds
        failures: list[tuple[str, Exception]] = []
        async with in_time(timeout_ms):
            addresses = await internet_addresses(self._usable(), host, port)
            for left in range(len(addresses), 0, -1):
                address = addresses[-left]
                # That of the last one is the whole's.
                share = None if end is None or left == 1 else max(end - now(), 0) * 1000 / left
                try:
                    await self._to(address, share)
                except ClosedError:
                    raise
                except (SocketError, TimeoutError) as error:
                    failures.append((address[0], error))
                else:
                    return
        try:
            raise refused(failures)
        finally:  # their tracebacks lead to here
            failures.clear()

    async def _to(self, address: Any, timeout_ms: float | None) -> None:
        connecting = AddressConnector(self._usable(), address)
        try:
            await self._writing.perform(AddressConnector.go_on, connecting, timeout_ms)
        except SocketError:
            raise
        except BaseException:
            connecting.give_up()
            raise


class AddressConnector:
    """A connection that is being made."""

    __slots__ = ("address", "begun", "sock")

    def __init__(self, sock: socket.socket, address: Any) -> None:
        self.sock = sock
        self.address = address
        self.begun = False

    def go_on(self) -> None:
        """Begin, or see what became of it. BlockingIOError: nothing yet.

        Asked with the same call, the system leaves a socket that failed fit for another address.
        """
        again, self.begun = self.begun, True
        try:
            self.sock.connect(self.address)
        except OSError as error:
            if not (again and error.errno == errno.EISCONN):
                raise

    def give_up(self) -> None:
        """Leave a socket that can be connected, whatever became of it."""
        if self.begun:
            try:
                self.go_on()
            except BlockingIOError:
                # For a connection that has not been answered this takes the question back.
                with suppress(OSError):
                    self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def refused(failures: list[tuple[str, Exception]]) -> SocketError:
    """Return what is told of a host none of whose addresses lets us connect."""
    _, last = failures[-1]
    if len(failures) == 1 and isinstance(last, SocketError):
        return last
    each = "; ".join(f"{address}: {error}" for address, error in failures)
    return SocketError(each, getattr(last, "errno", None) or errno.ETIMEDOUT)

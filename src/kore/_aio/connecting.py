"""Connect a socket to a host, trying one address after the other."""

import errno
import socket
from asyncio import get_running_loop
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kore._aio.addresses import resolve_host
from kore._aio.nonblocking_io import ClosedError, IoDirection, limit_time, parse_timeout
from kore.errors import SocketError


class HostConnector:
    """Connects a socket to the first reachable address of a host."""

    __slots__ = ("_check_open", "_writing")

    def __init__(self, check_open: Callable[[], socket.socket], writing: IoDirection) -> None:
        # Returns the socket, or raises SocketError if it is closed by now.
        self._check_open = check_open
        self._writing = writing

    async def connect(self, host: object, port: int, timeout_ms: float | None) -> None:
        """Connect to the first address that accepts, in the resolver's order.

        The remaining time is divided by the addresses that are left, so that one that does not
        respond cannot use it up. Raises TimeoutError if it has passed, SocketError with the errors
        of all addresses if none accepts.
        """
        now = get_running_loop().time
        seconds = parse_timeout(timeout_ms)
        deadline = None if seconds is None else now() + seconds
        failures: list[tuple[str, Exception]] = []
        async with limit_time(timeout_ms):
            addresses = await resolve_host(self._check_open(), host, port)
            for left in range(len(addresses), 0, -1):
                address = addresses[-left]
                # For the last address the limit of the whole is enough.
                share = None
                if deadline is not None and left > 1:
                    share = max(deadline - now(), 0) * 1000 / left
                try:
                    await self._try_address(address, share)
                except ClosedError:
                    raise
                except (SocketError, TimeoutError) as error:
                    failures.append((address[0], error))
                else:
                    return
        try:
            raise _combine_failures(failures)
        finally:  # no reference cycle: their tracebacks have this frame
            failures.clear()

    async def _try_address(self, address: Any, timeout_ms: float | None) -> None:
        attempt = ConnectAttempt(self._check_open(), address)
        try:
            await self._writing.perform(ConnectAttempt.advance, attempt, timeout_ms)
        except SocketError:
            raise
        except BaseException:
            attempt.cancel()
            raise


class ConnectAttempt:
    """A non-blocking connect to one address."""

    __slots__ = ("address", "is_started", "sock")

    def __init__(self, sock: socket.socket, address: Any) -> None:
        self.sock = sock
        self.address = address
        self.is_started = False

    def advance(self) -> None:
        """Start to connect, or finish. Raises BlockingIOError if there is no result yet.

        The result is asked for by connect() again, not by SO_ERROR: then the kernel leaves a socket
        that failed ready for another address.
        """
        again, self.is_started = self.is_started, True
        try:
            self.sock.connect(self.address)
        except OSError as error:
            if not (again and error.errno == errno.EISCONN):
                raise

    def cancel(self) -> None:
        """Leave the socket ready for another address, whatever became of this attempt."""
        if self.is_started:
            try:
                self.advance()
            except BlockingIOError:
                # shutdown() takes back a connect that has not been answered.
                with suppress(OSError):
                    self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def _combine_failures(failures: list[tuple[str, Exception]]) -> SocketError:
    """Return one error for a host of which no address accepts."""
    _, last = failures[-1]
    if len(failures) == 1 and isinstance(last, SocketError):
        return last
    reasons = "; ".join(f"{address}: {error}" for address, error in failures)
    return SocketError(reasons, getattr(last, "errno", None) or errno.ETIMEDOUT)

"""Sockets that tasks wait for."""

import asyncio
import operator
import os
import socket
from functools import partial
from typing import Any, Final

from kore._aio.addresses import (
    INTERNET,
    internet_address,
    port_number,
    unix_address,
    unix_name,
)
from kore._aio.readiness import Direction, as_bytes, done
from kore.errors import KoreError, SocketError

CONTROL: Final = 1024  # bytes for what comes beside a message
RETRY: Final = 0.01  # seconds; a unix socket with a full queue says nothing when it has room


def socket_wrap(sock: socket.socket) -> "Socket":
    """Return *sock* as one whose operations are awaited.

    It has a descriptor of its own: closing one of the two does not close the other.
    """
    if sock.family not in {*INTERNET, socket.AF_UNIX}:
        raise KoreError(f"unsupported family: {sock.family!r}")
    if sock.fileno() < 0:
        raise KoreError("socket is closed")
    own = socket.socket(sock.family, sock.type, sock.proto, os.dup(sock.fileno()))
    return Socket(own, sock)


class Socket:
    """A socket: IPv4, IPv6 or unix, of streams or datagrams. `kore.socket` in Kore's words.

    Every operation takes a timeout in milliseconds; TimeoutError says that it has passed, and that
    no data was lost. SocketError, a RuntimeError, has the system's reason. At a time there can be
    one of recv, recvfrom, recvmsg and accept, and beside it one of send, sendto and connect.
    """

    __slots__ = ("__weakref__", "_more", "_reading", "_socket", "_wrapped", "_writing")

    def __init__(self, own: socket.socket, wrapped: socket.socket | None = None) -> None:
        own.setblocking(False)
        self._socket = own
        self._wrapped = wrapped
        # Whether more may have come than was taken: else the next piece has to be waited for.
        self._more = True
        self._reading = Direction(own.fileno(), "recv", writing=False)
        self._writing = Direction(own.fileno(), "send", writing=True)

    # ---- receiving

    async def recv(self, maxlen: int, timeout_ms: int | None = None) -> bytes | None:
        """Return at most *maxlen* bytes, at least one; None when no more will come."""
        attempt = partial(self._usable().recv, positive(maxlen))
        data = await self._reading.perform("recv", attempt, timeout_ms, promising=self._more)
        self._more = len(data) >= maxlen
        if len(data) > maxlen:  # it was left over from an operation that wanted more
            self._reading.keep("recv", data[maxlen:])
            return data[:maxlen]
        return data or self._nothing()

    async def recvfrom(self, maxlen: int, timeout_ms: int | None = None) -> tuple[Any, ...]:
        """Return (ip, port, data), or (path, data) of a unix socket; all None at the end."""
        sock = self._usable()
        attempt = partial(sock.recvfrom, positive(maxlen))
        data, address = await self._reading.perform("recvfrom", attempt, timeout_ms)
        return (*self._source(data, address), data or self._nothing())

    async def recvmsg(self, maxlen: int, timeout_ms: int | None = None) -> tuple[Any, ...]:
        """Return what `recvfrom` does, and a list of (length, level, type, bytes) beside it."""
        sock = self._usable()
        attempt = partial(sock.recvmsg, positive(maxlen), CONTROL, socket.MSG_CMSG_CLOEXEC)
        got = await self._reading.perform("recvmsg", attempt, timeout_ms)
        data, beside, _, address = got
        beside = [(len(content), level, kind, content) for level, kind, content in beside]
        return (*self._source(data, address), data or self._nothing(), beside)

    async def accept(self, timeout_ms: int | None = None) -> "Socket":
        """Return the next client of a listening socket."""
        attempt = partial(accepted, self._usable())
        return Socket(await self._reading.perform("accept", attempt, timeout_ms))

    # ---- sending

    async def send(self, data: object, timeout_ms: int | None = None) -> None:
        """Send all of *data*, bytes or str. After a timeout a part of it may have been sent."""
        sock = self._usable()
        data = as_bytes(data)
        self._writing.check()
        try:
            sent = sock.send(data)
        except OSError:  # to be met again, and reported, in the attempt
            sent = 0
        if sent < len(data):
            attempt = Sending(sock, memoryview(data)[sent:])
            await self._writing.perform("send", attempt, timeout_ms)

    async def sendto(self, *arguments: Any, timeout_ms: int | None = None) -> None:
        """Send a datagram: sendto(ip, port, data), or sendto(path, data) with a unix socket."""
        sock = self._usable()
        if sock.family in INTERNET:
            host, port, data, timeout = filled("sendto(ip, port, data)", arguments, 3, timeout_ms)
            address = await internet_address(sock, host, port_number(port))
        else:
            path, data, timeout = filled("sendto(path, data)", arguments, 2, timeout_ms)
            address = unix_address(path)
        attempt = partial(sock.sendto, as_bytes(data), address)
        await self._writing.perform("sendto", attempt, timeout)

    async def connect(self, *arguments: Any, timeout_ms: int | None = None) -> None:
        """Connect: connect(host, port), where a name is looked up, or connect(path)."""
        if self._usable().family in INTERNET:
            host, port, timeout = filled("connect(host, port)", arguments, 2, timeout_ms)
            connecting = self._connect(host, port_number(port))
        else:
            path, timeout = filled("connect(path)", arguments, 1, timeout_ms)
            connecting = self._connect_unix(unix_address(path))
        try:
            await asyncio.wait_for(connecting, None if timeout is None else max(timeout, 0) / 1000)
        except TimeoutError:
            raise TimeoutError("timeout before operation completed") from None

    async def _connect(self, host: object, port: int) -> None:
        sock = self._usable()
        attempt = Connecting(sock, await internet_address(sock, host, port))
        await self._writing.perform("connect", attempt)

    async def _connect_unix(self, address: str | bytes) -> None:
        while True:
            try:
                return done(partial(self._usable().connect, address))
            except BlockingIOError:
                await asyncio.sleep(RETRY)

    # ---- the rest

    @property
    def peer(self) -> tuple[Any, ...] | str | None:
        """Who is at the other end: (ip, port), the path of a unix socket, or None."""
        try:
            address = self._usable().getpeername()
        except OSError:
            return None
        return address[:2] if isinstance(address, tuple) else unix_name(address)

    def fileno(self) -> int:
        """Return the descriptor, -1 when it is closed."""
        return self._socket.fileno()

    def close(self) -> bool:
        """Close it. An operation that waits ends: as at the end of input, or with an error."""
        closed = SocketError("socket is closed")
        self._reading.hang_up(closed, recv=closed if self._nothing() is not None else b"")
        self._writing.hang_up(closed)
        self._socket.close()
        return True

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<kore.socket fd={self.fileno()}>"

    def _usable(self) -> socket.socket:
        if self._socket.fileno() < 0 or (self._wrapped is not None and self._wrapped.fileno() < 0):
            raise SocketError("socket is closed")
        return self._socket

    def _nothing(self) -> bytes | None:
        # Nothing is the end of a stream; a datagram may well be empty.
        return None if self._socket.type == socket.SOCK_STREAM else b""

    def _source(self, data: bytes, address: Any) -> tuple[Any, ...]:
        if self._socket.family in INTERNET:
            if not data and self._nothing() is None:
                return (None, None)
            return tuple((address or self._socket.getpeername())[:2])
        return (unix_name(address),)


def filled(call: str, given: tuple[Any, ...], count: int, timeout_ms: int | None) -> list[Any]:
    """Return the arguments of a call, and its timeout, which may be the last of them."""
    if not count <= len(given) <= count + 1:
        raise TypeError(f"{call} takes {count} arguments and perhaps a timeout, not {len(given)}")
    return [*given[:count], given[count] if len(given) > count else timeout_ms]


def positive(maxlen: int) -> int:
    """Return how many bytes to read; none would look like the end."""
    if operator.index(maxlen) < 1:
        raise ValueError(f"maxlen must be 1 or more, not {maxlen}")
    return maxlen


class Sending:
    """What is to be sent, and how much of it went."""

    __slots__ = ("data", "sent", "sock")

    def __init__(self, sock: socket.socket, data: memoryview) -> None:
        self.sock = sock
        self.data = data
        self.sent = 0

    def __call__(self) -> None:
        while self.sent < len(self.data):
            self.sent += self.sock.send(self.data[self.sent :])


class Connecting:
    """A connection that is being made."""

    __slots__ = ("address", "begun", "sock")

    def __init__(self, sock: socket.socket, address: Any) -> None:
        self.sock = sock
        self.address = address
        self.begun = False

    def __call__(self) -> None:
        if not self.begun:
            self.begun = True
            self.sock.connect(self.address)
        elif reason := self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(reason, os.strerror(reason))


def accepted(sock: socket.socket) -> socket.socket:
    """Accept a client; one that has left already was none."""
    while True:
        try:
            return sock.accept()[0]
        except ConnectionAbortedError:
            continue

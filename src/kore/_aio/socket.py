"""Sockets that tasks wait for."""

import asyncio
import errno
import os
import socket
from array import array
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from kore._aio.addresses import (
    INTERNET,
    internet_addresses,
    port_number,
    unix_address,
    unix_name,
)
from kore._aio.connecting import ConnectAttempt
from kore._aio.nonblocking_io import (
    ClosedError,
    IoDirection,
    PartialSend,
    as_bytes,
    in_time,
    positive,
    refusal,
)
from kore.errors import KoreError, SocketError

CONTROL: Final = 1024  # bytes for what comes beside a message
RETRY: Final = 0.01  # seconds; of unix sockets with full queues nobody says when they have room

# What comes beside a message: length, level, type, bytes.
Ancillary: TypeAlias = list[tuple[int, int, int, bytes]]


def socket_wrap(sock: socket.socket) -> "Socket":
    """Return *sock* as one whose operations are awaited.

    It has a descriptor of its own: closing one of the two does not close the other.
    """
    if sock.family not in {*INTERNET, socket.AF_UNIX}:
        raise KoreError(f"unsupported family: {sock.family!r}")
    if sock.fileno() < 0:
        raise SocketError("socket is closed")
    if hasattr(sock, "do_handshake"):
        raise KoreError("a TLS socket cannot be wrapped: its data would go in the clear")
    own = OwnedSocket(sock.family, sock.type, sock.proto, os.dup(sock.fileno()))
    return Socket(own, sock)


class ReceivedData(NamedTuple):
    """Data, where they came from, and what came beside them."""

    data: bytes
    address: Any = None
    beside: Ancillary = []  # noqa: RUF012 - never changed


class OwnedSocket(socket.socket):
    """A socket that nobody else has. Forgotten it is closed, and there is nothing to warn of."""

    __slots__ = ()

    def __del__(self) -> None:
        self.close()


class Socket:
    """A socket: IPv4, IPv6 or unix, of streams or datagrams.

    Every operation takes a timeout in milliseconds; TimeoutError says that it has passed, and that
    no data was lost. SocketError, a RuntimeError, has the system's reason. At a time there can be
    one of recv, recvfrom, recvmsg and accept, and beside it one of send, sendto and connect.
    """

    __slots__ = ("__weakref__", "_more", "_origin", "_reading", "_receive", "_socket", "_stream",
                 "_writing")

    def __init__(self, own: socket.socket, wrapped: socket.socket | None = None) -> None:
        own.setblocking(False)
        self._socket = own
        self._receive: Callable[[int], Any] = own.recv
        # Whose end is ours, too.
        self._origin = wrapped or own
        # Nothing is the end of a stream; a datagram may well be empty.
        self._stream = own.type in {socket.SOCK_STREAM, socket.SOCK_SEQPACKET}
        if not self._stream:  # if the data are left to recvfrom, it wants to know where from
            self._receive = own.recvfrom
        # Whether more may have come than was taken: else the next piece has to be waited for.
        self._more = True
        self._reading = IoDirection(own.fileno(), "recv", writing=False)
        self._writing = IoDirection(own.fileno(), "send", writing=True)

    # ---- receiving

    async def recv(self, maxlen: int, timeout_ms: float | None = None) -> bytes | None:
        """Return at most *maxlen* bytes, at least one; None when no more will come."""
        if self._origin.fileno() < 0 or maxlen < 1:
            self._usable()
            positive(maxlen)
        attempt = self._receive
        try:
            data = await self._reading.perform(attempt, maxlen, timeout_ms, promising=self._more)
        except ClosedError:
            if self._stream:
                return None
            raise
        if type(data) is not bytes:
            received = self._parts(data)
            close_descriptors(received.beside)
            data = received.data
        self._more = len(data) >= maxlen
        if len(data) > maxlen:  # it was left over from an operation that wanted more
            data = self._cut(ReceivedData(data), maxlen)
        return data or self._nothing()

    async def recvfrom(self, maxlen: int, timeout_ms: float | None = None) -> tuple[Any, ...]:
        """Return (ip, port, data), or (path, data) of a unix socket; all None at the end."""
        attempt = self._usable().recvfrom
        result = await self._reading.perform(attempt, positive(maxlen), timeout_ms)
        received = self._parts(result)
        close_descriptors(received.beside)
        data = self._cut(received._replace(beside=[]), maxlen)
        return (*self._source(data, received.address), data or self._nothing())

    async def recvmsg(self, maxlen: int, timeout_ms: float | None = None) -> tuple[Any, ...]:
        """Return what `recvfrom` does, and a list of (length, level, type, bytes) beside it."""
        self._usable()
        result = await self._reading.perform(self._message, positive(maxlen), timeout_ms)
        received = self._parts(result)
        data = self._cut(received, maxlen)
        beside = received.beside
        return (*self._source(data, received.address), data or self._nothing(), beside)

    async def accept(self, timeout_ms: float | None = None) -> "Socket":
        """Return the next client of a listening socket."""
        client = await self._reading.perform(accepted, self._usable(), timeout_ms)
        return Socket(client)

    # ---- sending

    async def send(self, data: object, timeout_ms: float | None = None) -> None:
        """Send all of *data*, bytes or str. After a timeout a part of it may have been sent."""
        sock = self._usable()
        data = as_bytes(data)
        self._writing.check()
        try:
            sent = sock.send(data)
        except BlockingIOError:
            sent = -1
        except OSError as error:
            raise refusal(error) from None
        if sent < len(data):
            rest = PartialSend(sock.send, data, max(sent, 0))
            await self._writing.perform(PartialSend.go_on, rest, timeout_ms)

    async def sendto(self, *arguments: Any, timeout_ms: float | None = None) -> None:
        """Send a datagram: to (ip, port, data), or to (path, data) with a unix socket."""
        sock = self._usable()
        if sock.family in INTERNET:
            host, port, data, timeout = filled("sendto(ip, port, data)", arguments, 3, timeout_ms)
            address, *_ = await internet_addresses(sock, host, port_number(port))
            send = partial(self._usable().sendto, as_bytes(data))
            await self._writing.perform(send, address, timeout)
        else:
            path, data, timeout = filled("sendto(path, data)", arguments, 2, timeout_ms)
            send = partial(sock.sendto, as_bytes(data))
            async with in_time(timeout):
                await self._insist(send, unix_address(path))

    async def connect(self, *arguments: Any, timeout_ms: float | None = None) -> None:
        """Connect to (host, port), where a name is looked up, or to (path).

        Of a name's addresses the first that lets us is taken, in the resolver's order; what is left
        of the timeout is shared by those that are left.
        """
        sock = self._usable()
        if sock.family in INTERNET:
            host, port, timeout = filled("connect(host, port)", arguments, 2, timeout_ms)
            await ConnectAttempt(self._usable, self._writing).to(host, port_number(port), timeout)
        else:
            path, timeout = filled("connect(path)", arguments, 1, timeout_ms)
            async with in_time(timeout):
                await self._insist(sock.connect, unix_address(path))

    async def _insist(self, attempt: Callable[[Any], Any], address: object) -> None:
        while True:
            self._writing.check()
            self._usable()
            try:
                attempt(address)
            except BlockingIOError:
                await asyncio.sleep(RETRY)
            except OSError as error:
                raise refusal(error) from None
            else:
                return

    # ---- the rest

    @property
    def peer(self) -> tuple[Any, ...] | str | None:
        """Who is at the other end: (ip, port), the path of a unix socket, or None."""
        try:
            address = self._socket.getpeername()
        except OSError:
            return None
        return address[:2] if isinstance(address, tuple) else unix_name(address)

    def fileno(self) -> int:
        """Return the descriptor, -1 when it is closed."""
        return self._socket.fileno()

    def close(self) -> bool:
        """Close it. An operation that waits ends: recv as at the end of input, or with an error."""
        untaken = self._reading.hang_up()
        self._writing.hang_up()
        self._socket.close()
        self._origin = self._socket
        if isinstance(untaken, socket.socket):
            untaken.close()
        elif isinstance(untaken, ReceivedData):
            close_descriptors(untaken.beside)
        return True

    def __del__(self) -> None:
        # Whoever calls the class by itself gets none.
        if hasattr(self, "_writing"):
            self.close()

    def __repr__(self) -> str:
        return f"<kore.socket fd={self.fileno()}>"

    def _usable(self) -> socket.socket:
        if self._origin.fileno() < 0:
            raise SocketError("socket is closed")
        return self._socket

    def _nothing(self) -> bytes | None:
        return None if self._stream else b""

    def _message(self, maxlen: int) -> "ReceivedData":
        data, beside, _, address = self._socket.recvmsg(maxlen, CONTROL, socket.MSG_CMSG_CLOEXEC)
        described = [(len(content), level, kind, content) for level, kind, content in beside]
        return ReceivedData(data, address, described)

    def _parts(self, result: Any) -> "ReceivedData":
        """Return what an operation got, which may have been left by one of another kind."""
        if isinstance(result, ReceivedData):
            return result
        if isinstance(result, socket.socket):  # of accept(): this socket has no data
            self._reading.keep(result)
            raise refusal(OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN)))
        return ReceivedData(result) if isinstance(result, bytes) else ReceivedData(*result)

    def _cut(self, received: "ReceivedData", maxlen: int) -> bytes:
        """Return at most *maxlen* bytes; of a stream the others are left to the next operation."""
        if len(received.data) > maxlen and self._stream:
            self._reading.keep(ReceivedData(received.data[maxlen:], received.address))
        return received.data[:maxlen]

    def _source(self, data: bytes, address: Any) -> tuple[Any, ...]:
        if self._socket.family not in INTERNET:
            return (unix_name(address),)
        if not data and self._stream:
            return (None, None)
        # Of a stream the system says it once and for all.
        address = address or self.peer
        return address[:2] if isinstance(address, tuple) else (None, None)


def close_descriptors(beside: Ancillary) -> None:
    """Close descriptors that came beside data (SCM_RIGHTS), where nothing will take them."""
    for _, level, kind, content in beside:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors = array("i")
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
            for fd in descriptors:
                os.close(fd)


def filled(call: str, given: tuple[Any, ...], count: int, timeout_ms: float | None) -> list[Any]:
    """Return the arguments of a call, and its timeout, which may be the last of them."""
    if not count <= len(given) <= count + 1:
        raise TypeError(f"{call} takes {count} arguments and perhaps a timeout, not {len(given)}")
    return [*given[:count], given[count] if len(given) > count else timeout_ms]


def accepted(sock: socket.socket) -> socket.socket:
    """Accept a client; one that has left already was none."""
    while True:
        try:
            client, _ = sock.accept()
            return OwnedSocket(client.family, client.type, client.proto, client.detach())
        except ConnectionAbortedError:
            continue

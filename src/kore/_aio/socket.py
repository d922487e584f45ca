"""Sockets whose operations are awaited: `kore.socket_wrap()`."""

import asyncio
import errno
import os
import socket
from array import array
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from kore._aio.addresses import (
    INET_FAMILIES,
    check_port,
    decode_unix_path,
    encode_unix_path,
    resolve_host,
)
from kore._aio.connecting import HostConnector
from kore._aio.nonblocking_io import (
    ClosedError,
    IoDirection,
    PartialSend,
    check_maxlen,
    limit_time,
    to_bytes,
    to_socket_error,
)
from kore.errors import KoreError, SocketError

# Bytes for the ancillary data of a message.
ANCILLARY_MAX: Final = 1024
# Seconds between two attempts at a unix socket with a full queue: no event says when it has room.
RETRY_INTERVAL: Final = 0.01

# Ancillary data of a message (cmsg(3)): length, level, type, bytes.
Ancillary: TypeAlias = list[tuple[int, int, int, bytes]]


def socket_wrap(sock: socket.socket) -> "Socket":
    """Return a socket like *sock* whose operations are awaited.

    It has a descriptor of its own: closing one of the two does not close the other. Raises
    KoreError for other families than IPv4, IPv6 and unix, and for TLS sockets, SocketError if it
    is closed.
    """
    if sock.family not in {*INET_FAMILIES, socket.AF_UNIX}:
        raise KoreError(f"unsupported family: {sock.family!r}")
    if sock.fileno() < 0:
        raise SocketError("socket is closed")
    if hasattr(sock, "do_handshake"):
        raise KoreError("a TLS socket cannot be wrapped: its data would go in the clear")
    own = OwnedSocket(sock.family, sock.type, sock.proto, os.dup(sock.fileno()))
    return Socket(own, sock)


class ReceivedData(NamedTuple):
    """Data, the address of its sender, and its ancillary data."""

    data: bytes
    address: Any = None
    ancillary: Ancillary = []  # noqa: RUF012 - never changed


class OwnedSocket(socket.socket):
    """A socket that only a `Socket` refers to: closed with it, without a ResourceWarning."""

    __slots__ = ()

    def __del__(self) -> None:
        self.close()


class Socket:
    """A socket: IPv4, IPv6 or unix, of streams or datagrams.

    Every operation takes a timeout in milliseconds. Raises TimeoutError if it has passed, and no
    data is lost; SocketError, a RuntimeError, with the system's reason. At a time there can be one
    of recv, recvfrom, recvmsg and accept, and one of send, sendto and connect.
    """

    __slots__ = ("__weakref__", "_may_have_more", "_reading", "_receive", "_socket", "_stream",
                 "_wrapped", "_writing")

    def __init__(self, own: socket.socket, wrapped: socket.socket | None = None) -> None:
        own.setblocking(False)
        self._socket = own
        self._receive: Callable[[int], Any] = own.recv
        # When the wrapped socket is closed, this one counts as closed, too.
        self._wrapped = wrapped or own
        # No data means the end of a stream; a datagram may be empty.
        self._stream = own.type in {socket.SOCK_STREAM, socket.SOCK_SEQPACKET}
        if not self._stream:  # the data may be saved for recvfrom, which needs the address
            self._receive = own.recvfrom
        # Whether there may be unread data: else the next recv waits for readiness first.
        self._may_have_more = True
        self._reading = IoDirection(own.fileno(), "recv", writing=False)
        self._writing = IoDirection(own.fileno(), "send", writing=True)

    # ---- receiving

    async def recv(self, maxlen: int, timeout_ms: float | None = None) -> bytes | None:
        """Return at most *maxlen* bytes, at least one; None when no more will come."""
        if self._wrapped.fileno() < 0 or maxlen < 1:
            self._check_open()
            check_maxlen(maxlen)
        attempt = self._receive
        try:
            data = await self._reading.perform(
                attempt, maxlen, timeout_ms, try_first=self._may_have_more
            )
        except ClosedError:
            if self._stream:
                return None
            raise
        if type(data) is not bytes:
            received = self._to_received(data)
            _close_descriptors(received.ancillary)
            data = received.data
        self._may_have_more = len(data) >= maxlen
        if len(data) > maxlen:  # saved by a cancelled operation with a larger limit
            data = self._limit_data(ReceivedData(data), maxlen)
        return data or self._get_empty()

    async def recvfrom(self, maxlen: int, timeout_ms: float | None = None) -> tuple[Any, ...]:
        """Return (ip, port, data), or (path, data) of a unix socket; all None at the end."""
        attempt = self._check_open().recvfrom
        result = await self._reading.perform(attempt, check_maxlen(maxlen), timeout_ms)
        received = self._to_received(result)
        _close_descriptors(received.ancillary)
        data = self._limit_data(received._replace(ancillary=[]), maxlen)
        return (*self._format_source(data, received.address), data or self._get_empty())

    async def recvmsg(self, maxlen: int, timeout_ms: float | None = None) -> tuple[Any, ...]:
        """Return what `recvfrom` does, then ancillary data as (length, level, type, bytes) each."""
        self._check_open()
        attempt = self._receive_message
        result = await self._reading.perform(attempt, check_maxlen(maxlen), timeout_ms)
        received = self._to_received(result)
        data = self._limit_data(received, maxlen)
        source = self._format_source(data, received.address)
        return (*source, data or self._get_empty(), received.ancillary)

    async def accept(self, timeout_ms: float | None = None) -> "Socket":
        """Return the next client of a listening socket."""
        client = await self._reading.perform(_accept_client, self._check_open(), timeout_ms)
        return Socket(client)

    # ---- sending

    async def send(self, data: object, timeout_ms: float | None = None) -> None:
        """Send all of *data*, bytes or str. After a timeout a part of it may have been sent."""
        sock = self._check_open()
        data = to_bytes(data)
        self._writing.raise_if_waiting()
        try:
            sent = sock.send(data)
        except BlockingIOError:
            sent = -1
        except OSError as error:
            raise to_socket_error(error) from None
        if sent < len(data):
            rest = PartialSend(sock.send, data, max(sent, 0))
            await self._writing.perform(PartialSend.advance, rest, timeout_ms)

    async def sendto(self, *arguments: Any, timeout_ms: float | None = None) -> None:
        """Send a datagram: to (ip, port, data), or to (path, data) with a unix socket."""
        sock = self._check_open()
        if sock.family in INET_FAMILIES:
            host, port, data, timeout = _split_timeout(
                "sendto(ip, port, data)", arguments, 3, timeout_ms
            )
            address, *_ = await resolve_host(sock, host, check_port(port))
            send = partial(self._check_open().sendto, to_bytes(data))
            await self._writing.perform(send, address, timeout)
        else:
            path, data, timeout = _split_timeout("sendto(path, data)", arguments, 2, timeout_ms)
            send = partial(sock.sendto, to_bytes(data))
            async with limit_time(timeout):
                await self._retry_while_full(send, encode_unix_path(path))

    async def connect(self, *arguments: Any, timeout_ms: float | None = None) -> None:
        """Connect to (host, port), where a name is looked up, or to (path).

        The addresses of a name are tried in the resolver's order, until one accepts. The remaining
        time is divided by the addresses that are left.
        """
        sock = self._check_open()
        if sock.family in INET_FAMILIES:
            host, port, timeout = _split_timeout("connect(host, port)", arguments, 2, timeout_ms)
            connector = HostConnector(self._check_open, self._writing)
            await connector.connect(host, check_port(port), timeout)
        else:
            path, timeout = _split_timeout("connect(path)", arguments, 1, timeout_ms)
            async with limit_time(timeout):
                await self._retry_while_full(sock.connect, encode_unix_path(path))

    async def _retry_while_full(self, attempt: Callable[[Any], Any], address: object) -> None:
        """Make *attempt* until the queue of the unix socket at *address* has room."""
        while True:
            self._writing.raise_if_waiting()
            self._check_open()
            try:
                attempt(address)
            except BlockingIOError:
                await asyncio.sleep(RETRY_INTERVAL)
            except OSError as error:
                raise to_socket_error(error) from None
            else:
                return

    # ---- the rest

    @property
    def peer(self) -> tuple[Any, ...] | str | None:
        """The address of the other end: (ip, port), the path of a unix socket, or None."""
        try:
            address = self._socket.getpeername()
        except OSError:
            return None
        return address[:2] if isinstance(address, tuple) else decode_unix_path(address)

    def fileno(self) -> int:
        """Return the descriptor, -1 when it is closed."""
        return self._socket.fileno()

    def close(self) -> bool:
        """Close it. An operation that waits ends: recv as at the end of input, or with an error."""
        unclaimed = self._reading.close()
        self._writing.close()
        self._socket.close()
        self._wrapped = self._socket
        if isinstance(unclaimed, socket.socket):
            unclaimed.close()
        elif isinstance(unclaimed, ReceivedData):
            _close_descriptors(unclaimed.ancillary)
        return True

    def __del__(self) -> None:
        # The attribute is missing if the constructor has failed.
        if hasattr(self, "_writing"):
            self.close()

    def __repr__(self) -> str:
        return f"<kore.socket fd={self.fileno()}>"

    def _check_open(self) -> socket.socket:
        if self._wrapped.fileno() < 0:
            raise SocketError("socket is closed")
        return self._socket

    def _get_empty(self) -> bytes | None:
        """Return the result for no data: None at the end of a stream, else an empty datagram."""
        return None if self._stream else b""

    def _receive_message(self, maxlen: int) -> "ReceivedData":
        data, ancillary, _, address = self._socket.recvmsg(
            maxlen, ANCILLARY_MAX, socket.MSG_CMSG_CLOEXEC
        )
        items = [(len(content), level, kind, content) for level, kind, content in ancillary]
        return ReceivedData(data, address, items)

    def _to_received(self, result: Any) -> "ReceivedData":
        """Return the result of an operation, which may be a saved one of another operation."""
        if isinstance(result, ReceivedData):
            return result
        if isinstance(result, socket.socket):  # of accept(): this socket has no data
            self._reading.save_result(result)
            raise to_socket_error(OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN)))
        return ReceivedData(result) if isinstance(result, bytes) else ReceivedData(*result)

    def _limit_data(self, received: "ReceivedData", maxlen: int) -> bytes:
        """Return at most *maxlen* bytes; the rest of a stream is saved for the next operation."""
        if len(received.data) > maxlen and self._stream:
            self._reading.save_result(ReceivedData(received.data[maxlen:], received.address))
        return received.data[:maxlen]

    def _format_source(self, data: bytes, address: Any) -> tuple[Any, ...]:
        """Return the sender of *data* as (ip, port) or (path,), with None for what is unknown."""
        if self._socket.family not in INET_FAMILIES:
            return (decode_unix_path(address),)
        if not data and self._stream:
            return (None, None)
        # For a stream the system gives no address with the data.
        address = address or self.peer
        return address[:2] if isinstance(address, tuple) else (None, None)


def _close_descriptors(ancillary: Ancillary) -> None:
    """Close the descriptors in ancillary data (SCM_RIGHTS) that is not returned."""
    for _, level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors = array("i")
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
            for fd in descriptors:
                os.close(fd)


def _split_timeout(
    call: str, given: tuple[Any, ...], count: int, timeout_ms: float | None
) -> list[Any]:
    """Return the arguments of a call and its timeout, which may be the last of them."""
    if not count <= len(given) <= count + 1:
        raise TypeError(f"{call} takes {count} arguments and perhaps a timeout, not {len(given)}")
    return [*given[:count], given[count] if len(given) > count else timeout_ms]


def _accept_client(sock: socket.socket) -> socket.socket:
    """Accept a client; one that has aborted its connection already is skipped."""
    while True:
        try:
            client, _ = sock.accept()
            return OwnedSocket(client.family, client.type, client.proto, client.detach())
        except ConnectionAbortedError:
            continue

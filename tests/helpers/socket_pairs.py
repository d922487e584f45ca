"""Pairs of sockets: one of ours, one of Python's."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import kore


@contextlib.asynccontextmanager
async def pair(family: int = socket.AF_INET) -> AsyncIterator[tuple[Any, socket.socket]]:
    """Yield one of ours that is connected to one of Python's, which does not block."""
    ours, other = connected(family)
    sock = kore.socket_wrap(ours)
    try:
        with ours, other:
            yield sock, other
    finally:
        sock.close()


def connected(family: int) -> tuple[socket.socket, socket.socket]:
    if family == socket.AF_UNIX:
        ours, other = socket.socketpair()
    else:
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        with socket.create_server((host, 0), family=family) as server:
            ours = socket.create_connection(server.getsockname()[:2])
            other, _ = server.accept()
    other.setblocking(False)
    return ours, other


async def read(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        with contextlib.suppress(BlockingIOError):
            data += sock.recv(2**16)
        await asyncio.sleep(0)
    return data


def pending(sock: Any) -> bool:
    with socket.socket(fileno=socket.dup(sock.fileno())) as probe:
        try:
            return bool(probe.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False


def ended(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False

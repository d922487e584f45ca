"""Sockets, processes, locks and queues that are forgotten: freed at once, without a collection."""

import asyncio
import gc
import os
import socket
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

import kore
from kore.errors import SocketError
from tests.helpers.loops import on_both, passes, until


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def cancelled(waiting: Awaitable[Any]) -> None:
    async with asyncio.timeout(0.005):
        await waiting


async def closed_meanwhile(sock: Any) -> None:
    asyncio.get_running_loop().call_soon(sock.close)
    await sock.recv(10)


USES: Final[dict[str, Callable[[Any], Awaitable[Any]]]] = {
    "recv": lambda sock: sock.recv(10, 5),
    "recvfrom": lambda sock: sock.recvfrom(10, 5),
    "recvmsg": lambda sock: sock.recvmsg(10, 5),
    "send": lambda sock: sock.send(b"x" * 10_000_000, 5),
    "cancelled recv": lambda sock: cancelled(sock.recv(10)),
    "cancelled recvmsg": lambda sock: cancelled(sock.recvmsg(10)),
    "cancelled send": lambda sock: cancelled(sock.send(b"x" * 10_000_000)),
    "closed": closed_meanwhile,
    "connected already": lambda sock: sock.connect("/no/such/path", 5),
}


@pytest.mark.parametrize("use", USES)
@on_both
async def test_socket_is_closed_when_dropped_after_a_timeout(use: str) -> None:
    one, other = socket.socketpair()
    with one, other:
        sock = kore.socket_wrap(one)
        fd, known = sock.fileno(), weakref.ref(sock)
        with suppress(TimeoutError, SocketError):
            await USES[use](sock)
        del sock
        await passes(2)
        assert known() is None
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


@pytest.mark.parametrize("received", [True, False])
@pytest.mark.parametrize("how", ["recv", "recvfrom", "recvmsg"])
@on_both
async def test_socket_is_closed_when_dropped_after_receiving(how: str, received: bool) -> None:
    one, other = socket.socketpair()
    with one, other:
        sock = kore.socket_wrap(one)
        known = weakref.ref(sock)
        other.send(b"data")
        if received:
            await getattr(sock, how)(10)
        del sock
        assert known() is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@on_both
async def test_socket_is_closed_when_dropped_after_a_refusal(host: str) -> None:
    with socket.socket() as taken, socket.socket() as own:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        sock = kore.socket_wrap(own)
        known = weakref.ref(sock)
        with pytest.raises(SocketError):
            await sock.connect(host, taken.getsockname()[1], 1000)
        del sock
        await passes(3)
        assert known() is None


@on_both
async def test_listener_is_closed_when_dropped_after_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sock = kore.socket_wrap(listening)
        known = weakref.ref(sock)
        with suppress(TimeoutError):
            await sock.accept(5)
        del sock
        await passes(1)
        assert known() is None


PROCESS_USES: Final[dict[str, Callable[[Any], Awaitable[Any]]]] = {
    "recv": lambda proc: proc.recv(10, 5),
    "recv_stderr": lambda proc: proc.recv_stderr(10, 5),
    "send": lambda proc: proc.send(b"x" * 10_000_000, 5),
    "reap": lambda proc: cancelled(proc.reap()),
}


@pytest.mark.parametrize("own_timeout", [None, 5])
@pytest.mark.parametrize("use", PROCESS_USES)
@on_both
async def test_process_is_killed_when_dropped_after_a_timeout(
    use: str, own_timeout: float | None
) -> None:
    proc = kore.proc(["sleep", "1000"], own_timeout, stderr=True)
    pid = proc.pid
    with pytest.raises(TimeoutError):
        await PROCESS_USES[use](proc)
    del proc
    await until(lambda: not Path(f"/proc/{pid}").exists())


@on_both
async def test_lock_and_queue_are_freed_when_dropped() -> None:
    lock, queue = kore.lock(), kore.queue()
    known = weakref.ref(lock), weakref.ref(queue)

    async def hold(lock: Any) -> None:
        async with lock:
            await asyncio.sleep(1000)

    holder = asyncio.create_task(hold(lock))
    await passes(1)
    for waiting in (lock.acquire(), queue.pop()):
        with pytest.raises(TimeoutError):
            await cancelled(waiting)
    holder.cancel()
    await asyncio.wait([holder])
    del lock, queue, waiting, holder
    await passes(2)
    assert [each() for each in known] == [None, None]
